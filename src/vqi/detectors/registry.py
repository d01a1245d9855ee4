"""The detectors by name, fitted and calibrated on good images, and loaded again."""

from __future__ import annotations

import numpy as np

from vqi import __version__
from vqi.artifacts.detector import DetectorArtifact, DetectorRecord, check_numbers
from vqi.artifacts.features import FeatureMaps, Features
from vqi.artifacts.grouped import Groups
from vqi.config import PcaFit
from vqi.detectors.aggregate import image_scores
from vqi.detectors.calibration import conformal_threshold
from vqi.detectors.ensemble import Ensemble
from vqi.detectors.interface import Detector, Rows
from vqi.detectors.mahalanobis import Mahalanobis
from vqi.detectors.neighbours import Neighbours
from vqi.detectors.patch_pca import PatchPca
from vqi.detectors.pca import Pca
from vqi.errors import VqiError, unknown
from vqi.progress import message

DETECTORS: dict[str, type[Detector]] = {
    "pca": Pca,
    "patch_pca": PatchPca,
    "mahalanobis": Mahalanobis,
    "neighbours": Neighbours,
    "ensemble": Ensemble,
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
    folds = folds_of(features.groups, settings)
    fitted = detector_class(settings.kind).fit(features.train, settings, folds)
    scores = image_scores(fitted.held_out, settings.aggregate)
    record = DetectorRecord(
        version=__version__,
        settings=settings,
        shapes=features.train.shapes,
        threshold=conformal_threshold(scores, settings.target_fpr, features.groups),
        facts=fitted.detector.facts(),
        features=features.record,
    )
    artifact = DetectorArtifact(fitted.detector.arrays(), scores, np.asarray(features.groups), record)
    check_numbers(artifact, "the fitted detector")
    if caveat := fitted.detector.caveat():
        message(f"warning: {caveat}")
    return artifact


def folds_of(groups: Groups, settings: PcaFit) -> list[Rows]:
    """The rows of training images in at most ``settings.folds`` parts of about equal size; no group is divided.

    Every model is fitted to at least two images: with three groups or fewer, each is a fold of its own. Where all
    images but one are of one group, they are divided without regard to groups, and nothing is promised by them: a
    threshold of one or two groups says so.

    Args:
        groups: (N,), equal for images that belong together.
        settings: How many, and the seed of their order.

    Raises:
        VqiError: Fewer than three images.
    """
    count = len(groups)
    if count < 3:
        raise VqiError(f"calibration needs at least 3 good training images, got {count}: add images to train/good")
    _, places, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if sizes.max() > count - 2:
        places, sizes = np.arange(count), np.ones(count, int)
    order = np.random.default_rng(settings.seed).permutation(len(sizes))
    wanted = len(sizes) if len(sizes) <= 3 else min(settings.folds, len(sizes))
    fold_of, held = np.empty(len(sizes), int), np.zeros(wanted, int)
    for group in order:  # each into the smallest fold so far, so that a large group does not make a large fold larger
        fold_of[group] = smallest = int(held.argmin())
        held[smallest] += sizes[group]
    return [np.flatnonzero(fold_of[places] == fold) for fold in range(wanted)]


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
    return detector_class(record.kind).from_arrays(artifact.arrays, record.shapes, record.settings)
