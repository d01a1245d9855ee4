"""The artifacts ``features`` and ``detector``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vqi.artifacts.files import Json
from vqi.artifacts.tensors import FloatArray, load_tensors, save_tensors, tensor_names
from vqi.errors import VqiError

_PARENT = ("parent_train", "parent_test")


@dataclass(frozen=True)
class Features:
    """The artifact ``features``: one row an image, in the order of the index."""

    train: FloatArray  # (N_train, D)
    test: FloatArray  # (N_test, D)
    shape: tuple[int, int, int]  # (C, h, w), D = C * h * w, so that a residual folds back into a map
    provenance: Json = field(default_factory=dict)
    parent: tuple[FloatArray, FloatArray] | None = None  # train and test, of the backbone before it was fine-tuned


def save_features(path: Path, features: Features) -> None:
    """Write ``features.safetensors``."""
    header = {**features.provenance, "shape": list(features.shape)}
    tensors = {"train": features.train, "test": features.test}
    if features.parent is not None:
        tensors |= dict(zip(_PARENT, features.parent, strict=True))
    save_tensors(path, "vqi.features/1", tensors, header)


def load_features(path: Path) -> Features:
    """Memory-map ``features.safetensors``."""
    names = tensor_names(path)
    arrays, header = load_tensors(path, "vqi.features/1", ["train", "test", *(n for n in _PARENT if n in names)])
    c, h, w = header.pop("shape")
    if arrays["train"].shape[1] != c * h * w:
        raise VqiError(
            f"{path}: expected {c * h * w} features a row, got {arrays['train'].shape[1]}; extract them again"
        )
    parent = (arrays[_PARENT[0]], arrays[_PARENT[1]]) if set(_PARENT) <= set(names) else None
    return Features(arrays["train"], arrays["test"], (c, h, w), header, parent)


@dataclass(frozen=True)
class Detector:
    """The artifact ``detector``: a PCA model of normal features and its calibrated threshold."""

    mean: FloatArray  # (D,)
    components: FloatArray  # (K, D), orthonormal rows
    explained_variance: FloatArray  # (K,)
    calibration_scores: npt.NDArray[np.float64]  # (N_train,), each from a model that did not see its image
    threshold: float
    shape: tuple[int, int, int]  # (C, h, w)
    provenance: Json = field(default_factory=dict)


def save_detector(path: Path, detector: Detector) -> None:
    """Write ``detector.safetensors``."""
    tensors: dict[str, npt.NDArray[Any]] = {
        "mean": detector.mean,
        "components": detector.components,
        "explained_variance": detector.explained_variance,
        "calibration_scores": detector.calibration_scores,
        "threshold": np.array([detector.threshold], np.float64),
    }
    save_tensors(path, "vqi.detector/1", tensors, {**detector.provenance, "shape": list(detector.shape)})


def load_detector(path: Path) -> Detector:
    """Read ``detector.safetensors``."""
    names = ["mean", "components", "explained_variance", "calibration_scores", "threshold"]
    arrays, header = load_tensors(path, "vqi.detector/1", names)
    c, h, w = header.pop("shape")
    if arrays["components"].shape[1:] != arrays["mean"].shape or arrays["mean"].shape != (c * h * w,):
        raise VqiError(f"{path}: expected components (K, {c * h * w}), got {arrays['components'].shape}; fit it again")
    return Detector(
        arrays["mean"],
        arrays["components"],
        arrays["explained_variance"],
        arrays["calibration_scores"],
        float(arrays["threshold"][0]),
        (c, h, w),
        header,
    )
