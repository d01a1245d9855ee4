"""The metrics against hand-computed cases, brute force and scikit-learn."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

from vqi import metrics
from vqi.detectors.calibration import conformal_threshold
from vqi.errors import VqiError
from vqi.intervals import auroc_interval

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
    assert metrics.bootstrap_interval(labels, SCORES, 0, repeats=1000) is None
    assert set(metrics.oracle(labels, SCORES).model_dump().values()) == {None}
    at = metrics.at_threshold(labels, SCORES, 0.36)
    assert at.recall is None
    assert at.f1 is None
    assert at.false_alarm_rate == pytest.approx(2 / 5)
    empty = metrics.at_threshold(labels[:0], SCORES[:0], 0.36)
    assert empty.accuracy is None


def test_at_threshold_by_hand() -> None:
    at = metrics.at_threshold(LABELS, SCORES, 0.35)  # a score at the threshold is not flagged
    assert (at.tp, at.fp, at.tn, at.fn) == (1, 1, 2, 1)
    assert at.accuracy == pytest.approx(3 / 5)
    assert at.recall == at.precision == at.f1 == pytest.approx(1 / 2)
    assert at.false_alarm_rate == pytest.approx(1 / 3)


def test_roc_points_by_hand() -> None:
    points = [(p.threshold, p.recall, p.false_alarm_rate) for p in metrics.roc_points(LABELS, SCORES)]
    assert points == [
        (0.8, 0, 0),  # a score at the threshold is not flagged
        (0.4, 1 / 2, 0),
        (0.35, 1 / 2, 1 / 3),
        (0.1, 1, 2 / 3),
        (pytest.approx(0.1), 1, 1),
    ]
    assert points[-1][0] < 0.1


@given(cases)
def test_roc_points_are_what_their_thresholds_give(case: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = case
    points = metrics.roc_points(labels, scores)
    for point in points:
        at = metrics.at_threshold(labels, scores, point.threshold)
        assert (at.recall, at.false_alarm_rate) == pytest.approx((point.recall, point.false_alarm_rate))
    rates = np.array([(point.false_alarm_rate, point.recall) for point in points])
    area = ((rates[1:, 0] - rates[:-1, 0]) * (rates[1:, 1] + rates[:-1, 1]) / 2).sum()
    assert area == pytest.approx(roc_auc_score(labels, scores))


def test_roc_points_at_most() -> None:
    random = np.random.default_rng(0)
    labels, scores = random.integers(2, size=3000), random.normal(size=3000)
    assert len(metrics.roc_points(labels, scores)) == metrics.MOST_ROC_POINTS
    few = metrics.roc_points(labels, scores, most=2)
    assert [(p.recall, p.false_alarm_rate) for p in few] == [(0, 0), (1, 1)]
    assert metrics.roc_points(np.zeros(5, np.int64), SCORES) == []


@given(cases, st.floats(-21, 21))
def test_at_threshold_as_sklearn(case: tuple[np.ndarray, np.ndarray], threshold: float) -> None:
    labels, scores = case
    decided = (scores > threshold).astype(int)
    at = metrics.at_threshold(labels, scores, threshold)
    assert at.accuracy == pytest.approx(accuracy_score(labels, decided))
    assert at.f1 == pytest.approx(f1_score(labels, decided, zero_division=0))


@given(cases)
def test_oracle_is_the_best_of_all_thresholds(case: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = case
    candidates = [*np.unique(scores), scores.min() - 1]
    best = max(accuracy_score(labels, scores > t) for t in candidates)
    found = metrics.oracle(labels, scores)
    assert found.oracle_accuracy == pytest.approx(best)
    # the threshold that it returns gives the accuracy that it claims
    reached = metrics.at_threshold(labels, scores, found.oracle_accuracy_threshold)
    assert reached.accuracy == pytest.approx(best)
    at = metrics.at_threshold(labels, scores, found.oracle_youden_threshold)
    assert at.recall - at.false_alarm_rate == pytest.approx(found.oracle_youden)


@given(cases)
def test_auroc_ignores_a_monotone_change(case: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = case
    assert metrics.image_auroc(labels, scores) == pytest.approx(metrics.image_auroc(labels, np.exp(scores / 10)))


def two_kinds_of_good() -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores whose AUROC varies more than the model of its interval expects."""
    labels = np.repeat([0, 1], [20, 150])
    scores = np.round(np.random.default_rng(0).normal(size=170) + 3 * labels, 1)
    scores[:6] += 9
    return labels, scores


