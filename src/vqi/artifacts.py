"""Every file format between steps: names, dtypes, shapes, provenance; ``save_*`` / ``load_*`` pairs.

Arrays are safetensors with a header that says what made them; tables are CSV; the rest is JSON. A load checks the
header and says what does not fit. Everything is written under a temporary name and renamed when complete.
"""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save as to_safetensors

from vqi import __version__
from vqi.errors import VqiError

FloatArray = npt.NDArray[np.float32]
Json = dict[str, Any]

IMAGES_FILE = "images.safetensors"
INDEX_FILE = "index.csv"
SCORES_FILE = "scores.csv"
MAPS_FILE = "anomaly_maps.safetensors"

_DTYPES = {"U8": "u1", "BOOL": "?", "F16": "<f2", "F32": "<f4", "F64": "<f8", "I64": "<i8"}
_LENGTH = struct.Struct("<Q")


# ---------------------------------------------------------------------------------------------- writing and reading


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that becomes ``path`` when the block ends without an error."""
    temporary = path.with_name(f".{path.name}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_json(path: Path, content: object) -> None:
    """Write JSON with sorted keys, whole or not at all; NaN and infinity are refused."""
    write_text(path, json.dumps(content, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Json:
    """Read a JSON object.

    Raises:
        VqiError: The file is missing or holds no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VqiError(f"{path}: expected a JSON file, got: {error}; run the step that writes it again") from error
    if not isinstance(content, dict):
        raise VqiError(f"{path}: expected a JSON object, got {type(content).__name__}")
    return content


def sha256_file(path: Path) -> str:
    """The sha256 of a file's bytes, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def digest_json(content: object) -> str:
    """The sha256 of a JSON value in canonical form, in hex."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def provenance(step: str, settings: Mapping[str, Any], inputs: Mapping[str, str], **more: object) -> Json:
    """What made an artifact: the step, its version and settings, and the digests of what it read.

    Holds no times and no paths, so that the same input gives the same bytes.
    """
    return {"step": step, "version": __version__, "settings": dict(settings), "inputs": dict(inputs), **more}


# ------------------------------------------------------------------------------------------------------ safetensors


def save_tensors(path: Path, kind: str, tensors: Mapping[str, npt.NDArray[Any]], header: Mapping[str, Any]) -> None:
    """Write arrays of a format ``kind`` (as ``vqi.features/1``) with a provenance header."""
    contiguous = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    write_safetensors(path, to_safetensors(contiguous, metadata=tensor_metadata(kind, header)))


