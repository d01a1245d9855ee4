"""The detectors by name, fitted and calibrated on good images, and loaded again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from vqi import __version__
from vqi.artifacts.detector import DetectorArtifact, DetectorRecord, Difference, check_numbers
from vqi.artifacts.features import FeatureMaps, Features
from vqi.artifacts.grouped import Groups
from vqi.artifacts.threshold import CROSS, SPLIT
from vqi.config import LEAST_TRAINING, PcaFit
from vqi.detectors.aggregate import image_scores
from vqi.detectors.calibration import operating_points, threshold_of
from vqi.detectors.differences import Comparison, Sample, among, compare
from vqi.detectors.ensemble import Ensemble
from vqi.detectors.interface import Detector, DoubleArray, Rows
from vqi.detectors.mahalanobis import Mahalanobis
from vqi.detectors.map_limit import highest_of, map_limit
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

    Where there are images for calibration, their scores by the final model set the threshold.

    Raises:
        VqiError: An unknown kind, too few good images, all of them the same, or numbers that no detector may have.
    """
    kind, apart = detector_class(settings.kind), features.calibration
    folds = folds_of(features.groups, settings) if apart is None else []
    fitted = kind.fit(features.train, settings, folds)
    if apart is None:
        maps, groups, source = fitted.held_out, features.groups, CROSS
    else:
        maps, groups, source = fitted.detector.anomaly_maps(apart.maps), apart.groups, SPLIT
    scores, highest = image_scores(maps, settings.aggregate), highest_of(maps)
    points = operating_points(scores, settings.target_fpr, groups, source)
    in_use = next(one for one in points if one.target_fpr == settings.target_fpr)
    record = DetectorRecord(
        version=__version__,
        settings=settings,
        shapes=features.train.shapes,
        operating_points=points,
        map_limit=map_limit(highest, settings.target_fpr, groups),
        differences=tuple(_differences(kind, features, settings, scores, in_use.value)),
        facts=fitted.detector.facts(),
        features=features.record,
    )
    artifact = DetectorArtifact(fitted.detector.arrays(), scores, np.asarray(groups), record, highest)
    check_numbers(artifact, "the fitted detector")
    if caveat := fitted.detector.caveat():
        message(f"warning: {caveat}")
    return artifact


def at_rate(artifact: DetectorArtifact, target_fpr: float) -> DetectorArtifact:
    """The same detector with the threshold of another false-alarm rate, from the scores that are in it.

    Raises:
        VqiError: The rate is none, or an earlier vqi wrote the detector, which kept no scores of maps.
    """
    record, scores, groups = artifact.record, artifact.calibration_scores, artifact.groups
    if artifact.highest is None:
        raise VqiError("the detector has no scores of the maps of good parts: train the category again")
    settings = PcaFit(**{**dict(record.settings), "target_fpr": target_fpr})
    changed = {
        "settings": settings,
        "operating_points": operating_points(scores, target_fpr, groups, record.threshold.source),
        "map_limit": map_limit(artifact.highest, target_fpr, groups),
        "differences": (),  # what they say of thresholds is of the other rate
    }
    found = replace(artifact, record=record.model_copy(update=changed))
    check_numbers(found, "the detector of another rate")
    return found


def _differences(
    kind: type[Detector], features: Features, settings: PcaFit, scores: DoubleArray, in_use: float
) -> Iterator[Difference]:
    """What is systematically different between good images, with the wider threshold.

    Args:
        kind: Of the detector.
        features: Those of the category.
        settings: Of the step.
        scores: From which the threshold was set: of images for calibration, or held-out ones of training images.
        in_use: That threshold.
    """
    train, apart = Sample(features.train, features.train_parts, features.groups), features.calibration
    if apart is None:
        for group, one in among(kind, settings, train, scores):
            of = features.groups == group
            own = threshold_of(scores[of], settings.target_fpr, train.parts[of])
            yield _difference(group, one, max(in_use, own.value))
        return
    found = compare(kind, settings, Sample(apart.maps, apart.parts, apart.groups), train)
    if found is not None and found.differs:
        held_out = kind.fit(features.train, settings, folds_of(features.groups, settings)).held_out
        own = threshold_of(image_scores(held_out, settings.aggregate), settings.target_fpr, features.groups)
        yield _difference(None, found, max(in_use, own.value))


def _difference(group: int | None, found: Comparison, wider_threshold: float) -> Difference:
    return Difference(group=group, wider_threshold=wider_threshold, **found._asdict())


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
    if count < LEAST_TRAINING:
        raise VqiError(
            f"calibration needs at least {LEAST_TRAINING} good training images, got {count}: add images to train/good"
        )
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