def test_bootstrap_holds_the_figure_and_is_repeatable() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], [100, 150])
    scores = random.normal(size=250) + labels
    low, high = metrics.bootstrap_interval(labels, scores, seed=3, repeats=1000)
    assert low < metrics.image_auroc(labels, scores) < high
    assert 0.04 < high - low < 0.2  # Hanley-McNeil's standard error is 0.028 here
    assert (low, high) == metrics.bootstrap_interval(labels, scores, seed=3, repeats=1000)
    first, other = (metrics.bootstrap_interval(*two_kinds_of_good(), seed, repeats=1000) for seed in (3, 4))
    assert first != other


def test_bootstrap_counts_ties_half() -> None:
    low, high = metrics.bootstrap_interval(np.repeat([0, 1], 10), np.ones(20), 0, repeats=1000)
    assert (low + high) / 2 == pytest.approx(0.5)
    assert 0.3 < high - low < 0.7, "20 images that are all the same prove little"


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


def regions_by_flood_fill(image: int, mask: np.ndarray) -> list[set[tuple[int, int, int]]]:
    """The 8-connected regions of a mask, as sets of (image, row, column)."""
    left, regions = set(zip(*np.nonzero(mask), strict=True)), []
    while left:
        edge, region = [left.pop()], set()
        while edge:
            y, x = edge.pop()
            region.add((image, y, x))
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            edge += near
        regions.append(region)
    return regions


@given(st.integers(0, 10_000))
def test_aupro_as_brute_force(seed: int) -> None:
    random = np.random.default_rng(seed)
    masks = random.random((2, 5, 5)) < 0.3
    maps = random.integers(0, 5, (2, 5, 5)).astype(np.float32)
    if not masks.any() or masks.all():
        return
    regions = [region for image, mask in enumerate(masks) for region in regions_by_flood_fill(image, mask)]
    points = [(0.0, 0.0)]
    for threshold in sorted(set(maps.ravel()), reverse=True):
        above = maps >= threshold
        overlap = np.mean([np.mean([above[pixel] for pixel in region]) for region in regions])
        points.append(((above & ~masks).sum() / (~masks).sum(), overlap))
    area = 0.0
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        if x0 >= 0.3:
            break
        end = min(x1, 0.3)
        y_end = y1 if x1 <= 0.3 else y0 + (y1 - y0) * (end - x0) / (x1 - x0)
        area += (end - x0) * (y0 + y_end) / 2
    assert metrics.aupro(maps, masks) == pytest.approx(area / 0.3)


@given(st.integers(0, 10_000), st.floats(0.05, 1))
def test_pixel_metrics_ignore_a_monotone_change(seed: int, limit: float) -> None:
    random = np.random.default_rng(seed)
    masks = random.random((2, 6, 6)) < 0.3
    masks[0, 0, 0], masks[0, 0, 1] = True, False
    maps = random.integers(0, 9, masks.shape).astype(np.float32)
    changed = np.exp(maps / 3).astype(np.float32)
    assert metrics.pixel_auroc(maps, masks) == pytest.approx(metrics.pixel_auroc(changed, masks))
    assert metrics.aupro(maps, masks, limit) == pytest.approx(metrics.aupro(changed, masks, limit))
    assert 0 <= metrics.aupro(maps, masks, limit) <= 1


