"""vqi.datasets.elpv: the real package, the split as published by this project."""

from __future__ import annotations

import importlib.util
import io
import random
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from vqi.datasets.elpv import locate, read_labels
from vqi.datasets.sources import resolve
from vqi.errors import VqiError


@pytest.mark.parametrize(("category", "train", "good", "defective"), [("mono", 470, 118, 313), ("poly", 736, 184, 402)])
def test_split(category: str, train: int, good: int, defective: int) -> None:
    entries = resolve("elpv").categories[category]
    folders = Counter(e.path.rpartition("/")[0] for e in entries)
    assert folders == {"train/good": train, "test/good": good, "test/defective": defective}
    assert len({e.path.rpartition("/")[2] for e in entries}) == train + good + defective, "no cell is listed twice"
    with Image.open(io.BytesIO(entries[0].read())) as image:
        assert (image.size, image.mode) == ((300, 300), "L")


def test_split_is_the_shuffle_of_the_sorted_names() -> None:
    lines = [line.split() for line in (locate() / "labels.csv").read_text().splitlines()]
    normal = sorted(
        path.removeprefix("images/") for path, probability, kind in lines if (float(probability), kind) == (0, "mono")
    )
    random.Random(0).shuffle(normal)
    paths = [e.path for e in resolve("elpv").categories["mono"]]
    assert paths[:470] == [f"train/good/{name}" for name in normal[:470]]
    assert set(paths[470:588]) == {f"test/good/{name}" for name in normal[470:]}
    assert {p for p in paths if "defective" in p} == {
        f"test/defective/{path.removeprefix('images/')}" for path, p, kind in lines if (float(p), kind) == (1, "mono")
    }


def test_licence() -> None:
    licence = resolve("elpv").licence
    assert licence is not None
    assert licence.name == "CC BY-NC-SA 4.0"


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(VqiError, match=r"pip install 'vqi\[embedded\]'"):
        resolve("elpv")


def test_damaged_labels_and_an_argument(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("images/cell0001.png 1.0\n")
    for folder in (tmp_path, tmp_path / "gone"):
        with pytest.raises(VqiError, match=r"labels\.csv is damaged"):
            read_labels(folder)
    with pytest.raises(VqiError, match="write 'elpv'"):
        resolve("elpv:mono")
