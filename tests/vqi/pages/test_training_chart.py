"""The chart of a fine-tuning."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from vqi.artifacts.training_log import Epoch
from vqi.pages.training_chart import training_svg

ROW = Epoch(1, 1, 0.03, 0.7, 0.6, "feature_std", 0.02, 0.0221, 30.0)
SVG = "{http://www.w3.org/2000/svg}"


def log(count: int) -> list[Epoch]:
    return [replace(ROW, epoch=i, train_loss=1 / i, validation_loss=abs(i - 3) + 0.5) for i in range(1, count + 1)]


@pytest.mark.parametrize("count", [1, 2, 6, 200])
def test_lines_and_labels(count: int) -> None:
    picture = ElementTree.fromstring(training_svg(log(count)))
    words = [element.text for element in picture.iter(f"{SVG}text")]
    assert {
        "training loss",
        "validation loss",
        "learning rate",
        "images per second",
        "feature std (at best 0.0221)",
    } <= set(words)
    drawn = [*picture.iter(f"{SVG}path"), *picture.iter(f"{SVG}circle")]
    assert len(drawn) == 5
    assert len([word for word in words if word and word.isdecimal()]) <= 11


def test_the_dashed_line_is_at_the_epoch_that_was_kept() -> None:
    picture = ElementTree.fromstring(training_svg(log(5)))
    kept = {line.get("x1") for line in picture.iter(f"{SVG}line") if "3 4" in (line.get("style") or "")}
    ticks = [t.get("x") for t in picture.iter(f"{SVG}text") if t.text == "3"]
    assert kept == set(ticks)
