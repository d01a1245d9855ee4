"""Whether new good parts are as good ones should be: what is said of made-up scores, and how often that is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from vqi.artifacts.drift import Drift
from vqi.artifacts.metrics import HeldOut
from vqi.models.drift import drift_of


def of_parts(scores: np.ndarray) -> HeldOut:
    """Each of a part of its own."""
    images = tuple(f"{number:016x}" for number in range(len(scores)))
    return HeldOut(images=images, parts=tuple(range(len(scores))), scores=tuple(scores))


def drift(new: np.ndarray, good: np.ndarray, target: float = 0.05) -> Drift:
    return drift_of(new, np.arange(len(new)), of_parts(good), float(np.quantile(good, 1 - target)), target, 3)


def drawn(draw: np.random.Generator, number: int, shift: float = 0.0) -> np.ndarray:
    return np.exp(draw.normal(shift, 1, number))


def test_parts_that_are_the_same() -> None:
    good = np.linspace(1, 2, 100)
    found = drift(good[::2], good)
    assert not found.drifted
    assert (found.parts, found.others, found.flagged) == (50, 100, 2)
    assert found.higher == pytest.approx(0.5, abs=0.02)
    assert found.gap < 0.02
    assert found.text == (
        "50 new good parts are as good ones should be: 2 flagged by v3, 5 % asked for; they score higher in "
        "49.5 % of pairs (p = 1)"
    )


def test_parts_that_all_look_unusual() -> None:
    good = np.linspace(1, 2, 100)
    found = drift(np.linspace(1.8, 3, 20), good)
    assert found.drifted
    assert found.p_values == tuple(sorted(found.p_values))
    assert (found.p_values[0], found.higher > 0.9, found.gap > 0.8) == (1 / 101, True, True)
    assert "20 new good parts are not as good ones should be: " in found.text
    assert found.text.endswith("% of pairs (p < 0.001)")


def test_some_far_out_are_a_drift_although_most_are_as_they_were() -> None:
    """A third of the parts is of another kind: in the middle nothing is to be seen."""
    draw = np.random.default_rng(0)
    new = np.concatenate([drawn(draw, 70), drawn(draw, 30, 6)])
    found = drift(new, drawn(draw, 300))
    assert found.drifted
    assert found.gap > 0.2


def test_parts_that_score_lower_are_no_drift() -> None:
    draw = np.random.default_rng(0)
    found = drift(drawn(draw, 200, -1), drawn(draw, 200))
    assert (found.drifted, found.p_value) == (False, 1.0)


def test_a_small_difference_of_many_parts_is_certain_and_not_worth_saying() -> None:
    draw = np.random.default_rng(0)
    found = drift(drawn(draw, 3000, 0.2), drawn(draw, 3000))
    assert found.p_value < 0.001
    assert not found.drifted


def test_twins_count_as_one_part() -> None:
    """Five odd parts, ten photographs of each, are five."""
    draw = np.random.default_rng(0)
    new, good = np.repeat(drawn(draw, 3, 1.0), 10), drawn(draw, 200)
    parts = np.repeat(np.arange(3), 10)
    alone = drift_of(new, np.arange(30), of_parts(good), 5.0, 0.05)
    together = drift_of(new, parts, of_parts(good), 5.0, 0.05)
    assert (alone.drifted, together.drifted) == (True, False)
    assert (together.parts, len(together.p_values)) == (3, 3)


@pytest.mark.parametrize(("new", "good"), [(5, 30), (40, 40), (400, 40), (200, 200)])
def test_how_often_it_is_said_of_parts_that_are_the_same(new: int, good: int) -> None:
    """Also where there are many more new parts than those that set the threshold."""
    draw = np.random.default_rng(new)
    said = [drift(drawn(draw, new), drawn(draw, good)).drifted for _ in range(100)]
    assert sum(said) <= 1


def test_how_often_a_drift_is_found() -> None:
    draw = np.random.default_rng(0)
    said = [drift(drawn(draw, 40, 1.5), drawn(draw, 100)).drifted for _ in range(50)]
    assert sum(said) >= 49
