"""The artifact ``features``: for each layer one feature map per image, in the order of the index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vqi.artifacts.backbone import BackboneRecord, FinetuneRecord, Runtime
from vqi.artifacts.grouped import Groups
from vqi.artifacts.images import ImagesRecord
from vqi.artifacts.tensors import FloatArray, Form, check_forms, load_tensors, save_tensors
from vqi.config import FeatureExtract
from vqi.errors import VqiError
from vqi.records import Record, parse

KIND = "vqi.features/4"
AGAIN = "run feature_extract again"
_SPLITS = ("train", "test")
_PARENT = ("parent_train", "parent_test")
_GROUPS = "train_groups"

Shape = tuple[int, int, int]  # (C, h, w) of one layer


@dataclass(frozen=True)
class FeatureMaps:
    """Feature maps of N images: one array (N, C, h, w) float32 per layer, in the order of the layers."""

    layers: tuple[FloatArray, ...]

    def __len__(self) -> int:
        return len(self.layers[0])

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The shape (C, h, w) of each layer."""
        return tuple((one.shape[1], one.shape[2], one.shape[3]) for one in self.layers)

    def rows(self, rows: Sequence[int] | npt.NDArray[np.intp] | slice) -> FeatureMaps:
        """Those of some of the images."""
        return FeatureMaps(tuple(one[rows] for one in self.layers))


class FeaturesRecord(Record):
    """What made the features."""

    version: str
    settings: FeatureExtract
    images: ImagesRecord
    backbone: BackboneRecord
    finetune: FinetuneRecord
    runtime: Runtime


@dataclass(frozen=True)
class Features:
    """The artifact ``features``."""

    train: FeatureMaps  # of the good training images
    groups: Groups  # (N_train,), equal for training images that belong together
    test: FeatureMaps
    record: FeaturesRecord
    parent: tuple[FeatureMaps, FeatureMaps] | None = None  # train and test, of the backbone before it was fine-tuned


def save_features(path: Path, features: Features) -> None:
    """Write ``features.safetensors``."""
    named = dict(zip(_SPLITS, (features.train, features.test), strict=True))
    if features.parent is not None:
        named |= dict(zip(_PARENT, features.parent, strict=True))
    tensors: dict[str, npt.NDArray[Any]] = {_GROUPS: features.groups}
    tensors |= {f"{name}.{place}": one for name, maps in named.items() for place, one in enumerate(maps.layers)}
    save_tensors(path, KIND, tensors, features.record.model_dump(mode="json"))


def load_features(path: Path) -> Features:
    """Memory-map ``features.safetensors``.

    Raises:
        VqiError: The file is missing, damaged or another one, or its arrays do not fit together.
    """
    arrays, header = load_tensors(path, KIND, AGAIN)
    record = parse(FeaturesRecord, header, str(path), AGAIN)
    count = len(record.settings.layers)
    kinds = (*_SPLITS, *(_PARENT if f"{_PARENT[0]}.0" in arrays else ()))
    form: Form = ("float32", (None, None, None, None))
    forms = {f"{kind}.{place}": form for kind in kinds for place in range(count)}
    check_forms(path, arrays, {**forms, _GROUPS: ("int64", (None,))}, AGAIN)
    maps = [FeatureMaps(tuple(arrays[f"{kind}.{place}"] for place in range(count))) for kind in kinds]
    for one in maps:
        _check(path, one, maps[0])
    if len(maps) > 2 and (len(maps[2]), len(maps[3])) != (len(maps[0]), len(maps[1])):
        raise VqiError(f"{path}: expected maps of both backbones of the same images; {AGAIN}")
    if len(arrays[_GROUPS]) != len(maps[0]):
        raise VqiError(
            f"{path}: expected a group for each of {len(maps[0])} images, got {len(arrays[_GROUPS])}; {AGAIN}"
        )
    parent = (maps[2], maps[3]) if len(maps) > 2 else None
    return Features(maps[0], arrays[_GROUPS], maps[1], record, parent)


def _check(path: Path, maps: FeatureMaps, like: FeatureMaps) -> None:
    """Refuse maps that are empty, or not of the same layers."""
    if not all(all(shape) for shape in maps.shapes):
        raise VqiError(f"{path}: expected maps (C, h, w), got {maps.shapes}; {AGAIN}")
    if maps.shapes != like.shapes or len({len(one) for one in maps.layers}) > 1:
        raise VqiError(f"{path}: expected maps {like.shapes} of as many images per layer, got {maps.shapes}; {AGAIN}")
