"""Two models on the same images: against a reference, and what chance makes of a difference."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from vqi.models import paired
from vqi.models.paired import Said, drawn_again


def said(scores: np.ndarray, threshold: float = 0.5) -> Said:
    return Said(scores, scores > threshold)


def test_the_areas_are_those_of_a_reference() -> None:
    draw = np.random.default_rng(0)
    good, bad = draw.integers(0, 6, 40) / 5, draw.integers(2, 9, 30) / 5  # with ties
    ranks = paired._Ranks(good, bad)
    labels = [0] * 40 + [1] * 30
    assert ranks.area() == pytest.approx(roc_auc_score(labels, [*good, *bad]))
    of_good, of_bad = paired._drawn(draw, 40, 3), paired._drawn(draw, 30, 3)
    for row, found in enumerate(ranks.areas(of_good, of_bad)):
        weights = [*of_good[row], *of_bad[row]]
        assert found == pytest.approx(roc_auc_score(labels, [*good, *bad], sample_weight=weights))


def test_differences_lie_around_what_was_measured() -> None:
    draw = np.random.default_rng(0)
    labels = np.repeat([0, 1], 200)
    old = draw.normal(labels.astype(float), 1.0)
    new = old + 0.5 * labels
    found = drawn_again(labels, said(new), said(old))
    assert found.area == pytest.approx(roc_auc_score(labels, new))
    assert found.area_before == pytest.approx(roc_auc_score(labels, old))
    assert found.areas.mean() == pytest.approx(found.area - found.area_before, abs=0.005)
    bad = labels == 1
    assert found.recalls.mean() == pytest.approx((new > 0.5)[bad].mean() - (old > 0.5)[bad].mean(), abs=0.01)
    assert not found.alarms.any(), "no good image is judged otherwise"


def test_large_sets_are_drawn_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    labels = np.repeat([0, 1], 60)
    old, new = draw.normal(labels, 1.0), draw.normal(labels, 1.0)
    whole = drawn_again(labels, said(new), said(old))
    monkeypatch.setattr(paired, "_CELLS", 1)
    parts = drawn_again(labels, said(new), said(old))
    assert parts.areas.shape == whole.areas.shape == (paired.REPEATS,)
    for name in ("areas", "recalls", "alarms"):
        assert getattr(parts, name).mean() == pytest.approx(getattr(whole, name).mean(), abs=0.01)
