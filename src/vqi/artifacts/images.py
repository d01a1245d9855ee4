"""The artifact ``images``: decoded images and masks in one memory-mappable file, with an index."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from vqi.artifacts.tables import one_of, read_table, whole, write_table
from vqi.artifacts.tensors import LAYOUT, LENGTH, check_forms, layout_of, load_tensors, tensor_metadata
from vqi.errors import VqiError
from vqi.records import Record, parse
from vqi.sizes import AnySize
from vqi.system.atomic import atomic_path

IMAGES_FILE = "images.safetensors"
INDEX_FILE = "index.csv"
KIND = "vqi.images/5"
AGAIN = "run preprocess again"
ANSWERED = "verdict-"  # begins the names of images that operators' verdicts brought
_COLUMNS = ("row", "path", "split", "label", "defect_type", "mask", "sha256", "part", "group")


class ValueRange(Record):
    """Of images deeper than 8 bits: black is 0; ``white`` and all above it become 255."""

    white: float = Field(gt=0)
    source: Literal["metadata", "data"]  # what the files say, or the largest value of the training images


class ImagesRecord(Record):
    """What made the images. No path and no address of one machine: equal images give equal bytes."""

    version: str
    category: str
    dataset: str  # name@digest: the name as a part of a key, the digest that of the shard, to recognise it by
    shard: str  # sha256
    image_size: AnySize
    max_bad_fraction: float = Field(ge=0, le=1)
    max_pixels: int = Field(ge=1)
    values: ValueRange | None  # None where no training image is deeper than 8 bits

    @property
    def white(self) -> float | None:
        """White in images deeper than 8 bits; None where that is not known, and they cannot be used."""
        return None if self.values is None else self.values.white


@dataclass(frozen=True)
class IndexRow:
    """One image of ``images.safetensors``, in row order."""

    path: str
    split: str  # train | calibration | test
    label: int  # 0 normal, 1 anomalous
    defect_type: str
    mask_row: int | None  # row of `masks`, where the image has one
    sha256: str  # of the source file
    part: int  # equal for images that show the same part, and for copies
    group: int  # equal for those, and for images that the user keeps together

    @property
    def sub_folder(self) -> str:
        """The first one in which the image lies: ``a`` for ``train/good/a/b/x.png``; '' for none."""
        parts = self.path.split("/")
        return parts[2] if len(parts) > 3 else ""

    @property
    def answered(self) -> bool:
        """Whether an operator's verdict brought it, and not the source."""
        return self.path.rpartition("/")[2].startswith(ANSWERED)


@dataclass(frozen=True)
class Images:
    """The artifact ``images``."""

    images: npt.NDArray[np.uint8]  # (N, H, W, 3)
    masks: npt.NDArray[np.bool_]  # (M, H, W)
    index: list[IndexRow]
    record: ImagesRecord

    def rows(self, split: str) -> list[int]:
        """The rows of a split, in order."""
        return [i for i, row in enumerate(self.index) if row.split == split]

    def unseen(self) -> list[int]:
        """The rows of the split ``calibration`` that show no part of the training images, in order."""
        seen = {row.part for row in self.index if row.split == "train"}
        return [i for i in self.rows("calibration") if self.index[i].part not in seen]


