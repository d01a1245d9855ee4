"""Bytes of an image file -> uint8 pixels of one size, whatever the file is; or the reason why it cannot be read.

What is done: the EXIF rotation is applied; palettes, greys and CMYK become RGB; 16-bit grey is scaled by its whole
range (value / 257), never clipped; transparent parts are laid on white, as a viewer shows them; of an animation or a
file of several pages the first is taken. Sizes are read from the header first, so that a decompression bomb is never
decoded.

Importing this changes nothing in the process. Files are given to Pillow's parsers directly: ``Image.open`` would load
them late, not thread-safely, and warn by the limit of the whole process instead of the ``max_pixels`` of each call.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import (  # noqa: F401 - a parser is in Image.OPEN once its module is imported
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageOps,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from vqi.errors import VqiError

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF")  # nothing else is tried: fewer parsers see foreign bytes
LOSSY = ("JPEG", "MPO")
SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N", "I")
FULL_16, FULL_8 = 65535, 255
# What PIL raises for damaged files, by format and by place of the damage.
DAMAGED = (
    *(OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, ArithmeticError, RuntimeError),
    *(struct.error, zlib.error),
)

NO_IMAGE = (SyntaxError, IndexError, TypeError, struct.error)  # what a parser raises for a header that is not its own
PREFIX = 16  # bytes that identify a format


class UnreadableImage(VqiError):  # noqa: N818 - says what the image is
    """An image that cannot be read: ``name``, and why in ``reason``."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name, self.reason = name, reason


@dataclass(frozen=True)
class Decoded:
    """An image as read, and what a data report says of it."""

    pixels: npt.NDArray[np.uint8]  # (size, size, 3)
    width: int  # of the source, in pixels, after the EXIF rotation
    height: int
    mode: str  # of the source, in PIL's words: L, RGB, P, I;16, CMYK, ...
    note: str  # what a person should know, such as of an animation; '' for nothing


@contextmanager
def only_max_pixels() -> Iterator[None]:
    """Turn off Pillow's limit of the whole process meanwhile, for a process that is ours alone, such as a step's.

    Its parsers of TIFF, GIF and WebP check it, too. In other processes it is the user's, and both limits apply.
    """
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def decode(data: bytes, name: str, size: int, max_pixels: int) -> npt.NDArray[np.uint8]:
    """An image file as pixels (size, size, 3) uint8, resized bilinearly with antialiasing.

    Raises:
        UnreadableImage: it is not an image, damaged, or has more than ``max_pixels`` pixels; the reason says which.
    """
    return decode_image(data, name, size, max_pixels).pixels


def decode_image(data: bytes, name: str, size: int, max_pixels: int) -> Decoded:
    """As ``decode``, with the size, the mode and a note for the data report."""
    with _damage(name), _open(data, name, max_pixels) as opened:
        mode, note = opened.mode, _note(opened)
        image = _upright(opened)
        return Decoded(_resized(image, name, size), image.width, image.height, mode, note)


def resize_opened(image: Image.Image, name: str, size: int, max_pixels: int) -> npt.NDArray[np.uint8]:
    """An image that is open in PIL as ``decode`` gives the file with the same pixels; it is not changed.

    Raises:
        UnreadableImage: as for ``decode``.
    """
    _check_pixels(image, name, max_pixels)
    with _damage(name):
        return _resized(_upright(image), name, size)


def _resized(image: Image.Image, name: str, size: int) -> npt.NDArray[np.uint8]:
    resized = _to_8_bit(image, name).resize((size, size), Image.Resampling.BILINEAR)
    return np.array(resized.convert("RGB"))


def decode_mask(data: bytes, name: str, max_pixels: int) -> npt.NDArray[np.bool_]:
    """A mask file as (height, width) bool: defect where it is neither black nor transparent.

    A JPEG is never exact: there, defect is above half of the range.

    Raises:
        UnreadableImage: as for ``decode``.
    """
    with _damage(name), _open(data, name, max_pixels) as opened:
        least = FULL_8 // 2 if opened.format in LOSSY else 0
        image = _upright(opened)
        if image.mode in SIXTEEN_BITS:
            return np.asarray(image) > 0
        rgba = image.convert("RGBA")
        return (np.asarray(rgba.convert("RGB").convert("L")) > least) & (np.asarray(rgba.getchannel("A")) > 0)