@given(cases)
def test_negated_scores_mirror_the_auroc(case: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = case
    assert metrics.image_auroc(labels, scores) == pytest.approx(1 - metrics.image_auroc(labels, -scores))
    low, high = metrics.bootstrap_interval(labels, scores, seed=0, repeats=50)
    assert 0 <= low <= high <= 1


@pytest.mark.slow
def test_bootstrap_is_the_auroc_of_resampled_images() -> None:
    # against the slow way: resample, then scikit-learn
    random = np.random.default_rng(5)
    labels, scores = two_kinds_of_good()
    slow = []
    for _ in range(2000):
        rows = np.concatenate([random.choice(np.flatnonzero(labels == one), (labels == one).sum()) for one in (0, 1)])
        slow.append(roc_auc_score(labels[rows], scores[rows]))
    auroc = roc_auc_score(labels, scores)
    expected = auroc_interval(auroc, float(np.var(slow)), 20, 150)
    assert metrics.bootstrap_interval(labels, scores, seed=1, repeats=2000) == pytest.approx(expected, abs=0.01)
    assert auroc_interval(auroc, 0.0, 20, 150) != pytest.approx(expected, abs=0.05), "else it proves nothing"


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_refused(broken: float) -> None:
    scores = np.where(SCORES == 0.8, broken, SCORES)
    calls = [
        lambda: metrics.image_auroc(LABELS, scores),
        lambda: metrics.bootstrap_interval(LABELS, scores, 0, repeats=1000),
        lambda: metrics.at_threshold(LABELS, scores, 0.5),
        lambda: metrics.oracle(LABELS, scores),
        lambda: metrics.pixel_auroc(scores.reshape(1, 1, 5), LABELS.reshape(1, 1, 5) == 1),
        lambda: metrics.aupro(scores.reshape(1, 1, 5), LABELS.reshape(1, 1, 5) == 1),
    ]
    for call in calls:
        with pytest.raises(VqiError, match="1 NaN or infinite of 5"):
            call()


def test_shapes_and_limits_are_checked() -> None:
    with pytest.raises(VqiError, match=r"shape \(5,\).*got \(4,\)"):
        metrics.image_auroc(LABELS, SCORES[:4])
    masks = np.eye(4, dtype=bool)[None]
    for limit in (0.0, 1.5, -1.0):
        with pytest.raises(VqiError, match="fpr_limit"):
            metrics.aupro(masks.astype(np.float32), masks, limit)


def test_aupro_is_none_without_regions_or_without_normal_pixels() -> None:
    maps = np.zeros((1, 3, 3), np.float32)
    assert metrics.aupro(maps, np.zeros((1, 3, 3), bool)) is None
    assert metrics.aupro(maps, np.ones((1, 3, 3), bool)) is None


def test_perfect_maps_give_one() -> None:
    masks = np.zeros((2, 8, 8), bool)
    masks[0, 2:4, 2:4] = True
    assert metrics.aupro(masks.astype(np.float32), masks) == pytest.approx(1)
    assert metrics.pixel_auroc(masks.astype(np.float32), masks) == 1


def test_aupro_goes_to_thirty_percent_as_the_literature_does() -> None:
    random = np.random.default_rng(0)
    maps, masks = random.random((3, 8, 8), np.float32), random.random((3, 8, 8)) < 0.2
    assert metrics.aupro(maps, masks) == metrics.aupro(maps, masks, fpr_limit=0.3) != metrics.aupro(maps, masks, 0.5)


def test_an_operating_point_has_the_recall_of_each_type_where_there_are_several() -> None:
    threshold = conformal_threshold(np.arange(1.0, 41), 0.1)
    labels, scores = np.array([0, 0, 1, 1, 1, 1]), np.array([5, 50, 60, 6, 70, 80.0])
    found = metrics.operating_point(threshold, labels, scores, ["good", "good", "dent", "dent", "scratch", "scratch"])
    assert (found.target_fpr, found.threshold, found.method) == (0.1, threshold.value, "order statistic")
    assert (found.calibration_groups, found.rank, found.good_images_needed) == (40, threshold.rank, 9)
    assert (found.false_alarm_rate, found.recall) == (0.5, 0.75)
    assert found.recall_by_type == {"dent": 0.5, "scratch": 1.0}
    assert metrics.operating_point(threshold, labels, scores, ["dent"] * 6).recall_by_type == {}
