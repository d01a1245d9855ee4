"""A photograph in any form that a program may have it in -> its pixels as a model sees them."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from vqi.errors import VqiError
from vqi.photographs.cost import cost
from vqi.photographs.decoding import Decoded, decode_image, decode_opened
from vqi.progress import message
from vqi.sizes import Size
from vqi.store.opening import read_uri
from vqi.system import processor
from vqi.system.files import read_regular
from vqi.system.memory import MemoryBudget
from vqi.system.os_errors import explain


@dataclass(frozen=True)
class Stored:
    """A photograph in an object store: its address, and what reads its bytes."""

    name: str
    read: Callable[[], bytes]


# The bytes of a file, its path or s3:// address, an open binary file, pixels (H, W, 3) uint8 RGB, or what PIL opened.
Source = bytes | bytearray | str | os.PathLike[str] | BinaryIO | npt.NDArray[np.uint8] | Image.Image | Stored

# A file of more bytes than this holds no image of ``max_pixels``: four channels of 32 bits, and what else it says.
PIXEL_BYTES, HEAD_BYTES = 16, 64 << 20
NAMELESS = "an image without a name"


@dataclass(frozen=True)
class Failure:
    """A photograph that has no score, and why.

    Attributes:
        name: Its path or address; '' for one that has none.
        error: Why.
    """

    name: str
    error: VqiError


class Reader:
    """Reads photographs for one model. What several threads decode at a time takes at most half of the memory granted.

    Args:
        size: Of the images that the model sees.
        max_pixels: The largest photograph that is decoded.
        white: The value of white in photographs deeper than 8 bits; None where it is not known.
    """

    def __init__(self, size: Size, max_pixels: int, white: float | None) -> None:
        self.size, self.max_pixels, self.white = size, max_pixels, white
        self._budget = MemoryBudget(processor.granted_memory() // 2)

    def read(self, image: Source, name: str, *, keep: bool = False) -> Decoded:
        """A photograph as the model sees it.

        Args:
            image: In any form.
            name: For errors; see ``name_of``.
            keep: Whether its pixels are also given in their own size.

        Raises:
            VqiError: It cannot be read as an image.
        """
        place = name or NAMELESS
        if isinstance(image, np.ndarray):
            image = opened(image)
        if isinstance(image, Image.Image):
            return decode_opened(image, place, self.size, self.max_pixels, self.white, keep=keep)
        data = bytes_of(image, place, self.max_pixels)
        with self._budget.hold(cost(io.BytesIO(data), len(data))):
            decoded = decode_image(data, place, self.size, self.max_pixels, self.white, keep=keep)
        if decoded.note:
            message(f"note: {place}: {decoded.note}")
        return decoded


def bytes_of(image: Any, place: str, max_pixels: int) -> bytes:
    """The bytes of a photograph's file, of a path, an address, an open file, or the bytes themselves.

    Raises:
        VqiError: It cannot be read, or has more bytes than a photograph of ``max_pixels`` takes.
    """
    if isinstance(image, (bytes, bytearray)):
        return bytes(image)
    if isinstance(image, Stored):
        return image.read()
    if isinstance(image, str) and image.startswith("s3://"):
        return read_uri(image)
    most = max_pixels * PIXEL_BYTES + HEAD_BYTES
    return _read_path(Path(image), most) if _is_path(image) else _read_file(image, place, most)


def name_of(image: object) -> str:
    """The path or address of a photograph; '' where it has none.

    Raises:
        VqiError: It is none of the kinds of ``Source``.
    """
    if _is_path(image):
        return os.fspath(image)  # type: ignore[call-overload, no-any-return]
    if isinstance(image, Image.Image):
        return str(getattr(image, "filename", "") or "")
    if isinstance(image, Stored):
        return image.name
    if isinstance(image, (bytes, bytearray, np.ndarray)):
        return ""
    if hasattr(image, "read"):
        name = getattr(image, "name", "")
        return name if isinstance(name, str) else ""
    raise VqiError(
        f"an image of type {type(image).__name__}: expected a path, the bytes of a file, an open binary file, an array "
        "(H, W, 3) uint8 RGB or a PIL image"
    )


def _is_path(image: object) -> bool:
    return isinstance(image, str | os.PathLike)


def opened(pixels: npt.NDArray[Any]) -> Image.Image:
    """An array (H, W, 3) uint8 RGB as PIL has images.

    Raises:
        VqiError: It has another dtype or shape.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise VqiError(f"an image as an array: expected uint8 (H, W, 3) RGB, got {pixels.dtype} {pixels.shape}")
    return Image.fromarray(np.ascontiguousarray(pixels))


def _read_path(path: Path, most: int) -> bytes:
    try:
        return read_regular(path, most)
    except OSError as error:
        link = f", a link to {path.readlink()}" if path.is_symlink() else ""
        raise VqiError(f"cannot read {explain(error, path)}{link}") from error


def _read_file(file: BinaryIO, place: str, most: int) -> bytes:
    """The rest of an open file."""
    try:
        data = file.read(most + 1)
    except (OSError, ValueError) as error:  # ValueError: it is closed
        raise VqiError(f"cannot read {place}: {error}") from error
    if not isinstance(data, bytes):
        raise VqiError(f"{place}: expected a file that is open for reading bytes, got one of {type(data).__name__}")
    if len(data) > most:
        raise VqiError(f"cannot read {place}: has more than {most:,} bytes")
    return data
