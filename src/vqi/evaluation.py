"""Features and a detector -> scores, anomaly maps and metrics of a category's test images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vqi import metrics
from vqi.artifacts.detector import DetectorArtifact, Difference
from vqi.artifacts.features import Features
from vqi.artifacts.images import Images, IndexRow
from vqi.artifacts.metrics import HeldOut, ImageAreas, Metrics, PixelAreas, Roc, scored_of, short_digest
from vqi.artifacts.scores import MAPS_FILE, SCORES_FILE, ScoreRow, save_maps, write_scores
from vqi.artifacts.tensors import FloatArray
from vqi.artifacts.threshold import Threshold
from vqi.conclusion import Conclusion, Facts, conclude, standing_out
from vqi.config import Evaluate
from vqi.detectors.aggregate import image_scores
from vqi.detectors.comparison import Suitability, held_out_fre_ratio, suitability
from vqi.detectors.grid import resized
from vqi.detectors.interface import Detector
from vqi.detectors.registry import detector_of
from vqi.errors import VqiError


@dataclass(frozen=True)
class Unusual:
    """One of the good images that set the threshold, among those with the highest scores."""

    row: int  # in `images`
    score: float  # by a model that did not see its group
    map: FloatArray  # (h, w), by the detector itself, which may have seen it


@dataclass(frozen=True)
class Evaluation:
    """What was found out about a category."""

    rows: list[int]  # of the test images in `images`
    scores: list[ScoreRow]
    maps: FloatArray  # (N_test, h, w), on the grid of the detector
    metrics: Metrics
    roc: Roc  # of the test images
    threshold: Threshold
    conclusion: Conclusion
    suitability: tuple[Suitability, Suitability] | None = None  # of the parent and of the fine-tuned backbone
    caveat: str = ""  # why the detector's scores say little
    differences: tuple[tuple[str, Difference], ...] = ()  # between good images, with the name of the group
    unusual: tuple[Unusual, ...] = ()  # the most unusual one first

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """(N_test,) 0 normal, 1 anomalous."""
        return np.array([row.label for row in self.scores], dtype=np.int64)

    @property
    def values(self) -> npt.NDArray[np.float64]:
        """The scores, (N_test,)."""
        return np.array([row.score for row in self.scores])


def evaluate(
    images: Images, features: Features, artifact: DetectorArtifact, settings: Evaluate, leaks: int = 0
) -> Evaluation:
    """Score the test images of a category and measure.

    Args:
        images: Of the category.
        features: Of its images.
        artifact: The detector that was fitted to them.
        settings: Of the step.
        leaks: How many test images show what the detector was fitted to, as far as that is known.

    Raises:
        VqiError: Features, images and detector do not belong together, or a score is not finite.
    """
    rows = images.rows("test")
    if len(rows) != len(features.test):
        raise VqiError(
            f"features of {len(features.test)} test images do not belong to {len(rows)} test images: run the steps of "
            "one category again"
        )
    detector = detector_of(artifact, like=features.test)
    with np.errstate(all="ignore"):  # what is not finite is refused
        maps = detector.anomaly_maps(features.test)
        scores = image_scores(maps, artifact.record.settings.aggregate)
    if not np.isfinite(maps).all():
        raise VqiError("the anomaly maps hold NaN or infinity: use precision fp32, or another layer")
    labels = np.array([images.index[row].label for row in rows], dtype=np.int64)
    threshold, caveat = artifact.record.threshold, detector.caveat()
    table = [
        ScoreRow(entry.path, entry.label, entry.defect_type, float(value), int(value > threshold.value), float(p))
        for entry, value, p in zip((images.index[row] for row in rows), scores, artifact.p_values(scores), strict=True)
    ]
    areas = _image_areas(labels, scores, settings)
    compared = _compared(images, features, labels, artifact, areas.image_auroc)
    before, after = compared if compared is not None else (None, None)
    figures = Metrics(
        category=images.record.category,
        test_images=len(rows),
        test_good=int((labels == 0).sum()),
        test_anomalous=int((labels == 1).sum()),
        train_images=len(features.train),
        answered_train=sum(row.answered for row in images.index if row.split == "train"),
        answered_test=sum(images.index[row].answered for row in rows),
        detector=artifact.record.kind,
        threshold=threshold.value,
        threshold_source=threshold.source,
        target_fpr=threshold.target_fpr,
        guaranteed_fpr=threshold.guaranteed_fpr,
        good_images_needed=threshold.needed,
        held_out_fre_ratio=after.held_out_fre_ratio if after else None,
        parent_held_out_fre_ratio=before.held_out_fre_ratio if before else None,
        parent_image_auroc=before.image_auroc if before else None,
        operating_points=tuple(
            metrics.operating_point(one, labels, scores, [row.defect_type for row in table])
            for one in artifact.record.operating_points
        ),
        scored=scored_of([(one.sha256, one.label, one.path) for one in (images.index[row] for row in rows)], scores),
        held_out=_held_out(images, artifact),
        **dict(areas),
        **dict(metrics.at_threshold(labels, scores, threshold.value)),
        **dict(metrics.oracle(labels, scores)),
        **dict(_pixel_areas(images, rows, maps)),
    )
    unusual_ones = standing_out(artifact.calibration_scores)
    conclusion = conclude(Facts(figures, threshold, caveat, leaks, unusual_ones, pictured=settings.examples > 0))
    figures = figures.model_copy(update={"usable": conclusion.usable, "usable_why": conclusion.why})
    roc = Roc(threshold=threshold.value, points=tuple(metrics.roc_points(labels, scores)))
    named = tuple((_name_of(one.group, images.index), one) for one in artifact.record.differences)
    unusual = tuple(_unusual(images, features, artifact, detector, settings.examples))
    return Evaluation(rows, table, maps, figures, roc, threshold, conclusion, compared, caveat, named, unusual)


def _calibrated(images: Images) -> list[int]:
    """The rows of the images that set the threshold, in the order of the calibration scores."""
    return images.unseen() or images.rows("train")


def _unusual(
    images: Images, features: Features, artifact: DetectorArtifact, detector: Detector, most: int
) -> Iterator[Unusual]:
    """The images with the highest calibration scores, at most ``most``."""
    rows, scores = _calibrated(images), artifact.calibration_scores
    if not rows or not most:
        return
    maps = features.train if features.calibration is None else features.calibration.maps
    highest = np.argsort(-scores, kind="stable")[:most]
    found = detector.anomaly_maps(maps.rows(highest))
    for place, one in zip(highest, found, strict=True):
        yield Unusual(rows[place], float(scores[place]), one)


def _held_out(images: Images, artifact: DetectorArtifact) -> HeldOut | None:
    """The scores that set the threshold, with the images that they are of; None where those are not among the images.

    Raises:
        VqiError: Others are.
    """
    rows = [images.index[row] for row in _calibrated(images)]
    if not rows:
        return None
    if len(rows) != len(artifact.calibration_scores):
        raise VqiError(
            f"a threshold of {len(artifact.calibration_scores)} good images does not belong to {len(rows)}: run the "
            "steps of one category again"
        )
    return HeldOut(
        images=tuple(short_digest(one.sha256) for one in rows),
        parts=tuple(one.part for one in rows),
        scores=tuple(float(one) for one in artifact.calibration_scores),
    )


def _name_of(group: int | None, index: Sequence[IndexRow]) -> str:
    """What to call a group of training images: its sub-folder, or one of them; '' for no group."""
    rows = [row for row in index if row.split == "train" and row.group == group]
    if not rows:
        return ""
    first = rows[0]
    whole = first.sub_folder and all(row.sub_folder == first.sub_folder for row in rows)
    return f"in train/good/{first.sub_folder}" if whole else f"that belong with {first.path}"


def _compared(
    images: Images, features: Features, labels: npt.NDArray[np.int64], artifact: DetectorArtifact, auroc: float | None
) -> tuple[Suitability, Suitability] | None:
    """How suitable the parent and the fine-tuned backbone are, whose image AUROC is known; None without fine-tuning."""
    if features.parent is None:
        return None
    places = {row: place for place, row in enumerate(images.rows("train"))}
    rows = features.record.finetune.held_out
    if not rows or not places.keys() >= set(rows) or len(places) - len(set(rows)) < 2:
        raise VqiError(
            "the images that fine-tuning held out are not among these training images: run the steps of one category "
            "again"
        )
    held_out = [places[row] for row in rows]
    settings = artifact.record.settings
    before = suitability(*features.parent, labels, held_out, settings)
    return before, Suitability(held_out_fre_ratio(features.train, held_out, settings), auroc)


def _image_areas(labels: npt.NDArray[np.int64], scores: npt.NDArray[np.float64], settings: Evaluate) -> ImageAreas:
    interval = metrics.bootstrap_interval(labels, scores, settings.seed, repeats=settings.bootstrap)
    low, high = interval if interval is not None else (None, None)
    return ImageAreas(image_auroc=metrics.image_auroc(labels, scores), image_auroc_low=low, image_auroc_high=high)


def _pixel_areas(images: Images, rows: list[int], maps: FloatArray) -> PixelAreas:
    """Over the good images and those defective ones that have a mask; None where there is no mask."""
    measured = [
        i for i, row in enumerate(rows) if images.index[row].label == 0 or images.index[row].mask_row is not None
    ]
    if not any(images.index[rows[i]].mask_row is not None for i in measured):
        return PixelAreas(pixel_auroc=None, aupro=None)
    height, width = images.images.shape[1:3]
    large = np.stack([resized(maps[i], (height, width)) for i in measured])  # (n, H, W)
    masks = np.stack([mask_of(images, rows[i]) for i in measured])
    return PixelAreas(pixel_auroc=metrics.pixel_auroc(large, masks), aupro=metrics.aupro(large, masks))


def mask_of(images: Images, row: int) -> npt.NDArray[np.bool_]:
    """The mask (H, W) of an image; all False where it has none."""
    mask_row = images.index[row].mask_row
    if mask_row is None:
        return np.zeros(images.images.shape[1:3], np.bool_)
    return np.asarray(images.masks[mask_row])


def save_scores(folder: Path, evaluation: Evaluation, artifact: DetectorArtifact) -> None:
    """Write the artifact ``scores``: ``scores.csv`` and the anomaly maps, a row for each test image."""
    write_scores(folder / SCORES_FILE, evaluation.scores)
    save_maps(folder / MAPS_FILE, evaluation.maps, {"detector": artifact.record.model_dump(mode="json")})