class ImagesWriter:
    """Writes the artifact ``images`` row by row, so that memory does not grow with the number of images.

    Args:
        folder: Where the artifact is written, complete or not at all.
        record: What goes into the header.
    """

    HEADER_BYTES = 1 << 14  # the header is written last, over this room; safetensors allows trailing spaces

    def __init__(self, folder: Path, record: ImagesRecord) -> None:
        self._folder, self._size, self._record = folder, record.image_size, record
        self._counts = {"images": 0, "masks": 0}
        self._files: dict[str, BinaryIO] = {}
        self._finished = False

    def __enter__(self) -> ImagesWriter:
        self._whole = atomic_path(self._folder)
        self._partial = self._whole.__enter__()
        self._partial.mkdir()
        self._files = {
            "images": (self._partial / IMAGES_FILE).open("w+b"),
            "masks": (self._partial / "masks").open("w+b"),
        }
        self._files["images"].write(b" " * (LENGTH.size + self.HEADER_BYTES))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()
        if error is None and not self._finished:
            error = ValueError(f"{self._folder}: expected finish() to be called")
            self._whole.__exit__(ValueError, error, None)
            raise error
        self._whole.__exit__(kind, error, trace)

    def add_image(self, image: npt.NDArray[np.uint8]) -> int:
        """Append an image (H, W, 3) uint8; returns its row."""
        return self._append("images", image, np.dtype(np.uint8), (*self._size, 3))

    def add_mask(self, mask: npt.NDArray[np.bool_]) -> int:
        """Append a mask (H, W) bool; returns its row."""
        return self._append("masks", mask, np.dtype(np.bool_), self._size)

    def finish(self, index: Sequence[IndexRow]) -> None:
        """Write the header and the index; the artifact gets its name at the end of the block."""
        if len(index) != self._counts["images"]:
            raise ValueError(f"index of {len(index)} rows for {self._counts['images']} images")
        images = self._files["images"]
        self._files["masks"].seek(0)
        shutil.copyfileobj(self._files["masks"], images, 1 << 20)
        images.seek(0)
        images.write(LENGTH.pack(self.HEADER_BYTES) + self._header())
        for file in self._files.values():
            file.close()
        (self._partial / "masks").unlink()
        write_index(self._partial / INDEX_FILE, index)
        self._finished = True

    def _append(self, name: str, array: npt.NDArray[Any], dtype: np.dtype[Any], shape: tuple[int, ...]) -> int:
        if array.shape != shape or array.dtype != dtype:
            raise ValueError(f"{name}: expected {dtype} {shape}, got {array.dtype} {array.shape}")
        self._files[name].write(np.ascontiguousarray(array).tobytes())
        self._counts[name] += 1
        return self._counts[name] - 1

    def _header(self) -> bytes:
        n, m, (height, width) = self._counts["images"], self._counts["masks"], self._size
        middle = n * height * width * 3
        end = middle + m * height * width
        entries = {
            "images": {"dtype": "U8", "shape": [n, height, width, 3], "data_offsets": [0, middle]},
            "masks": {
                "dtype": "BOOL",
                "shape": [m, height, width],
                "data_offsets": [middle, end],
            },
        }
        metadata = {**tensor_metadata(KIND, self._record.model_dump(mode="json")), LAYOUT: layout_of(entries)}
        text = json.dumps({"__metadata__": metadata, **entries}, sort_keys=True).encode()
        if len(text) > self.HEADER_BYTES:
            raise ValueError(f"a header of {len(text)} bytes; at most {self.HEADER_BYTES}")
        return text.ljust(self.HEADER_BYTES)


def write_index(path: Path, index: Sequence[IndexRow]) -> None:
    """Write ``index.csv``."""
    rows = (
        (
            row,
            one.path,
            one.split,
            one.label,
            one.defect_type,
            "" if one.mask_row is None else one.mask_row,
            one.sha256,
            one.part,
            one.group,
        )
        for row, one in enumerate(index)
    )
    write_table(path, _COLUMNS, rows)


def read_index(folder: Path) -> list[IndexRow]:
    """The index of the artifact ``images``, also where its images were removed.

    Raises:
        VqiError: It is missing or damaged.
    """
    return [row for _, row in _read_rows(folder)]


def load_images(folder: Path) -> Images:
    """Memory-map the artifact ``images``.

    Raises:
        VqiError: A file is missing, damaged, or does not fit the other.
    """
    path = folder / IMAGES_FILE
    arrays, header = load_tensors(path, KIND, AGAIN)
    record = parse(ImagesRecord, header, str(path), AGAIN)
    size = record.image_size
    check_forms(path, arrays, {"images": ("uint8", (None, *size, 3)), "masks": ("bool", (None, *size))}, AGAIN)
    index = _read_rows(folder)
    numbers = [number for number, _ in index]
    if numbers != list(range(len(arrays["images"]))):
        odd = " that do not count up" if len(numbers) == len(arrays["images"]) else ""
        raise VqiError(f"{folder}: {len(arrays['images'])} images but an index of {len(index)} rows{odd}; {AGAIN}")
    masks = [row.mask_row for _, row in index if row.mask_row is not None]
    if len(set(masks)) < len(masks) or any(row >= len(arrays["masks"]) for row in masks):
        raise VqiError(f"{folder}: {len(arrays['masks'])} masks but an index that names others; {AGAIN}")
    return Images(arrays["images"], arrays["masks"], [row for _, row in index], record)


def _read_rows(folder: Path) -> list[tuple[int, IndexRow]]:
    return read_table(folder / INDEX_FILE, _COLUMNS, _index_row, "the index of an images artifact", AGAIN)


def _index_row(row: dict[str, str]) -> tuple[int, IndexRow]:
    """The number of a row, and what is in it."""
    split = one_of(row["split"], ("train", "calibration", "test"))
    label = int(one_of(row["label"], ("0", "1") if split == "test" else ("0",)))
    if not row["path"] or not row["defect_type"] or not re.fullmatch("[0-9a-f]{64}", row["sha256"]):
        raise ValueError("a path, a type of defect or a sha256 that is none")
    mask = whole(row["mask"]) if row["mask"] else None
    part, group = whole(row["part"]), whole(row["group"])
    return whole(row["row"]), IndexRow(row["path"], split, label, row["defect_type"], mask, row["sha256"], part, group)
