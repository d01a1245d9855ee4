"""Images deeper than 8 bits: their values as the file has them, and those values as 8 bits under one range.

Pillow reads grey of 16 and 32 bits and floats as they are, and keeps only the upper 8 of 16 bits of each colour. The
lower ones come from a second pass, in which it takes the bytes in the other order.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, Jpeg2KImagePlugin, PngImagePlugin, PpmImagePlugin, TiffImagePlugin

from vqi.photographs import jpeg2000, pnm, tiff
from vqi.photographs.opening import SAVE_AS, NotReadError, upright

SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")
DEEP_MODES = (*SIXTEEN_BITS, "I", "F")
SCALED_BY_PIL = ("JPEG2000", "PPM")  # formats whose deep greys it scales to 16 bits
FULL_16, FULL_8 = 65535, 255
OTHER_ORDER = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}
CAMERAS = (8, 10, 12, 14, 16)  # bits
FLOATS = (1.0, 2.0)  # white of floats: those from 0 to 1 are common, and resampling makes some a little larger
ROWS = 256  # converted at a time where that takes 8 bytes per pixel

Plane = npt.NDArray[Any]  # (height, width) of one colour or grey: uint16, int64 or float32; not negative, finite


def may_be_deep(begin: bytes) -> bool:
    """Whether a file that begins so (32 bytes) can hold more than 8 bits per value."""
    if begin.startswith(b"\x89PNG"):
        return begin[24:25] == b"\x10"  # the bit depth, in the first chunk
    return begin.startswith((*TiffImagePlugin.PREFIXES, jpeg2000.RAW, jpeg2000.JP2)) or pnm.begins(begin)


def is_deep(image: Image.Image) -> bool:
    """Whether an image that is open and not decoded has more than 8 bits per value that can be had."""
    return image.mode in DEEP_MODES or _is_deep_colour(image)


def _is_deep_colour(image: Image.Image) -> bool:
    return any(";16" in _raw_mode(tile) for tile in getattr(image, "tile", ())) and image.mode in ("RGB", "RGBA")


def _raw_mode(tile: Any) -> str:
    return str(tile.args if isinstance(tile.args, str) else (tile.args or ("",))[0])


def is_inverted(image: Image.Image) -> bool:
    """Whether 0 is white and Pillow has not changed that."""
    if isinstance(image, tiff.Tiff):
        return image.min_is_white
    return (
        isinstance(image, TiffImagePlugin.TiffImageFile)
        and image.mode in DEEP_MODES
        and image.tag_v2.get(tiff.PHOTOMETRIC) == tiff.MIN_IS_WHITE
    )


def full_scale(image: Image.Image) -> float:
    """The largest value of the integers of an image's file; 1 for floats."""
    if image.mode == "F":
        return 1.0
    return 2.0 ** tiff.bits(image) - 1 if isinstance(image, TiffImagePlugin.TiffImageFile) else FULL_16


