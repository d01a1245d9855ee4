"""Whether good images that differ are told from those that don't, and what images for calibration are worth then.

Made-up parts that vary in some directions, the first ones most. Those for calibration are drawn as those that train are
(how often is a difference seen where there is none?) or moved along a direction of their own, as on a day with another
light (how often is it found? how many good parts of that day are flagged, by the threshold of either kind of images?).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import mannwhitneyu

from tests.benchmarks.measure import table
from vqi.artifacts.features import FeatureMaps
from vqi.config import PcaFit
from vqi.detectors.aggregate import image_scores
from vqi.detectors.calibration import conformal_threshold
from vqi.detectors.differences import SIGNIFICANT, Sample, compare
from vqi.detectors.pca import Pca
from vqi.detectors.registry import folds_of

DIRECTIONS = ((12, 60), (64, 200), (300, 400))  # in which parts vary, and in all
SIZES = ((20, 40), (40, 200), (100, 40), (200, 200))  # images that train, and for calibration
REPEATS, NEW = 200, 200
LIGHT = 0.2  # of the most important direction's spread
SETTINGS = PcaFit(kind="pca", scaling="raw")


class Seen(NamedTuple):
    """Of one draw."""

    halves: bool  # whether the step says that the images differ
    folds: bool  # whether held-out scores of training images would have said so
    by_calibration: float  # share of new good parts of that day above the threshold of images for calibration
    by_training: float  # and above that of held-out training images


def main() -> None:
    rows = []
    for directions, features in DIRECTIONS:
        for train, apart in SIZES:
            alike, moved = (
                [seen(directions, features, train, apart, light, seed) for seed in range(REPEATS)]
                for light in (0.0, LIGHT)
            )
            shares = [(alike, "halves"), (alike, "folds"), (moved, "halves"), (moved, "by_calibration")]
            shares.append((moved, "by_training"))
            figures = [f"{np.mean([getattr(one, name) for one in found]):.1%}" for found, name in shares]
            rows.append([f"{directions}", f"{train}", f"{apart}", *figures])
    heads = ["directions", "train", "calibration", "alike: found", "by held-out scores", "another light: found"]
    heads += ["flagged", "flagged by training images' threshold"]
    table(f"Good images that differ, {REPEATS} repeats, p < {SIGNIFICANT}, a promised rate of 5 %", heads, rows)


def seen(directions: int, features: int, train: int, apart: int, light: float, seed: int) -> Seen:
    """What is seen of a draw; ``light`` moves all parts that do not train."""
    random = np.random.default_rng(seed)
    spread = 1 / np.sqrt(1 + np.arange(directions))
    basis = random.normal(size=(directions, features)) * spread[:, None]
    day = light * random.normal(size=features)

    def draw(count: int, moved: bool) -> Sample:
        vectors = random.normal(size=(count, directions)) @ basis + random.normal(0, 0.1, (count, features))
        maps = FeatureMaps(((vectors + moved * day).astype(np.float32)[:, :, None, None],))
        return Sample(maps, np.arange(count), np.arange(count))

    usual, odd, new = draw(train, False), draw(apart, True), draw(NEW, True)
    found = compare(Pca, SETTINGS, odd, usual)
    fitted = Pca.fit(usual.maps, SETTINGS, folds_of(usual.groups, SETTINGS))
    held_out = image_scores(fitted.held_out, SETTINGS.aggregate)
    theirs, good = (image_scores(fitted.detector.anomaly_maps(one.maps), SETTINGS.aggregate) for one in (odd, new))
    thresholds = [conformal_threshold(scores, SETTINGS.target_fpr).value for scores in (theirs, held_out)]
    return Seen(
        found is not None and found.differs,
        float(mannwhitneyu(theirs, held_out).pvalue) < SIGNIFICANT,
        *(float((good > value).mean()) for value in thresholds),
    )
