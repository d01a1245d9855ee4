"""Whether the false-alarm rate that a report promises is kept, where photographs come in series of one part.

Made-up parts: each has features of its own, and photographs of one part differ by a little noise. The detector is
fitted and calibrated as in the pipeline, with the groups known and, for comparison, as if each photograph were of
another part. New good parts then show the rate that is kept.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tests.benchmarks.measure import table
from vqi.artifacts.features import FeatureMaps
from vqi.config import PcaFit
from vqi.detectors.aggregate import image_scores
from vqi.detectors.calibration import conformal_threshold, expected_false_alarms
from vqi.detectors.pca import Pca
from vqi.detectors.registry import folds_of

SHAPE = (12, 4, 4)  # C x h x w
NEW = 400  # good parts, and as many with a defect in one cell
SIZES, SERIES, REPEATS = (20, 60, 200), (1, 3, 10), 100
SETTINGS = PcaFit(kind="pca")
TWIN_NOISE = 0.05  # of the photographs of one part, as a share of the parts' own differences


class Kept(NamedTuple):
    """Of one calibration."""

    rate: float  # of false alarms
    recall: float
    inside: bool  # whether the rate is in the interval that the report prints


def main() -> None:
    rows = []
    for images in SIZES:
        for series in SERIES:
            if images // series < 2:
                continue
            found = [kept(images // series, series, seed) for seed in range(REPEATS)]
            with_groups, without = ([pair[place] for pair in found] for place in (0, 1))
            rows.append(
                [f"{images // series} x {series}"]
                + [text for one in (with_groups, without) for text in figures(one)]
            )  # fmt: skip
    heads = ["parts x photographs", "false alarms", "inside", "recall", "photographs alone", "inside", "recall"]
    table(f"False alarms at a promised rate of {SETTINGS.target_fpr:.0%}, {REPEATS} repeats", heads, rows)


def figures(found: list[Kept]) -> list[str]:
    """Mean rate, share of repeats inside of the interval, mean recall."""
    return [f"{np.mean([getattr(one, name) for one in found]):.1%}" for name in ("rate", "inside", "recall")]


def kept(parts: int, series: int, seed: int) -> tuple[Kept, Kept]:
    """What a calibration keeps that knows the groups, and one that takes each photograph for another part."""
    random = np.random.default_rng(seed)
    basis = np.random.default_rng(99).normal(size=(64, *SHAPE)) * np.linspace(2, 0.2, 64)[:, None, None, None]

    def draw(count: int) -> np.ndarray:
        own = np.tensordot(random.normal(size=(count, 64)), basis, axes=1)
        return np.asarray(own + random.normal(size=(count, *SHAPE)), np.float32)  # count x C x h x w

    train = np.repeat(draw(parts), series, axis=0)
    train += TWIN_NOISE * random.normal(size=train.shape).astype(np.float32)
    good, bad = draw(NEW), draw(NEW)
    bad[:, :, 1, 2] += random.normal(size=(NEW, SHAPE[0])) * 4
    together = np.repeat(np.arange(parts), series)
    found = []
    for groups in (together, np.arange(len(train))):
        fitted = Pca.fit(FeatureMaps((train,)), SETTINGS, folds_of(groups, SETTINGS))
        threshold = conformal_threshold(image_scores(fitted.held_out, SETTINGS.aggregate), SETTINGS.target_fpr, groups)
        flagged = [
            image_scores(fitted.detector.anomaly_maps(FeatureMaps((new,))), SETTINGS.aggregate) > threshold.value
            for new in (good, bad)
        ]
        rate = float(flagged[0].mean())
        _, low, high = expected_false_alarms(threshold.n, threshold.rank, NEW)
        found.append(Kept(rate, float(flagged[1].mean()), low <= rate <= high))
    return found[0], found[1]
