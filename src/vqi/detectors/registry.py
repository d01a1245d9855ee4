"""The detectors by name, fitted and calibrated on good images, and loaded again."""

from __future__ import annotations

import numpy as np

from vqi import __version__
from vqi.artifacts.detector import DetectorArtifact, DetectorRecord, check_numbers
from vqi.artifacts.features import FeatureMaps, Features
from vqi.config import PcaFit
from vqi.detectors.calibration import conformal_threshold
from vqi.detectors.interface import Detector, Rows
from vqi.detectors.patch_pca import PatchPca
from vqi.detectors.pca import Pca
from vqi.errors import VqiError, unknown
from vqi.progress import message

DETECTORS: dict[str, type[Detector]] = {
    "pca": Pca,
    "patch_pca": PatchPca,
}


def detector_class(kind: str) -> type[Detector]:
    """The detector of that name.

    Raises:
        VqiError: There is none, with a did-you-mean.
    """
    if kind not in DETECTORS:
        raise unknown("detector", kind, DETECTORS)
    return DETECTORS[kind]


def fit_detector(features: Features, settings: PcaFit) -> DetectorArtifact:
    """Fit a detector to the train features and calibrate its threshold on good images only.

    Raises:
        VqiError: An unknown kind, too few good images, all of them the same, or numbers that no detector may have.
    """
    folds = folds_of(len(features.train), settings)
    fitted = detector_class(settings.kind).fit(features.train, settings, folds)
    record = DetectorRecord(
        version=__version__,
        settings=settings,
        shapes=features.train.shapes,
        threshold=conformal_threshold(fitted.held_out, settings.target_fpr),
        facts=fitted.detector.facts(),
        features=features.record,
    )
    artifact = DetectorArtifact(fitted.detector.arrays(), fitted.held_out, record)
    check_numbers(artifact, "the fitted detector")
    if caveat := fitted.detector.caveat():
        message(f"warning: {caveat}")
    return artifact


def folds_of(count: int, settings: PcaFit) -> list[Rows]:
    """The rows of ``count`` training images in ``settings.folds`` parts, so that at least two are left for each model.

    Leave-one-out where there are fewer images than folds.

    Raises:
        VqiError: Fewer than three images.
    """
    if count < 3:
        raise VqiError(f"calibration needs at least 3 good training images, got {count}: add images to train/good")
    order = np.random.default_rng(settings.seed).permutation(count)
    return np.array_split(order, count if count == 3 else min(settings.folds, count))


def detector_of(artifact: DetectorArtifact, like: FeatureMaps | None = None) -> Detector:
    """The detector of an artifact.

    Args:
        artifact: As it was loaded.
        like: Features that it is going to score, compared with what it was fitted to; None skips that check.

    Raises:
        VqiError: A kind that this version does not know, arrays that do not fit, or features of other shapes.
    """
    record = artifact.record
    if like is not None and like.shapes != record.shapes:
        raise VqiError(
            f"detector of maps {record.shapes}: expected features of these shapes (C, h, w), got {like.shapes}: run "
            "the steps of one category again"
        )
    return detector_class(record.kind).from_arrays(artifact.arrays, record.shapes)
