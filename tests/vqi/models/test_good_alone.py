"""What the gate tells from good images alone: its rules on made-up scores, and whose scores it compares."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.vqi.made import metrics
from vqi.artifacts.metrics import HeldOut, Metrics
from vqi.detectors.calibration import threshold_of
from vqi.errors import VqiError
from vqi.models import good_alone
from vqi.models.category import Category
from vqi.models.drift import drift_of
from vqi.models.gate import Measured, Opinion, together
from vqi.models.good_alone import GoodParts, good_parts, judge_good
from vqi.models.rescoring import GoodNow
from vqi.store.opening import open_store

TARGET = 0.05
DATASET = "file:///store/datasets/parts@1"


def measured(scores: np.ndarray) -> Measured:
    """A model whose threshold these scores set."""
    found = threshold_of(scores, TARGET)
    promised = max(TARGET, found.guaranteed_fpr)
    return Measured("", np.zeros(0, np.int64), np.zeros(0), found.value, TARGET, promised, found.n)


def judged(old: np.ndarray, new: np.ndarray, added: int = 0) -> Opinion:
    """Of a champion's and a new model's scores of the same parts; the last ``added`` are new to the champion."""
    before = len(old) - added
    champion = measured(old[:before])
    fresh = np.arange(len(old)) >= before
    numbers = np.arange(len(old))
    drift = None
    if added:
        kept = HeldOut(
            images=tuple(f"{k:016x}" for k in range(before)), parts=tuple(range(before)), scores=tuple(old[:before])
        )
        drift = drift_of(old[fresh], numbers[fresh], kept, champion.threshold, TARGET)
    return together(judge_good(GoodParts(new, old, fresh, drift), measured(new), champion))


def retrained(draw: np.random.Generator, parts: np.ndarray, alike: float = 0.9) -> list[np.ndarray]:
    """The scores of two models of parts that are more or less unusual."""
    return [np.exp((np.sqrt(alike) * parts + np.sqrt(1 - alike) * draw.normal(size=len(parts))) / 4) for _ in range(2)]


def test_a_model_that_says_the_same() -> None:
    scores = np.linspace(1, 2, 100)
    found = judged(scores, scores)
    assert found.verdict == "promoted"
    assert found.reasons == (
        "no test image shows a defect: decided on 100 good parts that neither model was trained on",
        "its threshold, set from 100 good parts, promises 5 %",
        "rank correlation of both models' scores 1.00",
        "4 of 100 good parts that both know flagged, 4 by the champion",
    )


def test_too_few_parts() -> None:
    found = judged(np.linspace(1, 2, 19), np.linspace(1, 2, 19))
    assert (found.verdict, len(found.reasons)) == ("held", 1)
    assert found.reasons[0].endswith("decided on 19 good parts that neither model was trained on, and 20 are the "
                                     "fewest that tell anything")  # fmt: skip


def test_a_threshold_that_promises_less_than_asked_for() -> None:
    scores = np.linspace(1, 2, 40)
    parts = GoodParts(scores, scores, np.zeros(40, np.bool_), None)
    few = measured(np.linspace(1, 2, 10))
    found = together(judge_good(parts, few, measured(scores)))
    assert found.verdict == "held"
    assert found.reasons[0].startswith("its threshold, set from 10 good parts, promises 9.091 %: more than the 5 %")
    assert together(judge_good(parts, few, few)).verdict == "promoted", "no worse than the champion's"


def test_one_that_finds_other_parts_unusual() -> None:
    draw = np.random.default_rng(0)
    found = judged(*retrained(draw, draw.normal(size=200), alike=0.2))
    assert found.verdict == "held"
    assert "they do not find the same parts unusual" in found.reasons[0]
    found = judged(np.linspace(1, 2, 50), np.ones(50))
    assert (found.verdict, "correlation of both models' scores 0.00" in found.reasons[0]) == ("held", True)


def test_one_that_was_trained_on_defects_is_quieter_than_it_promises() -> None:
    """One in ten of its training images is a defect, among which its threshold is; that the champion was not asked."""
    draw = np.random.default_rng(0)
    old, new = retrained(draw, draw.normal(size=200))
    spoilt = measured(np.concatenate([new, np.full(22, 9.0)]))
    found = together(judge_good(GoodParts(new, old, np.zeros(200, np.bool_), None), spoilt, measured(old)))
    assert found.verdict == "held"
    assert found.reasons[0].startswith("0 of 200 good parts that both know flagged, ")
    assert found.reasons[0].endswith("fewer than 5 % by more than chance: what it was trained on may hold defects")


def test_new_parts_that_are_not_as_good_ones_should_be() -> None:
    draw = np.random.default_rng(0)
    parts = draw.normal(size=150)
    parts[100:] += 2
    found = judged(*retrained(draw, parts), added=50)
    assert found.verdict == "held"
    assert found.reasons[0].startswith("50 new good parts are not as good ones should be: ")
    assert found.reasons[0].endswith(": the parts changed, or some of them are not good: look at them")
    parts[100:] -= 2
    found = judged(*retrained(draw, parts), added=50)
    assert found.verdict == "promoted"
    assert found.reasons[-1].startswith("50 new good parts are as good ones should be: ")


@pytest.mark.parametrize(("parts", "added"), [(60, 0), (120, 24), (120, 120)])
def test_how_often_one_that_is_as_good_is_stopped(parts: int, added: int) -> None:
    draw = np.random.default_rng(parts + added)
    said = [judged(*retrained(draw, draw.normal(size=parts + added)), added=added).verdict for _ in range(60)]
    assert said.count("promoted") > 54


# ------------------------------------------------------------------------------------------------ whose scores


@pytest.fixture
def category(tmp_path: Path) -> Category:
    return Category(open_store(f"file://{tmp_path}/store"), "models/parts/mono/")


def of(images: str, scores: Sequence[float], parts: Sequence[int] = ()) -> Metrics:
    """The figures of a version whose threshold these images set, each called by a letter."""
    names = tuple(one * 16 for one in images)
    kept = HeldOut(images=names, parts=tuple(parts or range(len(images))), scores=tuple(scores))
    return metrics(held_out=kept, threshold=2.5)


class Now:
    """In place of scoring the champion."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, trained: str | None, **scores: float) -> None:
        self.asked: list[str] = []
        self.scores = scores
        whole = None if trained is None else {one * 64 for one in trained}
        monkeypatch.setattr(good_alone, "scores_now", self)
        monkeypatch.setattr(good_alone, "trained_on", lambda *_: whole)

    def __call__(self, category: Any, number: int, dataset: str, images: Collection[str]) -> dict[str, GoodNow]:
        assert (number, dataset) == (1, DATASET)
        self.asked += [one[0] for one in images]
        return {one: GoodNow(self.scores[one[0]], 0) for one in images if one[0] in self.scores}


