"""The artifact ``features``: for each layer one feature map per image, in the order of the index."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vqi.artifacts.backbone import BackboneRecord, FinetuneRecord, Runtime
from vqi.artifacts.grouped import Groups
from vqi.artifacts.images import ImagesRecord
from vqi.artifacts.tensors import Arrays, FloatArray, Form, NewForm, check_forms, load_tensors, new_tensors
from vqi.config import FeatureExtract
from vqi.errors import VqiError
from vqi.records import Record, parse

KIND = "vqi.features/5"
AGAIN = "run feature_extract again"
_SPLITS = ("train", "test")
_PARENT = ("parent_train", "parent_test")
_CALIBRATION = "calibration"
_GROUPED = ("train", _CALIBRATION)
_MEMBERS = ("parts", "groups")  # of images, behind the name of their split

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
class Calibration:
    """Good images that do not train: their scores set the threshold."""

    maps: FeatureMaps  # of N images
    parts: Groups  # (N,), equal for images that show one part
    groups: Groups  # (N,), equal for images that belong together


@dataclass(frozen=True)
class Features:
    """The artifact ``features``."""

    train: FeatureMaps  # of the good training images
    groups: Groups  # (N_train,), equal for training images that belong together
    test: FeatureMaps
    record: FeaturesRecord
    parent: tuple[FeatureMaps, FeatureMaps] | None = None  # train and test, of the backbone before it was fine-tuned
    calibration: Calibration | None = None  # None where training images set the threshold
    parts: Groups | None = None  # (N_train,), equal for training images that show one part; None: as the groups

    @property
    def train_parts(self) -> Groups:
        """(N_train,), equal for training images that show one part."""
        return self.groups if self.parts is None else self.parts


Forms = Mapping[str, NewForm]
Place = Callable[[Forms, FeaturesRecord], Arrays]  # gives arrays for features that are about to be computed


def in_memory(forms: Forms, record: FeaturesRecord) -> Arrays:
    """Arrays in memory: see ``Place``."""
    return {name: np.empty(shape, dtype) for name, (dtype, shape) in forms.items()}


@contextmanager
def in_file(path: Path) -> Iterator[Place]:
    """Arrays in ``features.safetensors``, which is there when the block ends without an error: they may be larger than
    the memory."""
    with ExitStack() as stack:

        def place(forms: Forms, record: FeaturesRecord) -> Arrays:
            return stack.enter_context(new_tensors(path, KIND, forms, record.model_dump(mode="json")))

        yield place


def new_features(
    place: Place, record: FeaturesRecord, shapes: Sequence[Shape], counts: Mapping[str, int], *, parent: bool
) -> Features:
    """Features whose arrays are to be filled.

    Args:
        place: Gives the arrays.
        record: What makes the features.
        shapes: Of the maps of each layer.
        counts: Images in ``train``, ``test`` and, where there are some, ``calibration``.
        parent: Whether there are maps of the backbone before it was fine-tuned, too.
    """
    numbers = {**counts, **({_PARENT[0]: counts["train"], _PARENT[1]: counts["test"]} if parent else {})}
    forms: dict[str, NewForm] = {}
    for name, number in numbers.items():
        forms |= {f"{name}.{layer}": (np.float32, (number, *shape)) for layer, shape in enumerate(shapes)}
        if name in _GROUPED:
            forms |= {f"{name}_{kind}": (np.int64, (number,)) for kind in _MEMBERS}
    return _of_arrays(place(forms, record), record)


def load_features(path: Path) -> Features:
    """Memory-map ``features.safetensors``.

    Raises:
        VqiError: The file is missing, damaged or another one, or its arrays do not fit together.
    """
    arrays, header = load_tensors(path, KIND, AGAIN)
    record = parse(FeaturesRecord, header, str(path), AGAIN)
    count = len(record.settings.layers)
    parent, calibration = f"{_PARENT[0]}.0" in arrays, f"{_CALIBRATION}.0" in arrays
    kinds = (*_SPLITS, *(_PARENT if parent else ()), *((_CALIBRATION,) if calibration else ()))
    form: Form = ("float32", (None, None, None, None))
    forms = {f"{kind}.{place}": form for kind in kinds for place in range(count)}
    grouped = ("train", *((_CALIBRATION,) if calibration else ()))
    forms |= {f"{split}_{kind}": ("int64", (None,)) for split in grouped for kind in _MEMBERS}
    check_forms(path, arrays, forms, AGAIN)
    maps = {kind: FeatureMaps(tuple(arrays[f"{kind}.{place}"] for place in range(count))) for kind in kinds}
    for one in maps.values():
        _check(path, one, maps["train"])
    if parent and any(len(maps[own]) != len(maps[its]) for own, its in zip(_SPLITS, _PARENT, strict=True)):
        raise VqiError(f"{path}: expected maps of both backbones of the same images; {AGAIN}")
    for split in grouped:
        for kind in _MEMBERS:
            if (got := len(arrays[f"{split}_{kind}"])) != len(maps[split]):
                raise VqiError(f"{path}: expected {split}_{kind} of {len(maps[split])} images, got {got}; {AGAIN}")
    return _of_arrays(arrays, record)


def _of_arrays(arrays: Arrays, record: FeaturesRecord) -> Features:
    """The features in arrays by their names in the file."""

    def maps(name: str) -> FeatureMaps:
        return FeatureMaps(tuple(arrays[f"{name}.{place}"] for place in range(len(record.settings.layers))))

    own = None
    if f"{_CALIBRATION}.0" in arrays:
        own = Calibration(maps(_CALIBRATION), *(arrays[f"{_CALIBRATION}_{kind}"] for kind in _MEMBERS))
    parent = (maps(_PARENT[0]), maps(_PARENT[1])) if f"{_PARENT[0]}.0" in arrays else None
    return Features(maps("train"), arrays["train_groups"], maps("test"), record, parent, own, arrays["train_parts"])


def _check(path: Path, maps: FeatureMaps, like: FeatureMaps) -> None:
    """Refuse maps that are empty, or not of the same layers."""
    if not all(all(shape) for shape in maps.shapes):
        raise VqiError(f"{path}: expected maps (C, h, w), got {maps.shapes}; {AGAIN}")
    if maps.shapes != like.shapes or len({len(one) for one in maps.layers}) > 1:
        raise VqiError(f"{path}: expected maps {like.shapes} of as many images per layer, got {maps.shapes}; {AGAIN}")
