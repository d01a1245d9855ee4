"""Image and pixel metrics. Labels: 0 normal, 1 anomalous; higher scores = more anomalous; figures in [0, 1].

scipy and scikit-learn are imported where they are used: a step that only reads figures starts without them.

A figure that is not defined (one class only) is None, never NaN; scores that are not finite are an error.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vqi.artifacts.metrics import AtThreshold, OperatingPoint, Oracle, RocPoint
from vqi.artifacts.threshold import Threshold
from vqi.errors import VqiError
from vqi.intervals import auroc_interval

Labels = npt.NDArray[np.int64]
Scores = npt.NDArray[np.floating]
Masks = npt.NDArray[np.bool_]

_EIGHT_NEIGHBOURS = np.ones((3, 3), np.int64)
AUPRO_FPR_LIMIT = 0.3
MOST_ROC_POINTS = 500  # finer than a page can draw


def image_auroc(labels: Labels, scores: Scores) -> float | None:
    """Area under the ROC curve of labels (N,) and scores (N,), ties half; None with one class only.

    Raises:
        VqiError: Labels and scores differ in number, or a score is not finite.
    """
    _check(labels, scores, "scores")
    return _share(_area(*_good_below(labels, scores))) if _both_classes(labels) else None


def bootstrap_interval(labels: Labels, scores: Scores, seed: int, repeats: int = 1000) -> tuple[float, float] | None:
    """95 % interval of the image AUROC, from its variance under resampling within each class; see `vqi.intervals`.

    Returns:
        (low, high), or None with one class only.

    Raises:
        VqiError: Labels and scores differ in number, or a score is not finite.

    Source: Efron, Tibshirani, "An Introduction to the Bootstrap" (1993), section 6.2, for the variance.
    """
    _check(labels, scores, "scores")
    if not _both_classes(labels):
        return None
    random = np.random.default_rng(seed)
    below, not_above, good = _good_below(labels, scores)
    bad = len(below)
    figures = np.empty(repeats)
    for repeat in range(repeats):
        weights = np.bincount(random.integers(good, size=good), minlength=good)
        cumulated = np.concatenate([[0], np.cumsum(weights)])  # weight of the good scores below
        drawn = random.integers(bad, size=bad)
        figures[repeat] = _area(cumulated[below][drawn], cumulated[not_above][drawn], good)
    return auroc_interval(_area(below, not_above, good), float(figures.var()), good, bad)


def _good_below(labels: Labels, scores: Scores) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], int]:
    """How many good scores are below each bad one, how many are not above it, and how many there are."""
    good, bad = np.sort(scores[labels == 0]), scores[labels == 1]
    return np.searchsorted(good, bad, "left"), np.searchsorted(good, bad, "right"), len(good)


def _area(below: npt.NDArray[np.intp], not_above: npt.NDArray[np.intp], good: int) -> float:
    """Mann, Whitney, Ann. Math. Statist. 18 (1947): the share of pairs in which the bad score is the higher one."""
    return float((below + not_above).mean() / 2 / good)


def at_threshold(labels: Labels, scores: Scores, threshold: float) -> AtThreshold:
    """Counts and rates of the decision ``score > threshold``.

    Raises:
        VqiError: Labels and scores differ in number, or a score is not finite.
    """
    _check(labels, scores, "scores")
    flagged, anomalous = scores > threshold, labels == 1
    tp, fp = int((flagged & anomalous).sum()), int((flagged & ~anomalous).sum())
    fn, tn = int((~flagged & anomalous).sum()), int((~flagged & ~anomalous).sum())
    return AtThreshold(
        tp=tp,
        fp=fp,
        tn=tn,
        fn=fn,
        accuracy=_ratio(tp + tn, len(labels)),
        precision=_ratio(tp, tp + fp),
        recall=_ratio(tp, tp + fn),
        f1=_ratio(2 * tp, 2 * tp + fp + fn) if anomalous.any() else None,
        false_alarm_rate=_ratio(fp, fp + tn),
    )


def operating_point(threshold: Threshold, labels: Labels, scores: Scores, types: Sequence[str]) -> OperatingPoint:
    """What a threshold gives on the test images.

    Args:
        threshold: Set from good images only.
        labels: (N,).
        scores: (N,).
        types: Of the defect in each image, N; what it says of good images does not matter.

    Raises:
        VqiError: Labels and scores differ in number, or a score is not finite.
    """
    rates = at_threshold(labels, scores, threshold.value)
    flagged: dict[str, list[bool]] = {}
    for name, label, score in zip(types, labels, scores, strict=True):
        if label == 1:
            flagged.setdefault(name, []).append(bool(score > threshold.value))
    return OperatingPoint(
        target_fpr=threshold.target_fpr,
        threshold=threshold.value,
        method=threshold.method,
        calibration_groups=threshold.n,
        rank=threshold.rank,
        good_images_needed=threshold.needed,
        false_alarm_rate=rates.false_alarm_rate,
        recall=rates.recall,
        recall_by_type={name: sum(flagged[name]) / len(flagged[name]) for name in sorted(flagged) if len(flagged) > 1},
    )


def oracle(labels: Labels, scores: Scores) -> Oracle:
    """What the best thresholds would give if the test labels were known; all None with one class only.

    Raises:
        VqiError: Labels and scores differ in number, or a score is not finite.
    """
    from sklearn.metrics import roc_curve

    _check(labels, scores, "scores")
    if not _both_classes(labels):
        return Oracle(**dict.fromkeys(Oracle.model_fields))
    false_rate, true_rate, at = roc_curve(labels, scores, drop_intermediate=False)  # flags score >= at
    bad = int((labels == 1).sum())
    good = len(labels) - bad
    accuracy = (true_rate * bad + (1 - false_rate) * good) / len(labels)
    youden = true_rate - false_rate
    best, balanced = int(accuracy.argmax()), int(youden.argmax())
    return Oracle(
        oracle_accuracy=_share(accuracy[best]),
        oracle_accuracy_threshold=_below(scores, at[best]),
        oracle_youden=_share(youden[balanced]),
        oracle_youden_threshold=_below(scores, at[balanced]),
    )


def roc_points(labels: Labels, scores: Scores, most: int = MOST_ROC_POINTS) -> list[RocPoint]:
    """The corners of the ROC curve of labels (N,) and scores (N,), from nothing flagged to everything flagged.

    Args:
        labels: (N,) 0 normal, 1 anomalous.
        scores: (N,).
        most: Largest number of points, at least 2: of more, some are left out evenly and the two ends are kept.

    Returns:
        Points with finite thresholds that fall; none with one class only.

    Raises:
        VqiError: Labels and scores differ in number, or a score is not finite.
    """
    from sklearn.metrics import roc_curve

    _check(labels, scores, "scores")
    if not _both_classes(labels):
        return []
    false_rate, true_rate, at = roc_curve(labels, scores)  # flags score >= at, which begins with infinity
    kept = np.unique(np.linspace(0, len(at) - 1, min(most, len(at))).round().astype(int))
    return [
        RocPoint(threshold=_below(scores, at[i]), recall=_share(true_rate[i]), false_alarm_rate=_share(false_rate[i]))
        for i in kept
    ]


def pixel_auroc(maps: npt.NDArray[np.float32], masks: Masks) -> float | None:
    """Area under the ROC curve over all pixels of maps (n, H, W) with masks (n, H, W); None with one class only.

    Exact over all thresholds, ties half; about 30 bytes of memory per pixel.

    Raises:
        VqiError: Maps and masks differ in shape, or a map is not finite.

    Source: Mann, Whitney, Ann. Math. Statist. 18 (1947): the area is the rank sum of the anomalous pixels, rescaled.
    """
    from scipy.stats import rankdata

    _check(masks, maps, "maps")
    anomalous = masks.ravel()
    positives = int(anomalous.sum())
    negatives = anomalous.size - positives
    if not positives or not negatives:
        return None
    ranks = rankdata(maps.ravel())
    wins = ranks[anomalous].sum() - positives * (positives + 1) / 2
    return _share(wins / positives / negatives)


def aupro(maps: npt.NDArray[np.float32], masks: Masks, fpr_limit: float = AUPRO_FPR_LIMIT) -> float | None:
    """Area under the per-region-overlap curve up to a false-positive rate, divided by that rate.

    The overlap of each region (8-connected) is the part of it above the threshold; the curve is the mean over the
    regions against the false-positive rate over the normal pixels, exact over all thresholds and linear in between.

    Args:
        maps: (n, H, W).
        masks: (n, H, W); images without a defect are all False and count for the false-positive rate.
        fpr_limit: Where the integration ends, in (0, 1].

    Returns:
        In [0, 1]; None where no pixel, or every pixel, is anomalous.

    Raises:
        VqiError: Maps and masks differ in shape, a map is not finite, or the limit is out of range.

    Source: Bergmann et al., "The MVTec Anomaly Detection Dataset", IJCV 129 (2021), section 5.1.
    """
    _check(masks, maps, "maps")
    if not 0 < fpr_limit <= 1:
        raise VqiError(f"fpr_limit: expected a rate above 0 and at most 1, got {fpr_limit}")
    weights, regions = _region_weights(masks)
    normal = int((~masks).sum())
    if not regions or not normal:
        return None
    flat = maps.ravel()
    order = np.argsort(flat)[::-1]
    ends = np.flatnonzero(np.append(np.diff(flat[order]) != 0, True))  # the last pixel of each distinct value
    weights = weights[order]
    overlap = np.concatenate([[0.0], np.cumsum(weights)[ends] / regions])
    rate = np.concatenate([[0.0], np.cumsum(weights == 0)[ends] / normal])
    inside = rate <= fpr_limit
    x = np.append(rate[inside], fpr_limit)
    y = np.append(overlap[inside], np.interp(fpr_limit, rate, overlap))
    return _share(((x[1:] - x[:-1]) * (y[1:] + y[:-1]) / 2).sum() / fpr_limit)


def _region_weights(masks: Masks) -> tuple[npt.NDArray[np.float64], int]:
    """For each pixel of (n, H, W), 1 / size of its region, or 0 in none; and how many regions there are."""
    from scipy.ndimage import label as connected_components

    weights = np.zeros(masks.shape)
    regions = 0
    for weight, mask in zip(weights, masks, strict=True):
        marked, count = connected_components(mask, structure=_EIGHT_NEIGHBOURS)
        sizes = np.bincount(marked.ravel())
        weight[mask] = 1 / sizes[marked[mask]]
        regions += count
    return weights.ravel(), regions


def _check(truth: npt.NDArray[np.generic], values: Scores, name: str) -> None:
    """Refuse what would make a figure NaN or meaningless."""
    if truth.shape != values.shape:
        raise VqiError(f"metrics: expected {name} of shape {truth.shape} as the labels, got {values.shape}")
    if not np.isfinite(values).all():
        broken = int((~np.isfinite(values)).sum())
        raise VqiError(
            f"metrics: expected finite {name}, got {broken} NaN or infinite of {values.size}: fit the detector again"
        )


def _both_classes(labels: Labels) -> bool:
    return bool((labels == 0).any() and (labels == 1).any())


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _share(value: float) -> float:
    """A figure in [0, 1] without what rounding puts beyond its ends."""
    return min(max(float(value), 0.0), 1.0)


def _below(scores: Scores, at: float) -> float:
    """The threshold for ``score > threshold`` that decides as ``score >= at`` does: the next lower score."""
    lower = scores[scores < at]
    return float(lower.max()) if len(lower) else float(np.nextafter(scores.min(), -np.inf))
