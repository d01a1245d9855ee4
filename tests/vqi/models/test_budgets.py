"""What a model may cost: the rules, and what is measured for them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.vqi.models.packages import package
from vqi.artifacts.decision import GateVerdict
from vqi.config import Publish
from vqi.errors import UnavailableError, VqiError
from vqi.models import budgets
from vqi.models.budgets import Times, judge_size, judge_time, milliseconds, package_bytes, within_budgets
from vqi.models.category import Category
from vqi.models.package import FILES
from vqi.models.reading import Failure
from vqi.models.registry import publish, publish_to
from vqi.models.result import Result
from vqi.store.interface import Store
from vqi.store.opening import open_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """In a folder alone: what differs on S3 is tried where versions and champions are."""
    return open_store(f"file://{tmp_path}/store")


def test_a_size() -> None:
    assert judge_size(19.2, 19.2)[:2] == ("promoted", ("the package has 19.2 MB, 19.2 MB are allowed",))
    assert judge_size(19.3, 19.2)[:2] == (
        "rejected",
        ("the package has 19.3 MB: more than the 19.2 MB that are allowed",),
    )


@pytest.mark.parametrize(
    ("new", "champion", "verdict", "reason"),
    [
        (20, 90, "promoted", "20 ms per photograph with eager fp32, the champion 90 ms in turns with it, "
                             "20 ms are allowed"),
        (20.5, 19, "rejected", "20.5 ms per photograph with eager fp32, the champion 19 ms in turns with it: "
                               "more than the 20 ms that are allowed, which the champion keeps"),
        (20.5, 21, "held", "both more than the 20 ms that are allowed, so it may be this machine"),
        (20.5, None, "held", "more than the 20 ms that are allowed, with no champion to tell whether it is this "
                             "machine"),
    ],
)  # fmt: skip
def test_a_time(new: float, champion: float | None, verdict: str, reason: str) -> None:
    found = judge_time(Times(new, champion, "eager fp32"), 20)
    assert found.verdict == verdict
    assert re.search(f"{re.escape(reason)}$", found.reasons[0])


class Timed:
    """A scorer that takes the times of a list, one after the other, and cannot read what is called ``broken``."""

    def __init__(self, seconds: Sequence[float], order: list[Any], name: str = "") -> None:
        self.times, self.order, self.name = itertools.cycle(seconds), order, name

    def score_many(self, images: Sequence[bytes], *, ahead: bool) -> Iterator[Result | Failure]:
        assert not ahead, "another photograph is decoded meanwhile"
        for data in images:
            self.order.append((self.name, data))
            if data == b"broken":
                yield Failure("", VqiError("broken"))
            else:
                nothing = np.zeros((1, 1), np.float32)
                yield Result(1.0, 2.0, False, 0.5, nothing, (), 1, next(self.times), "", 8, 8, 1.0, None)


def test_the_shortest_times_of_models_in_turns() -> None:
    """What a busy machine adds now and then does not count, and neither does the first time, which compiles."""
    order: list[Any] = []
    new, old = Timed([9.0, 0.5, 0.02, 0.5, 0.5, 0.5], order, "new"), Timed([0.03], order, "old")
    assert milliseconds([new, old], [b"a"]) == [20.0, 30.0]  # type: ignore[list-item]
    assert order == [("new", b"a"), ("old", b"a")] * budgets.ROUNDS


def test_the_median_of_photographs_that_can_be_read() -> None:
    scorer = Timed([0.01, 0.02, 0.09], [])
    assert milliseconds([scorer], [b"a", b"broken", b"b", b"c"]) == [20.0]  # type: ignore[list-item]
    with pytest.raises(VqiError, match="none of 1 photographs can be read"):
        milliseconds([scorer], [b"broken"])  # type: ignore[list-item]


def test_the_size_of_a_package_has_what_it_shares(store: Store, category: Category, tmp_path: Path) -> None:
    files = package(tmp_path, 1)
    publish(store, **files)
    whole = sum(path.stat().st_size for path in files.values())
    assert package_bytes(category, 1) == whole
    other = package(tmp_path, 2)
    named = dict(zip(FILES, (files["backbone"], other["detector"], files["metrics"], files["report"]), strict=True))
    publish_to(category, named, GateVerdict(verdict="held", reasons=()))
    assert package_bytes(category, 2) == whole - files["detector"].stat().st_size + other["detector"].stat().st_size
    small = Publish(max_megabytes=whole / 1e6)
    assert [one.verdict for one in within_budgets(category, 1, 0, small)] == ["promoted"]
    assert [one.verdict for one in within_budgets(category, 1, 0, Publish(max_megabytes=1e-3))] == ["rejected"]


def test_nothing_is_measured_where_nothing_is_bounded(store: Store, category: Category) -> None:
    assert within_budgets(category, 1, 0, Publish()) == []


def test_a_time_that_cannot_be_measured_is_for_a_person(
    store: Store, category: Category, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Publish(max_milliseconds=20)
    (found,) = within_budgets(category, 1, 0, settings)
    assert found.verdict == "held"
    assert "cannot be measured: dataset: expected the uri of the dataset" in found.reasons[0]
    settings = Publish(max_milliseconds=20, dataset=f"file://{tmp_path}/store/datasets/parts@1")
    (found,) = within_budgets(category, 1, 0, settings)
    assert "cannot be measured: no complete dataset at" in found.reasons[0]

    def unavailable(*_: object) -> None:
        raise UnavailableError("no answer")

    monkeypatch.setattr(budgets, "_times", unavailable)
    with pytest.raises(UnavailableError):
        within_budgets(category, 1, 0, settings)


def test_a_champion_that_cannot_be_loaded_is_not_timed(
    category: Category, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def model(_: Category, number: int) -> Timed:
        if number == 1:
            raise VqiError("v1/backbone.safetensors: damaged")
        made = Timed([0.01], [])
        made.runtime = type("Runtime", (), {"engine": "eager", "precision": "fp32"})  # type: ignore[attr-defined]
        return made

    monkeypatch.setattr(budgets, "_model", model)
    monkeypatch.setattr(budgets, "_photographs", lambda *_: [b"a"])
    (found,) = within_budgets(category, 2, 1, Publish(max_milliseconds=20, dataset="x"))
    assert found[:2] == ("promoted", ("10 ms per photograph with eager fp32, 20 ms are allowed",))
    assert capsys.readouterr().err == "note: v1 is not timed: v1/backbone.safetensors: damaged\n"