def declared_white(image: Image.Image) -> float | None:
    """The value of white, where the file says more than the size of its container does."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return tiff.white(image)
    if isinstance(image, PngImagePlugin.PngImageFile):
        return _significant(image)
    if isinstance(image, PpmImagePlugin.PpmImageFile):
        return pnm.white(image)
    if isinstance(image, Jpeg2KImagePlugin.Jpeg2KImageFile):
        bits = jpeg2000.codestream_of(image).bits
        return 2.0**bits - 1 if bits < 16 else None
    return None


def _significant(image: PngImagePlugin.PngImageFile) -> float | None:
    """White by the chunk sBIT, which says how many bits the camera had; Pillow skips it.

    The values should be scaled to 16 bits then. Some programs leave them as they are, which shows in the values.
    """
    file = image.fp
    if file is None:
        return None
    place = file.tell()
    try:
        file.seek(8)  # behind the signature
        while len(head := file.read(8)) == 8 and head[4:] not in (b"IDAT", b"PLTE"):
            length = struct.unpack(">I", head[:4])[0]
            if head[4:] == b"sBIT":
                bits = max(file.read(length), default=0)
                return 2.0**bits - 1 if 8 < bits < 16 else None
            file.seek(length + 4, 1)
    finally:
        file.seek(place)
    return None


def planes(image: Image.Image, again: Callable[[], Image.Image]) -> Iterator[Plane]:
    """The values of the grey, or of one colour after the other.

    Args:
        image: Deep, and upright.
        again: Opens the same file once more; called for colours.

    Raises:
        NotReadError: A value is negative or not a number, or the lower bits cannot be had.
    """
    if image.mode not in DEEP_MODES:
        yield from _colours(image, again())
        return
    values = np.asarray(image)
    if image.mode in SIXTEEN_BITS:
        values = values.astype(np.uint16, copy=False)
        yield jpeg2000.unscaled(image, values) if isinstance(image, Jpeg2KImagePlugin.Jpeg2KImageFile) else values
        return
    yield pnm.unscaled(image, _checked(image, values))


def _checked(image: Image.Image, values: Plane) -> Plane:
    """Values of 32 bits, none of them negative or not a number."""
    if values.dtype == np.int32 and isinstance(image, tiff.Tiff) and image.is_unsigned:
        values = values.view(np.uint32)  # Pillow has no such mode
    if values.dtype == np.float32 and not np.isfinite(values).all():
        raise NotReadError(f"values that are not numbers: {SAVE_AS}")
    if values.min() < 0:
        raise NotReadError(f"values from {values.min()} to {values.max()}, expected none below 0: {SAVE_AS}")
    return values


def _colours(upper: Image.Image, second: Image.Image) -> Iterator[Plane]:
    """16 bits of each colour: ``upper`` holds the upper 8, ``second`` is not decoded yet."""
    if not isinstance(second, ImageFile.ImageFile) or not second.tile:
        raise NotReadError("16 bits per colour, of which Pillow keeps 8: give its path or its bytes")
    tiles = second.tile
    grey = _raw_mode(tiles[0]) == "LA;16B"  # four bytes: upper and lower of the grey, upper and lower of the opacity
    second.tile = [_replaced(tile, "RGBA" if grey else _swapped(_raw_mode(tile))) for tile in tiles]
    lower = upright(second)
    for band in (1,) if grey else (0, 1, 2):
        values = np.asarray(upper.getchannel(0 if grey else band)).astype(np.uint16)
        values <<= 8
        values |= np.asarray(lower.getchannel(band))
        yield values


def _swapped(raw_mode: str) -> str:
    if raw_mode.startswith("RGBa"):
        raise NotReadError(f"16 bits per colour, multiplied by the opacity: {SAVE_AS}")
    return raw_mode[:-1] + OTHER_ORDER[raw_mode[-1]]


def _replaced(tile: Any, raw_mode: str) -> Any:
    return tile._replace(args=raw_mode if isinstance(tile.args, str) else (raw_mode, *tile.args[1:]))


def to_8_bit(image: Image.Image, again: Callable[[], Image.Image], white: float) -> tuple[Image.Image, float]:
    """A deep image, upright, in mode L, RGB or RGBA, and its largest value.

    Raises:
        NotReadError: as for ``planes``.
    """
    bands, largest = [], 0.0
    for plane in planes(image, again):
        largest = max(largest, float(plane.max()))
        bands.append(Image.fromarray(scaled(plane, white)))
    if image.mode == "RGBA":
        colours = bands if len(bands) > 1 else bands * 3
        return Image.merge("RGBA", (*colours, image.getchannel("A"))), largest
    return bands[0] if len(bands) == 1 else Image.merge("RGB", bands), largest


def scaled(plane: Plane, white: float) -> npt.NDArray[np.uint8]:
    """Values (height, width) as 0 to 255, rounded; what is above ``white`` becomes 255."""
    if plane.dtype == np.uint16 and white == int(white):
        top = int(white)
        table = (np.arange(FULL_16 + 1, dtype=np.int64) * FULL_8 + top // 2) // top
        return np.minimum(table, FULL_8).astype(np.uint8)[plane]
    result = np.empty(plane.shape, np.uint8)
    for start in range(0, len(plane), ROWS):
        rows = plane[start : start + ROWS].astype(np.float64) * (FULL_8 / white)
        result[start : start + ROWS] = np.rint(np.minimum(rows, FULL_8))
    return result


def white_for(largest: float, whole_numbers: bool) -> float:
    """White of images whose largest value is ``largest``: the largest value of the next depth that a camera has.

    Args:
        largest: Of all training images of a category; not negative.
        whole_numbers: Whether the values are integers. Floats may also go from 0 to 1.
    """
    floats = () if whole_numbers else FLOATS
    steps = (*floats, *(2.0**bits - 1 for bits in CAMERAS))
    beyond = 2.0 ** int(largest).bit_length()  # for what no camera has
    return next((step for step in steps if largest <= step), max(beyond - 1, largest))
