"""The metrics against hand-computed cases, brute force and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

from vqi import metrics

LABELS = np.array([0, 0, 0, 1, 1])
SCORES = np.array([0.1, 0.4, 0.35, 0.8, 0.35])

cases = st.integers(2, 40).flatmap(
    lambda n: st.tuples(
        hnp.arrays(np.int64, n, elements=st.integers(0, 1)).filter(lambda a: 0 < a.sum() < len(a)),
        hnp.arrays(np.float64, n, elements=st.integers(-20, 20).map(float)),
    )
)


def test_image_auroc_by_hand() -> None:
    # pairs won by the anomalous: 0.8 beats 3; 0.35 beats 0.1 and ties with 0.35
    assert metrics.image_auroc(LABELS, SCORES) == pytest.approx((3 + 1.5) / 6)


def test_one_class_is_none() -> None:
    labels = np.zeros(5, np.int64)
    assert metrics.image_auroc(labels, SCORES) is None
    assert metrics.bootstrap_interval(labels, SCORES, 0) is None
    assert set(metrics.oracle(labels, SCORES).values()) == {None}
    at = metrics.at_threshold(labels, SCORES, 0.36)
    assert at["recall"] is None
    assert at["f1"] is None
    assert at["false_alarm_rate"] == pytest.approx(2 / 5)
    empty = metrics.at_threshold(labels[:0], SCORES[:0], 0.36)
    assert empty["accuracy"] is None


def test_at_threshold_by_hand() -> None:
    at = metrics.at_threshold(LABELS, SCORES, 0.35)  # a score at the threshold is not flagged
    assert (at["tp"], at["fp"], at["tn"], at["fn"]) == (1, 1, 2, 1)
    assert at["accuracy"] == pytest.approx(3 / 5)
    assert at["recall"] == at["precision"] == at["f1"] == pytest.approx(1 / 2)
    assert at["false_alarm_rate"] == pytest.approx(1 / 3)


@given(cases, st.floats(-21, 21))
def test_at_threshold_as_sklearn(case: tuple[np.ndarray, np.ndarray], threshold: float) -> None:
    labels, scores = case
    decided = (scores > threshold).astype(int)
    at = metrics.at_threshold(labels, scores, threshold)
    assert at["accuracy"] == pytest.approx(accuracy_score(labels, decided))
    assert at["f1"] == pytest.approx(f1_score(labels, decided, zero_division=0))


@given(cases)
def test_oracle_is_the_best_of_all_thresholds(case: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = case
    candidates = [*np.unique(scores), scores.min() - 1]
    best = max(accuracy_score(labels, scores > t) for t in candidates)
    found = metrics.oracle(labels, scores)
    assert found["oracle_accuracy"] == pytest.approx(best)
    # the threshold it names gives the accuracy it claims
    reached = metrics.at_threshold(labels, scores, found["oracle_accuracy_threshold"])
    assert reached["accuracy"] == pytest.approx(best)
    at = metrics.at_threshold(labels, scores, found["oracle_youden_threshold"])
    assert at["recall"] - at["false_alarm_rate"] == pytest.approx(found["oracle_youden"])


@given(cases)
def test_auroc_ignores_a_monotone_change(case: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = case
    assert metrics.image_auroc(labels, scores) == pytest.approx(metrics.image_auroc(labels, np.exp(scores / 10)))


def test_bootstrap_holds_the_figure_and_is_repeatable() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], [100, 150])
    scores = random.normal(size=250) + labels
    low, high = metrics.bootstrap_interval(labels, scores, seed=3)
    assert low < metrics.image_auroc(labels, scores) < high
    assert 0.04 < high - low < 0.2  # Hanley-McNeil's standard error is 0.028 here
    assert (low, high) == metrics.bootstrap_interval(labels, scores, seed=3)
    assert (low, high) != metrics.bootstrap_interval(labels, scores, seed=4)


def test_bootstrap_counts_ties_half() -> None:
    scores = np.ones(20)
    assert metrics.bootstrap_interval(np.repeat([0, 1], 10), scores, 0) == (0.5, 0.5)


def test_pixel_auroc_as_sklearn() -> None:
    random = np.random.default_rng(1)
    masks = random.random((3, 8, 8)) < 0.2
    maps = (random.integers(0, 6, (3, 8, 8)) + masks).astype(np.float32)
    assert metrics.pixel_auroc(maps, masks) == pytest.approx(roc_auc_score(masks.ravel(), maps.ravel()))
    assert metrics.pixel_auroc(maps, np.zeros_like(masks)) is None


def test_aupro_by_hand() -> None:
    # one image of 2 x 5: a region of 1 pixel, a region of 2 pixels, 7 normal pixels
    masks = np.array([[[1, 0, 0, 1, 1], [0, 0, 0, 0, 0]]], bool)
    maps = np.array([[[9, 2, 0, 8, 6], [7, 0, 0, 0, 0]]], np.float32)
    # threshold passes 9: PRO 1/2, FPR 0; 8: 3/4, 0; 7: 3/4, 1/7; 6: 1, 1/7; 2: 1, 2/7; 0: 1, 1
    # up to 2/7: 1/7 at 3/4, then 1/7 at 1
    assert metrics.aupro(maps, masks, fpr_limit=2 / 7) == pytest.approx((3 / 4 + 1) / 2)
    # up to 1/14: all of it at 3/4
    assert metrics.aupro(maps, masks, fpr_limit=1 / 14) == pytest.approx(3 / 4)


def test_aupro_weighs_regions_alike_and_joins_diagonal_neighbours() -> None:
    masks = np.zeros((1, 6, 6), bool)
    masks[0, 0, 0] = masks[0, 1, 1] = True  # one region by its corner
    masks[0, 3:6, 3:6] = True  # another, nine times as large
    maps = np.where(masks, 1, 0).astype(np.float32)
    maps[0, 1, 1] = 0  # half of the small one is missed
    value = metrics.aupro(maps, masks)
    # PRO 3/4 at FPR 0, then straight to (1, 1)
    assert value == pytest.approx((3 / 4 + 3 / 4 + 0.3 / 4) / 2)


@given(st.integers(0, 10_000))
def test_aupro_as_brute_force(seed: int) -> None:
    random = np.random.default_rng(seed)
    masks = random.random((2, 5, 5)) < 0.3
    maps = random.integers(0, 5, (2, 5, 5)).astype(np.float32)
    if not masks.any() or masks.all():
        return
    weights, count = metrics._region_weights(masks)
    points = [(0.0, 0.0)]
    for threshold in sorted(set(maps.ravel()), reverse=True):
        above = maps.ravel() >= threshold
        points.append(((above & ~masks.ravel()).sum() / (~masks).sum(), (weights * above).sum() / count))
    x, y = np.array(points).T
    area = 0.0
    for (x0, y0), (x1, y1) in zip(points[:-1], points[1:], strict=True):
        if x0 >= 0.3:
            break
        end = min(x1, 0.3)
        y_end = y1 if x1 <= 0.3 else y0 + (y1 - y0) * (end - x0) / (x1 - x0)
        area += (end - x0) * (y0 + y_end) / 2
    assert metrics.aupro(maps, masks) == pytest.approx(area / 0.3)


def test_perfect_maps_give_one() -> None:
    masks = np.zeros((2, 8, 8), bool)
    masks[0, 2:4, 2:4] = True
    assert metrics.aupro(masks.astype(np.float32), masks) == pytest.approx(1)
    assert metrics.pixel_auroc(masks.astype(np.float32), masks) == 1