def image_size(data: bytes) -> str:
    """Width and height of an image file as its header says, ``300x300``; ``unreadable`` where it has none."""
    try:
        image = _parsed(data)
        return f"{image.width}x{image.height}" if image else "unreadable"
    except (*DAMAGED, Image.DecompressionBombError):
        return "unreadable"


def pixel_count(data: bytes) -> int:
    """How many pixels an image file has by its header; 0 where it has none that can be read."""
    try:
        image = _parsed(data)
        return image.width * image.height if image else 0
    except (*DAMAGED, Image.DecompressionBombError):
        return 0


def resize_mask(mask: npt.NDArray[np.bool_], size: int) -> npt.NDArray[np.bool_]:
    """A mask (height, width) as (size, size): defect where at least half of a pixel's area is."""
    # the box filter is the mean over a pixel's area; over values of 0 or 255
    image = Image.fromarray(mask.astype(np.uint8) * np.uint8(FULL_8))
    return np.asarray(image.resize((size, size), Image.Resampling.BOX)) > FULL_8 // 2


def _open(data: bytes, name: str, max_pixels: int) -> Image.Image:
    """The image with its header read and nothing decoded."""
    if not data:
        raise UnreadableImage(name, "the file is empty")
    image = _parsed(data)
    if image is None:
        raise UnreadableImage(name, f"not an image of a known format, it starts with {data[:12]!r}")
    _check_pixels(image, name, max_pixels)
    return image


def _check_pixels(image: Image.Image, name: str, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        size = f"{image.width} x {image.height} = {image.width * image.height} pixels"
        raise UnreadableImage(name, f"too large: {size}, max_pixels is {max_pixels}")


def _parsed(data: bytes) -> Image.Image | None:
    """As ``Image.open`` does it, except for its check of the process's limit; None where no parser accepts it."""
    for known in FORMATS:
        parser, accepts = Image.OPEN[known]
        if accepts is None or accepts(data[:PREFIX]) is True:
            with suppress(*NO_IMAGE):
                return parser(io.BytesIO(data), "")
    return None


@contextmanager
def _damage(name: str) -> Iterator[None]:
    try:
        yield
    except Image.DecompressionBombError as error:
        what_to_do = "raise PIL.Image.MAX_IMAGE_PIXELS, the limit of this process"
        raise UnreadableImage(name, f"too large for Pillow ({error}): {what_to_do}") from error
    except DAMAGED as error:
        raise UnreadableImage(name, f"cut short or damaged ({error})") from error


def _upright(image: Image.Image) -> Image.Image:
    """The first frame, decoded, turned as its EXIF says."""
    image.load()
    return ImageOps.exif_transpose(image)


def _note(image: Image.Image) -> str:
    if not getattr(image, "is_animated", False):
        return ""
    return f"{getattr(image, 'n_frames', 'several')} frames: only the first is used"


def _to_8_bit(image: Image.Image, name: str) -> Image.Image:
    """The image in mode L or RGB."""
    if image.mode in SIXTEEN_BITS:
        return _from_16_bit(image, name)
    if image.mode in ("L", "RGB") and "transparency" not in image.info:
        return image
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        return _on_white(image.convert("RGBA"))
    if image.mode in ("1", "P", "CMYK", "YCbCr", "RGBX"):
        return image.convert("L" if image.mode == "1" else "RGB")
    raise UnreadableImage(name, f"pixels of mode {image.mode} have no known range: save it with 8 or 16 bits")


def _from_16_bit(image: Image.Image, name: str) -> Image.Image:
    values = np.asarray(image).astype(np.int64)  # (height, width)
    if values.min() < 0 or values.max() > FULL_16:
        raise UnreadableImage(name, f"32-bit values from {values.min()} to {values.max()}: save it with 8 or 16 bits")
    return Image.fromarray(((values * FULL_8 + FULL_16 // 2) // FULL_16).astype(np.uint8))


def _on_white(image: Image.Image) -> Image.Image:
    ground = Image.new("RGBA", image.size, (FULL_8, FULL_8, FULL_8, FULL_8))
    return Image.alpha_composite(ground, image).convert("RGB")
