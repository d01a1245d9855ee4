"""The artifact ``detector``: its kind, that kind's arrays, the scores it was calibrated on, and its threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from vqi.artifacts.features import FeaturesRecord
from vqi.artifacts.grouped import Groups, p_values, rank_of, score_of_rank
from vqi.artifacts.tensors import load_tensors, save_tensors
from vqi.artifacts.threshold import Threshold, wanted_rank
from vqi.config import PcaFit
from vqi.errors import VqiError
from vqi.records import Record, parse

KIND = "vqi.detector/7"
AGAIN = "run pca_fit again"
_CALIBRATION = "calibration_scores"
_GROUPS = "calibration_groups"
_HIGHEST = "calibration_highest"
_ARRAYS = "detector."  # begins the names of the kind's own arrays
_Positive = Annotated[int, Field(gt=0)]


class Difference(Record):
    """Good images that score systematically otherwise than others; see ``vqi.detectors.differences``."""

    group: int | None  # of training images, against the others; None: images for calibration, against training images
    units: int = Field(ge=1)  # parts or groups on this side
    others: int = Field(ge=1)  # on the other one
    p_value: float = Field(ge=0, le=1)  # two-sided, over all comparisons
    higher: float = Field(ge=0, le=1)  # the share of pairs in which one of these scores higher than one of the others
    wider_threshold: float  # the higher one of the thresholds of both sides


class DetectorRecord(Record):
    """What the detector is and what made it."""

    version: str
    settings: PcaFit  # its kind among them
    shapes: tuple[tuple[_Positive, _Positive, _Positive], ...]  # (C, h, w) of each layer that it was fitted to
    operating_points: tuple[Threshold, ...]  # of several rates, the lowest first
    map_limit: float = Field(ge=0)  # what the highest cell of a good part's map stays below as often as its score
    differences: tuple[Difference, ...] = ()  # between good images
    facts: dict[str, int | float | str]  # what a report says of it, by its name
    features: FeaturesRecord

    @model_validator(mode="after")
    def _shapes_are_of_the_layers(self) -> DetectorRecord:
        layers = self.features.settings.layers
        if len(self.shapes) != len(layers):
            raise ValueError(f"shapes: expected one for each of {', '.join(layers)}, got {len(self.shapes)}")
        return self

    @model_validator(mode="after")
    def _points_in_order(self) -> DetectorRecord:
        rates = [one.target_fpr for one in self.operating_points]
        if rates != sorted({*rates}) or self.settings.target_fpr not in rates:
            raise ValueError(
                f"operating_points: expected different rates, {self.settings.target_fpr} among them, got {rates}"
            )
        return self

    @property
    def threshold(self) -> Threshold:
        """That of the rate which the user named."""
        return next(one for one in self.operating_points if one.target_fpr == self.settings.target_fpr)

    @property
    def kind(self) -> str:
        """Which detector it is: a name of ``vqi.detectors.registry.DETECTORS``."""
        return self.settings.kind


@dataclass(frozen=True)
class DetectorArtifact:
    """The artifact ``detector``."""

    arrays: Mapping[str, npt.NDArray[Any]]  # those of its kind, by name
    calibration_scores: npt.NDArray[np.float64]  # (N,), of good images, each from a model that did not see its group
    groups: Groups  # (N,), equal for images that belong together
    record: DetectorRecord
    # (N,), the square roots of the highest cells of the same images' maps; None in what an earlier vqi wrote
    highest: npt.NDArray[np.float64] | None = None

    def p_values(self, scores: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """The share of good parts that are at least as unusual, for each score, (m,) in (0, 1]."""
        return p_values(scores, self.calibration_scores, self.groups)

    def in_memory(self) -> DetectorArtifact:
        """The same with its arrays copied out of the file, which may go away."""
        arrays = {name: np.array(array) for name, array in self.arrays.items()}
        highest = None if self.highest is None else np.array(self.highest)
        return DetectorArtifact(arrays, np.array(self.calibration_scores), np.array(self.groups), self.record, highest)


def save_detector(path: Path, detector: DetectorArtifact) -> None:
    """Write ``detector.safetensors``."""
    tensors = {f"{_ARRAYS}{name}": array for name, array in detector.arrays.items()}
    tensors |= {_CALIBRATION: detector.calibration_scores, _GROUPS: detector.groups}
    if detector.highest is not None:
        tensors[_HIGHEST] = detector.highest
    save_tensors(path, KIND, tensors, detector.record.model_dump(mode="json"))


def load_detector(path: Path) -> DetectorArtifact:
    """Memory-map ``detector.safetensors``.

    Raises:
        VqiError: The file is missing, damaged or another one, or a number in it is not what a detector may have.
    """
    arrays, header = load_tensors(path, KIND, AGAIN)
    record = parse(DetectorRecord, header, str(path), AGAIN)
    scores, groups = arrays.pop(_CALIBRATION, np.zeros(0)), arrays.pop(_GROUPS, np.zeros(0))
    highest = arrays.pop(_HIGHEST, None)
    if any(not name.startswith(_ARRAYS) for name in arrays):
        raise VqiError(f"{path}: expected arrays '{_ARRAYS}...', got {', '.join(sorted(arrays))}; {AGAIN}")
    own = {name.removeprefix(_ARRAYS): array for name, array in arrays.items()}
    detector = DetectorArtifact(own, scores, groups, record, highest)
    check_numbers(detector, str(path))
    return detector


def check_numbers(detector: DetectorArtifact, place: str) -> None:
    """Refuse numbers by which every part would pass, or by which nothing can be decided.

    Args:
        detector: As it was fitted or loaded; whether the arrays are those of its kind, the kind itself says.
        place: Where it is, for the error.

    Raises:
        VqiError: An array is not of finite floating-point numbers, a calibration score is negative, or a threshold is
            not of these scores.
    """
    scores, threshold = detector.calibration_scores, detector.record.threshold
    for name, array in {**detector.arrays, _CALIBRATION: scores}.items():
        if array.dtype not in (np.float32, np.float64):
            raise VqiError(f"{place}: array '{name}': expected floating-point numbers, got {array.dtype}; {AGAIN}")
        if not np.isfinite(array).all():
            raise VqiError(f"{place}: array '{name}' holds NaN or infinity; {AGAIN}")
    if scores.shape != (threshold.images,):
        raise VqiError(f"{place}: expected {threshold.images} calibration scores, got {scores.shape}; {AGAIN}")
    groups = detector.groups
    if groups.shape != scores.shape or groups.dtype != np.int64 or len(np.unique(groups)) != threshold.n:
        raise VqiError(
            f"{place}: expected the calibration scores in {threshold.n} groups, int64, got {groups.dtype} "
            f"{groups.shape} in {len(np.unique(groups))}; {AGAIN}"
        )
    if scores.min() < 0:
        raise VqiError(f"{place}: expected calibration scores of at least 0, got {scores.min():.4g}; {AGAIN}")
    highest = detector.highest
    if highest is not None and not (
        highest.shape == scores.shape and np.isfinite(highest).all() and highest.min() >= 0
    ):
        raise VqiError(f"{place}: array '{_HIGHEST}': expected {len(scores)} finite numbers of at least 0; {AGAIN}")
    for point in detector.record.operating_points:
        _check_point(point, scores, groups, place)


def _check_point(point: Threshold, scores: npt.NDArray[np.float64], groups: Groups, place: str) -> None:
    """Refuse a threshold that is not of these calibration scores (n,), in these groups."""
    expected = score_of_rank(scores, groups, wanted_rank(point.n, point.target_fpr))
    if point.order_statistic != expected or (point.n, point.images) != (len(np.unique(groups)), len(scores)):
        raise VqiError(
            f"{place}: threshold of {point.target_fpr:.4g}: expected the order statistic {expected:.6g}, got "
            f"{point.order_statistic:.6g}; {AGAIN}"
        )
    rank = wanted_rank(point.n, point.target_fpr)
    if point.method == "fitted tail":
        rank = rank_of(scores, groups, point.value)
    if point.rank != rank:
        raise VqiError(
            f"{place}: threshold of {point.target_fpr:.4g}: expected rank {rank}, the calibration scores at or below "
            f"{point.value:.6g}, got {point.rank}; {AGAIN}"
        )