def write_safetensors(path: Path, data: bytes) -> None:
    """Write what safetensors serialised, whole or not at all, with the metadata in a fixed order.

    The library writes the metadata in the random order of a hash map; the same input must give the same bytes.
    """
    (length,) = _LENGTH.unpack_from(data)
    end = _LENGTH.size + length
    header = json.loads(data[_LENGTH.size : end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _LENGTH.size)  # the arrays stay aligned
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(_LENGTH.pack(len(text)) + text)
        file.write(memoryview(data)[end:])


def load_tensors(path: Path, kind: str, names: Sequence[str]) -> tuple[dict[str, npt.NDArray[Any]], Json]:
    """Memory-map the arrays of a safetensors file.

    Returns:
        The named arrays (read-only, nothing is copied) and the header's provenance.

    Raises:
        VqiError: The file is missing, damaged, of another format, or lacks an array.
    """
    header, offset, size = _read_header(path)
    meta = header.pop("__metadata__", {})
    if meta.get("format") != kind:
        raise VqiError(f"{path}: expected format '{kind}', got '{meta.get('format')}'; give the artifact of that step")
    missing = [name for name in names if name not in header]
    if missing:
        raise VqiError(
            f"{path}: expected array '{missing[0]}', got {sorted(header)}; run the step that writes it again"
        )
    arrays = {name: _map_array(path, header[name], offset, size) for name in names}
    return arrays, json.loads(meta["provenance"])


def tensor_metadata(kind: str, header: Mapping[str, Any]) -> dict[str, str]:
    """The ``__metadata__`` of a safetensors file of format ``kind``."""
    return {"format": kind, "provenance": json.dumps(header, sort_keys=True, ensure_ascii=False)}


def _read_header(path: Path) -> tuple[Json, int, int]:
    """The JSON header, the offset of the data and the file's size in bytes."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
            if length > size:
                raise ValueError(f"a header of {length} bytes in a file of {size}")
            header = json.loads(file.read(length))
    except (OSError, ValueError, struct.error) as error:
        raise VqiError(
            f"{path}: expected a safetensors file, got: {error}; run the step that writes it again"
        ) from error
    return header, _LENGTH.size + length, size


def _map_array(path: Path, entry: Json, offset: int, size: int) -> npt.NDArray[Any]:
    begin, end = entry["data_offsets"]
    if offset + end > size:
        raise VqiError(f"{path}: expected {offset + end} bytes, got {size}: the file is cut short; write it again")
    dtype, shape = np.dtype(_DTYPES[entry["dtype"]]), tuple(entry["shape"])
    if begin == end:
        return np.zeros(shape, dtype)
    return np.memmap(path, dtype=dtype, mode="r", offset=offset + begin, shape=shape)


# ----------------------------------------------------------------------------------------------------------- images


@dataclass(frozen=True)
class IndexRow:
    """One image of ``images.safetensors``, in row order."""

    path: str
    split: str  # train | test
    label: int  # 0 normal, 1 anomalous
    defect_type: str
    mask_row: int | None  # row of `masks`, where the image has one
    sha256: str  # of the source file


@dataclass(frozen=True)
class Images:
    """The artifact ``images``."""

    images: npt.NDArray[np.uint8]  # (N, H, W, 3)
    masks: npt.NDArray[np.bool_]  # (M, H, W)
    index: list[IndexRow]
    provenance: Json

    def rows(self, split: str) -> list[int]:
        """The rows of a split, in order."""
        return [i for i, row in enumerate(self.index) if row.split == split]


class ImagesWriter:
    """Writes the artifact ``images`` row by row, so that memory does not grow with the number of images.

    Args:
        folder: Where the artifact comes to stand, complete or not at all.
        size: Height and width in pixels.
        provenance: What goes into the header.
    """

    HEADER_BYTES = 1 << 14  # the header is written last, over this room; safetensors allows trailing spaces

    def __init__(self, folder: Path, size: int, provenance: Json) -> None:
        self._folder, self._size, self._provenance = folder, size, provenance
        self._counts = {"images": 0, "masks": 0}
        self._files: dict[str, BinaryIO] = {}

    def __enter__(self) -> ImagesWriter:
        self._partial = self._folder.with_name(f".{self._folder.name}.partial")
        shutil.rmtree(self._partial, ignore_errors=True)
        self._partial.mkdir(parents=True)
        self._files = {
            "images": (self._partial / IMAGES_FILE).open("w+b"),
            "masks": (self._partial / "masks").open("w+b"),
        }
        self._files["images"].write(b" " * (_LENGTH.size + self.HEADER_BYTES))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()
        shutil.rmtree(self._partial, ignore_errors=True)  # gone already when finish() renamed it

    def add_image(self, image: npt.NDArray[np.uint8]) -> int:
        """Append an image (H, W, 3) uint8; returns its row."""
        return self._append("images", image, np.dtype(np.uint8), (self._size, self._size, 3))

    def add_mask(self, mask: npt.NDArray[np.bool_]) -> int:
        """Append a mask (H, W) bool; returns its row."""
        return self._append("masks", mask, np.dtype(np.bool_), (self._size, self._size))

    def finish(self, index: Sequence[IndexRow]) -> None:
        """Write the header and the index, and give the artifact its name."""
        if len(index) != self._counts["images"]:
            raise ValueError(f"index of {len(index)} rows for {self._counts['images']} images")
        images = self._files["images"]
        self._files["masks"].seek(0)
        shutil.copyfileobj(self._files["masks"], images, 1 << 20)
        images.seek(0)
        images.write(_LENGTH.pack(self.HEADER_BYTES) + self._header())
        for file in self._files.values():
            file.close()
        (self._partial / "masks").unlink()
        write_index(self._partial / INDEX_FILE, index)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._partial.replace(self._folder)

    def _append(self, name: str, array: npt.NDArray[Any], dtype: np.dtype[Any], shape: tuple[int, ...]) -> int:
        if array.shape != shape or array.dtype != dtype:
            raise ValueError(f"{name}: expected {dtype} {shape}, got {array.dtype} {array.shape}")
        self._files[name].write(np.ascontiguousarray(array).tobytes())
        self._counts[name] += 1
        return self._counts[name] - 1

    def _header(self) -> bytes:
        n, m, side = self._counts["images"], self._counts["masks"], self._size
        middle = n * side * side * 3
        header = {
            "__metadata__": tensor_metadata("vqi.images/1", self._provenance),
            "images": {"dtype": "U8", "shape": [n, side, side, 3], "data_offsets": [0, middle]},
            "masks": {"dtype": "BOOL", "shape": [m, side, side], "data_offsets": [middle, middle + m * side * side]},
        }
        text = json.dumps(header, sort_keys=True).encode()
        if len(text) > self.HEADER_BYTES:
            raise ValueError(f"a header of {len(text)} bytes; at most {self.HEADER_BYTES}")
        return text.ljust(self.HEADER_BYTES)


def write_index(path: Path, index: Sequence[IndexRow]) -> None:
    """Write ``index.csv``."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["row", "path", "split", "label", "defect_type", "mask", "sha256"])
        for row, entry in enumerate(index):
            mask = "" if entry.mask_row is None else entry.mask_row
            table.writerow([row, entry.path, entry.split, entry.label, entry.defect_type, mask, entry.sha256])


def load_images(folder: Path) -> Images:
    """Memory-map the artifact ``images``.

    Raises:
        VqiError: A file is missing or does not fit.
    """
    arrays, header = load_tensors(folder / IMAGES_FILE, "vqi.images/1", ["images", "masks"])
    index = _read_index(folder / INDEX_FILE)
    if len(index) != len(arrays["images"]):
        raise VqiError(
            f"{folder}: {len(arrays['images'])} images but an index of {len(index)} rows; run preprocess again"
        )
    return Images(arrays["images"], arrays["masks"], index, header)


def _read_index(path: Path) -> list[IndexRow]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [
                IndexRow(
                    path=row["path"],
                    split=row["split"],
                    label=int(row["label"]),
                    defect_type=row["defect_type"],
                    mask_row=int(row["mask"]) if row["mask"] else None,
                    sha256=row["sha256"],
                )
                for row in csv.DictReader(file)
            ]
    except (OSError, KeyError, ValueError) as error:
        raise VqiError(
            f"{path}: expected the index of an images artifact, got: {error}; run preprocess again"
        ) from error


# --------------------------------------------------------------------------------------- features, detector, scores


@dataclass(frozen=True)
class Features:
    """The artifact ``features``: one row an image, in the order of the index."""

    train: FloatArray  # (N_train, D)
    test: FloatArray  # (N_test, D)
    shape: tuple[int, int, int]  # (C, h, w), D = C * h * w, so that a residual folds back into a map
    provenance: Json = field(default_factory=dict)


def save_features(path: Path, features: Features) -> None:
    """Write ``features.safetensors``."""
    header = {**features.provenance, "shape": list(features.shape)}
    save_tensors(path, "vqi.features/1", {"train": features.train, "test": features.test}, header)


def load_features(path: Path) -> Features:
    """Memory-map ``features.safetensors``."""
    arrays, header = load_tensors(path, "vqi.features/1", ["train", "test"])
    c, h, w = header.pop("shape")
    if arrays["train"].shape[1] != c * h * w:
        raise VqiError(
            f"{path}: expected {c * h * w} features a row, got {arrays['train'].shape[1]}; extract them again"
        )
    return Features(arrays["train"], arrays["test"], (c, h, w), header)


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


@dataclass(frozen=True)
class ScoreRow:
    """One test image of ``scores.csv``."""

    path: str
    label: int
    defect_type: str
    score: float
    decision: int  # 0 normal, 1 anomalous: score > threshold


def write_scores(path: Path, rows: Sequence[ScoreRow]) -> None:
    """Write ``scores.csv`` with full precision."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["path", "label", "defect_type", "score", "decision"])
        for row in rows:
            table.writerow([row.path, row.label, row.defect_type, repr(float(row.score)), row.decision])


def read_scores(path: Path) -> list[ScoreRow]:
    """Read ``scores.csv``."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            ScoreRow(r["path"], int(r["label"]), r["defect_type"], float(r["score"]), int(r["decision"]))
            for r in csv.DictReader(file)
        ]


def save_maps(path: Path, maps: FloatArray, header: Json) -> None:
    """Write anomaly maps (N_test, h, w) at the layer's resolution, in the order of ``scores.csv``."""
    save_tensors(path, "vqi.anomaly_maps/1", {"maps": maps.astype(np.float32)}, header)


def load_maps(path: Path) -> FloatArray:
    """Memory-map anomaly maps (N_test, h, w) float32."""
    return load_tensors(path, "vqi.anomaly_maps/1", ["maps"])[0]["maps"]
