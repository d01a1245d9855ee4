"""What a threshold of few good images keeps: the order statistic, and the fitted tail, on photographs of ELPV.

A detector is fitted and calibrated as in the pipeline on some of the good training images, drawn at random; the false
alarms are counted on good images that it has not seen, the recall on the defective test images.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tests.benchmarks.default_setting import images_of
from tests.benchmarks.measure import table
from vqi.artifacts.features import FeatureMaps
from vqi.artifacts.threshold import Threshold
from vqi.config import FeatureExtract, PcaFit, Preprocess, defaults
from vqi.detectors.aggregate import image_scores
from vqi.detectors.calibration import expected_false_alarms, threshold_of
from vqi.detectors.registry import DETECTORS, folds_of
from vqi.network.building import build
from vqi.network.engines import choose
from vqi.network.extraction import Extractor

SIZES, REPEATS = (10, 20, 31, 60, 120), 20
RATES = (0.02, 0.05)
SETTINGS = PcaFit(kind="pca")


class Kept(NamedTuple):
    """Of one calibration."""

    rate: float  # of false alarms
    recall: float
    inside: bool  # whether the rate is in the interval that the report prints


def main() -> None:
    features = defaults(FeatureExtract)
    extractor = Extractor(
        build("tf_efficientnet_lite0", "pretrained"),
        FeatureExtract().layers,
        features.pool,
        features.batch_size,
        choose("auto", "auto"),
    )
    for kind in ("mono", "poly"):
        (good, _, test), labels = images_of(kind, defaults(Preprocess).image_size)
        train, tested = extractor.extract(np.asarray(good)), extractor.extract(np.asarray(test))
        rows = []
        for size in SIZES:
            found = [kept(train, tested, labels, size, seed) for seed in range(REPEATS)]
            for place, rate in enumerate(RATES):
                methods = list(zip(*(one[place] for one in found), strict=True))
                taken = methods[2]
                rows.append(
                    [f"{size}", f"{rate:.0%}"]
                    + [text for one in methods[:2] for text in figures(one)]
                    + [f"{np.mean([one.rate for one in taken]):.1%}", f"{np.mean([one.inside for one in taken]):.0%}"]
                )
        heads = ["good images", "promised", "order statistic: false alarms", "recall", "spread of recall"]
        heads += ["fitted tail: false alarms", "recall", "spread of recall", "the rule's: false alarms", "inside"]
        table(f"ELPV {kind}: thresholds of few good images, {REPEATS} repeats", heads, rows)


def figures(found: tuple[Kept, ...]) -> list[str]:
    """Mean rate, mean recall, and its standard deviation over the repeats."""
    recalls = [one.recall for one in found]
    return [f"{np.mean([one.rate for one in found]):.1%}", f"{np.mean(recalls):.1%}", f"{np.std(recalls):.1%}"]


def kept(train: FeatureMaps, test: FeatureMaps, labels: np.ndarray, size: int, seed: int) -> list[tuple[Kept, ...]]:
    """For each rate what the order statistic, the fitted tail and the rule keep."""
    chosen = np.random.default_rng(seed).choice(len(train), size, replace=False)
    rest = np.setdiff1d(np.arange(len(train)), chosen)
    groups = np.arange(size)
    fitted = DETECTORS[SETTINGS.kind].fit(train.rows(chosen), SETTINGS, folds_of(groups, SETTINGS))
    calibration = image_scores(fitted.held_out, SETTINGS.aggregate)
    unseen, tested = (
        image_scores(fitted.detector.anomaly_maps(one), SETTINGS.aggregate) for one in (train.rows(rest), test)
    )
    good, bad = np.concatenate([unseen, tested[labels == 0]]), tested[labels == 1]
    found = []
    for rate in RATES:
        threshold = threshold_of(calibration, rate, groups)
        assert threshold.fitted is not None
        values = (threshold.order_statistic, threshold.fitted.value, threshold.value)
        found.append(tuple(_kept(value, threshold, good, bad) for value in values))
    return found


def _kept(value: float, threshold: Threshold, good: np.ndarray, bad: np.ndarray) -> Kept:
    rate = float((good > value).mean())
    _, low, high = expected_false_alarms(threshold.n, threshold.rank, len(good))
    return Kept(rate, float((bad > value).mean()), low <= rate <= high)
