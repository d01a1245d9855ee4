"""The gate's rule: what it says of made-up scores, and how often it is wrong."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from tests.vqi.made import metrics
from vqi.artifacts.metrics import Scored
from vqi.models import gate
from vqi.models.gate import Measured, Opinion, judge, judge_first, measured_of

ALLOWED = 0.01
SIMULATIONS = 200


def measured(
    good: Any,
    bad: Any,
    threshold: float = 0.5,
    promised: float = 0.05,
    images: str = "same",
    parts: int = 500,
    target: float = 0.05,
) -> Measured:
    labels = np.array([0] * len(good) + [1] * len(bad))
    return Measured(images, labels, np.array([*good, *bad], dtype=np.float64), threshold, target, promised, parts)


def spread(count: int, low: float, high: float) -> np.ndarray:
    return np.linspace(low, high, count)


def test_a_model_that_says_the_same_is_promoted() -> None:
    one = measured(spread(100, 0, 0.5), spread(100, 0.4, 1))
    found = judge(one, one, ALLOWED)
    assert found.verdict == "promoted"
    assert found.reasons[0].startswith("image AUROC 0.9")
    assert found.reasons[-1] == "the champion was measured on the same 200 test images"
    assert judge(one, one, 0.0).verdict == "promoted"


def test_a_worse_one_is_rejected_and_a_better_one_promoted() -> None:
    good, bad = spread(200, 0, 0.6), spread(200, 0.4, 1)
    worse, better = measured(good, bad - 0.1), measured(good, bad + 0.1)
    found = judge(worse, better, ALLOWED)
    assert found.verdict == "rejected"
    assert "worse by more than the 0.01 that is allowed" in found.reasons[0]
    assert judge(better, worse, ALLOWED).verdict == "promoted"
    assert judge(worse, better, 1.0).verdict == "promoted", "whatever the user allows"


def test_one_that_ranks_worse_below_its_threshold_is_rejected_for_it_alone() -> None:
    """Recall and false alarms are the same: the defects that both miss look better than good parts to the new one."""
    good, found = spread(200, 0.2, 0.5), spread(100, 0.6, 1)
    champion = measured(good, [*found, *spread(100, 0.45, 0.5)])
    verdict, reasons, _ = judge(measured(good, [*found, *spread(100, 0, 0.1)]), champion, ALLOWED)
    assert verdict == "rejected"
    assert reasons[0].startswith("image AUROC 0.500, the champion's 0.957: worse by more than the 0.01 that is allowed")


def test_too_few_images_to_tell_are_for_a_person() -> None:
    """Each misses another defect, so that the areas are equal and their difference is uncertain."""
    good, bad = spread(20, 0, 0.4), np.full(20, 0.9)
    one, other = (measured(good, np.where(np.arange(20) == missed, 0.1, bad), 0.05) for missed in (3, 4))
    found = judge(one, other, ALLOWED)
    assert found.verdict == "held"
    assert re.search(
        r"with so few test images it may be worse by 0\.\d+, at most twice the allowed 0\.01 would do$",
        found.reasons[0],
    )


def test_recall_at_each_ones_own_threshold() -> None:
    good, bad = spread(200, 0, 0.4), spread(200, 0.5, 1)
    champion, late = measured(good, bad, 0.45), measured(good, bad, 0.6)
    found = judge(late, champion, ALLOWED)
    assert found.verdict == "rejected"
    assert found.reasons[0].startswith("recall 80.0 %, the champion's 100.0 %, each at its own threshold: worse")
    assert judge(champion, late, ALLOWED).verdict == "promoted"
    once = measured(good, bad, 0.501)
    assert judge(once, champion, ALLOWED).verdict == "promoted", "one more missed is chance"


def test_recall_is_not_compared_where_the_user_asked_for_fewer_false_alarms() -> None:
    good, bad = spread(200, 0, 0.4), spread(200, 0.5, 1)
    champion, strict = measured(good, bad, 0.45), measured(good, bad, 0.6, target=0.01)
    found = judge(strict, champion, ALLOWED)
    assert found.verdict == "promoted"
    assert found.reasons[1] == (
        "recall 80.0 % at 1 %, the champion's 100.0 % at 5 %: not compared, as their promised rates differ"
    )


def test_false_alarms() -> None:
    bad = spread(50, 1, 2)
    quiet = measured(spread(200, 0, 0.4), bad)
    loud = measured([*spread(170, 0, 0.4), *spread(30, 0.6, 0.9)], bad)
    found = judge(loud, quiet, ALLOWED)
    assert found.verdict == "rejected"
    assert found.reasons[0] == (
        "30 of 200 good test images flagged, 0 by the champion, 5 % promised: more than chance allows"
    )
    assert judge(loud, loud, ALLOWED).verdict == "promoted", "no more than the champion has"
    chance = measured([*spread(185, 0, 0.4), *spread(15, 0.6, 0.9)], bad)
    assert judge(chance, quiet, ALLOWED).verdict == "promoted"


def test_the_chance_of_so_many_false_alarms() -> None:
    """Thresholds at a rank among scores of good parts, then other good parts."""
    draw = np.random.default_rng(0)
    parts, images, rank = 99, 50, 95
    thresholds = np.sort(draw.random((20_000, parts)), axis=1)[:, rank - 1]
    flagged = (draw.random((20_000, images)) > thresholds[:, None]).sum(axis=1)
    one = measured(np.zeros(images), [], promised=0.05, parts=parts)
    for number in (1, 3, 6, 9):
        assert gate._chance_of(number, one) == pytest.approx((flagged >= number).mean(), abs=0.01)


def test_a_threshold_of_few_parts_is_off_by_chance() -> None:
    good, bad = spread(1000, 0, 1), spread(1000, 0.8, 1.0)
    for parts in (20, 10_000):
        lower = math.sqrt(0.05 * 0.95 / (parts + 2))
        assert gate._chance_of_recall(measured(good, bad, parts=parts)) == pytest.approx(5 * min(lower, 0.05), abs=0.01)


def test_good_images_alone() -> None:
    quiet = measured(spread(100, 0, 0.4), [])
    found = judge(measured(spread(100, 0, 0.51), []), quiet, ALLOWED)
    assert found.verdict == "promoted"
    assert "both judge 98.0 % of the good test images equally" in found.reasons
    assert judge(measured([*spread(80, 0, 0.4), *spread(20, 0.6, 1)], []), quiet, ALLOWED).verdict == "rejected"


@pytest.mark.parametrize(
    ("challenger", "champion", "reason"),
    [
        (None, measured([0], [1]), "the new model's scores of its test images were not kept"),
        (measured([0], [1]), None, "the champion's scores of its test images were not kept"),
        (
            measured([0], [1]),
            measured([0, 0], [1], images="other"),
            r"it and the champion were measured on different images \(2 test images and 3 test images\)",
        ),
        (measured([], []), measured([], []), "there are no test images of good parts"),
        (measured([], [1]), measured([], [1]), "there are no test images of good parts"),
    ],
)
def test_what_cannot_be_compared_is_for_a_person(
    challenger: Measured | None, champion: Measured | None, reason: str
) -> None:
    found = judge(challenger, champion, ALLOWED)
    assert found.verdict == "held"
    assert len(found.reasons) == 1
    assert re.search(reason, found.reasons[0])


def test_the_first_one() -> None:
    assert judge_first(None, 0.0) == judge_first(0.1, 0.0) == Opinion("promoted", ("it is the first one",))
    assert judge_first(0.8, 0.8).verdict == "promoted"
    assert judge_first(0.79, 0.8)[:2] == ("rejected", ("image AUROC 0.790, of the first one 0.8 is expected",))
    assert judge_first(None, 0.8).verdict == "held"


def test_from_the_figures_of_a_version() -> None:
    assert measured_of(metrics()) is None
    scored = Scored(images="a" * 64, labels="010", scores=(0.1, 0.9, 0.2))
    found = measured_of(metrics(scored=scored, threshold=0.5, target_fpr=0.05, guaranteed_fpr=0.2))
    assert found is not None
    assert (found.images, found.threshold, found.target, found.promised) == ("a" * 64, 0.5, 0.05, 0.2)
    assert (found.good, found.defective, found.flagged.tolist()) == (2, 1, [False, True, False])
    with pytest.raises(ValueError, match="expected 3, one for each label, got 1"):
        Scored(images="a" * 64, labels="010", scores=(0.1,))


# ------------------------------------------------------------------------------------------ how often it is wrong


def retrained(draw: np.random.Generator, images: int, auroc: float, worse: float, alike: float) -> list[Measured]:
    """The champion and a model trained again, whose AUROC is lower by ``worse``; thresholds from 500 good parts each.

    Args:
        draw: Of everything random.
        images: Of each class.
        auroc: Of the champion, for all parts.
        worse: Difference.
        alike: Correlation of their scores.
    """
    count = 2 * images + 500
    part = draw.normal(size=count)
    both = []
    for area in (auroc, auroc - worse):
        scores = np.sqrt(alike) * part + np.sqrt(1 - alike) * draw.normal(size=count)
        test, calibration = scores[: 2 * images], np.sort(scores[2 * images :])
        test[images:] += np.sqrt(2) * norm.ppf(area)
        both.append(measured(test[:images], test[images:], float(calibration[int(np.ceil(501 * 0.95)) - 1])))
    return both


def promoted_share(images: int, worse: float, auroc: float = 0.95, alike: float = 0.95) -> float:
    draw = np.random.default_rng([images, round(1000 * worse)])
    said = [
        judge(challenger, champion, ALLOWED).verdict
        for champion, challenger in (retrained(draw, images, auroc, worse, alike) for _ in range(SIMULATIONS))
    ]
    return said.count("promoted") / SIMULATIONS


@pytest.mark.parametrize("images", [200])
def test_a_truly_worse_model_is_hardly_ever_promoted(images: int) -> None:
    assert promoted_share(images, 2 * ALLOWED) < 0.05


@pytest.mark.parametrize("images", [200])
def test_one_that_is_as_good_is_hardly_ever_stopped(images: int) -> None:
    """With fewer test images a person decides more often: docs/decisions/0024."""
    assert promoted_share(images, 0.0) > 0.9
