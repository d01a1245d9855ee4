"""The artifact ``detector``: its kind, that kind's arrays, the scores it was calibrated on, and its threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vqi.artifacts.features import FeaturesRecord, Shape
from vqi.artifacts.tensors import load_tensors, save_tensors, tensor_names
from vqi.artifacts.threshold import Threshold
from vqi.config import PcaFit
from vqi.errors import VqiError
from vqi.records import Record, parse

KIND = "vqi.detector/3"
AGAIN = "run pca_fit again"
_CALIBRATION = "calibration_scores"
_ARRAYS = "detector."  # begins the names of the kind's own arrays


class DetectorRecord(Record):
    """What the detector is and what made it."""

    version: str
    settings: PcaFit  # its kind among them
    shapes: tuple[Shape, ...]  # (C, h, w) of each layer that it was fitted to
    threshold: Threshold
    facts: dict[str, int | float | str]  # what a report says of it, by its name
    features: FeaturesRecord

    @property
    def kind(self) -> str:
        """Which detector it is: a name of ``vqi.detectors.registry.DETECTORS``."""
        return self.settings.kind


@dataclass(frozen=True)
class DetectorArtifact:
    """The artifact ``detector``."""

    arrays: Mapping[str, npt.NDArray[Any]]  # those of its kind, by name
    calibration_scores: npt.NDArray[np.float64]  # (N_train,), each from a model that did not see its image
    record: DetectorRecord

    def in_memory(self) -> DetectorArtifact:
        """The same with its arrays copied out of the file, which may go away."""
        arrays = {name: np.array(array) for name, array in self.arrays.items()}
        return DetectorArtifact(arrays, np.array(self.calibration_scores), self.record)


def save_detector(path: Path, detector: DetectorArtifact) -> None:
    """Write ``detector.safetensors``."""
    tensors = {f"{_ARRAYS}{name}": array for name, array in detector.arrays.items()}
    tensors[_CALIBRATION] = detector.calibration_scores
    save_tensors(path, KIND, tensors, detector.record.model_dump(mode="json"))


def load_detector(path: Path) -> DetectorArtifact:
    """Memory-map ``detector.safetensors``.

    Raises:
        VqiError: The file is missing, damaged or another one, or a number in it is not finite.
    """
    names = sorted({*tensor_names(path), _CALIBRATION})
    arrays, header = load_tensors(path, KIND, names)
    record = parse(DetectorRecord, header, str(path), AGAIN)
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise VqiError(f"{path}: array '{name}' holds NaN or infinity; {AGAIN}")
    scores = arrays.pop(_CALIBRATION)
    if scores.shape != (record.threshold.n,):
        raise VqiError(f"{path}: expected {record.threshold.n} calibration scores, got {scores.shape}; {AGAIN}")
    own = {name.removeprefix(_ARRAYS): array for name, array in arrays.items()}
    return DetectorArtifact(own, scores, record)