def test_of_the_same_images_no_model_is_asked_again(category: Category, monkeypatch: pytest.MonkeyPatch) -> None:
    now = Now(monkeypatch, None)
    found = good_parts(category, 1, of("abc", [1, 2, 3]), of("cba", [6, 5, 4]), "")
    assert not now.asked
    assert (found.new.tolist(), found.old.tolist(), found.added.tolist()) == ([1, 2, 3], [4, 5, 6], [False] * 3)
    assert found.drift is None


def test_the_champion_scores_what_is_new_to_it(category: Category, monkeypatch: pytest.MonkeyPatch) -> None:
    """``d`` trained it and did not set its threshold, ``f`` cannot be read; the two photographs of a part are one."""
    now = Now(monkeypatch, "abcd", e=9, f2=0)
    found = good_parts(category, 1, of("abcdef", range(6), [0, 1, 1, 2, 3, 4]), of("abc", [1, 2, 4]), DATASET)
    assert now.asked == ["e", "f"]
    assert (found.new.tolist(), found.old.tolist()) == ([0, 1.5, 4], [1, 3, 9])
    assert found.added.tolist() == [False, False, True]
    assert found.drift is not None
    assert (found.drift.parts, found.drift.others, found.drift.flagged) == (1, 3, 1)


def test_a_new_photograph_of_a_part_that_it_knows_is_not_new(
    category: Category, monkeypatch: pytest.MonkeyPatch
) -> None:
    Now(monkeypatch, "ab", e=9)
    found = good_parts(category, 1, of("abe", [1, 2, 3], [0, 1, 1]), of("ab", [1, 2]), DATASET)
    assert (found.old.tolist(), found.added.tolist(), found.drift) == ([1, 5.5], [False, False], None)


def test_what_is_not_known(category: Category, monkeypatch: pytest.MonkeyPatch) -> None:
    Now(monkeypatch, None)
    one = of("ab", [1, 2])
    with pytest.raises(VqiError, match="its scores of good images were not kept by the vqi that made it"):
        good_parts(category, 1, metrics(), one, DATASET)
    with pytest.raises(VqiError, match="it is not known which photographs v1 was trained on"):
        good_parts(category, 1, one, of("a", [1]), DATASET)
    Now(monkeypatch, "a")
    with pytest.raises(VqiError, match="dataset: expected the uri of the dataset whose photographs the champion"):
        good_parts(category, 1, one, of("a", [1]), "")
    Now(monkeypatch, "ab")
    assert len(good_parts(category, 1, one, metrics(), DATASET).new) == 0, "an earlier vqi trained it on both"
    Now(monkeypatch, "c", a=3, b=4)
    found = good_parts(category, 1, one, metrics(), DATASET)
    assert (found.old.tolist(), found.drift) == ([3, 4], None)
