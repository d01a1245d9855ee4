"""Bytes of an image file -> uint8 pixels of one size, whatever the file is; or the reason why it cannot be read.

What is done: the EXIF rotation is applied; palettes, greys and CMYK become RGB; values deeper than 8 bits are scaled
by one range for all images of a category, never each by its own; white at 0 (TIFF's MinIsWhite) is turned round;
transparent parts are laid on white, as a viewer shows them; of an animation or a file of several pages the first is
taken. Sizes are read from the header first, so that a decompression bomb is never decoded, nor anything that takes more
memory than this process is granted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageOps, PpmImagePlugin

from vqi.photographs import depth, pnm
from vqi.photographs.cost import check_memory
from vqi.photographs.opening import (
    DAMAGED,
    check_pixels,
    damage,
    image_size,
    only_max_pixels,
    open_image,
    upright,
)
from vqi.photographs.unreadable import UnreadableImage
from vqi.sizes import Size

__all__ = [
    "Decoded",
    "UnreadableImage",
    "decode",
    "decode_image",
    "decode_mask",
    "decode_opened",
    "image_size",
    "largest_value",
    "only_max_pixels",
    "resize_mask",
]

LOSSY = ("JPEG", "MPO", "JPEG2000")
FULL_8 = 255


@dataclass(frozen=True)
class Decoded:
    """An image as read, and what a data report says of it."""

    pixels: npt.NDArray[np.uint8]  # (*size, 3)
    width: int  # of the source, in pixels, after the EXIF rotation
    height: int
    mode: str  # of the source, in PIL's words: L, RGB, P, I;16, CMYK, ...
    note: str  # what a person should know, such as of an animation; '' for nothing
    is_cut: bool = False  # whether it has values above white
    whole: npt.NDArray[np.uint8] | None = None  # (height, width, 3), of its own size; None where nobody asked for it


@dataclass(frozen=True)
class Largest:
    """The largest value of an image deeper than 8 bits, and what its file says of white."""

    value: float
    whole_numbers: bool  # and not floats
    declared: float | None  # the value of white, where the file says more than the size of its container does
    container: float  # the largest value that could stand there; infinity for 32 bits


def decode(data: bytes, name: str, size: Size, max_pixels: int, white: float | None = None) -> npt.NDArray[np.uint8]:
    """An image file as pixels (*size, 3) uint8, resized bilinearly with antialiasing.

    Args:
        white: The value of white in images deeper than 8 bits, where black is 0; without it they are refused.

    Raises:
        UnreadableImage: it is not an image, damaged, has more than ``max_pixels`` pixels, takes too much memory, or
            the range of its values is not known; the reason says which.
    """
    return decode_image(data, name, size, max_pixels, white).pixels


def decode_image(
    data: bytes, name: str, size: Size, max_pixels: int, white: float | None = None, *, keep: bool = False
) -> Decoded:
    """As ``decode``, with the size, the mode and a note for the data report; with the whole image where it is kept."""
    with damage(name):
        opened = open_image(data, name, max_pixels)
        check_memory(opened, name, len(data))
        again = partial(open_image, data, name, max_pixels)
        mode, note = opened.mode, _note(opened, again)
        deep = depth.is_deep(opened)
        image = upright(opened)
        if deep:
            plain, cut = _deep_to_8_bit(image, again, name, white, depth.is_inverted(image))
        else:
            plain, cut = _to_8_bit(image, name), ""
        return _decoded(plain, size, mode, (note, cut), keep=keep)


def decode_opened(
    image: Image.Image, name: str, size: Size, max_pixels: int, white: float | None = None, *, keep: bool = False
) -> Decoded:
    """An image that is open in PIL as ``decode_image`` gives the file with the same pixels; it is not changed.

    PIL keeps 8 of 16 bits per colour, and scales some deep greys: such images are refused, as far as PIL tells.

    Raises:
        UnreadableImage: as for ``decode``.
    """
    check_pixels(image, name, max_pixels)
    with damage(name):
        check_memory(image, name, 0)
        deep, inverted = depth.is_deep(image), depth.is_inverted(image)
        if deep and (image.mode not in depth.DEEP_MODES or image.format in depth.SCALED_BY_PIL):
            raise UnreadableImage(name, f"PIL does not keep its {image.format} values: give its path or its bytes")
        copy = ImageOps.exif_transpose(image)
        plain, cut = _deep_to_8_bit(copy, lambda: copy, name, white, inverted) if deep else (_to_8_bit(copy, name), "")
        return _decoded(plain, size, image.mode, ("", cut), keep=keep)


def largest_value(data: bytes, name: str, max_pixels: int) -> Largest | None:
    """The largest value of an image file deeper than 8 bits; None for all others.

    Raises:
        UnreadableImage: as for ``decode``.
    """
    with damage(name):
        opened = open_image(data, name, max_pixels)
        if not depth.is_deep(opened):
            return None
        check_memory(opened, name, len(data))
        declared = depth.declared_white(opened)
        again = partial(open_image, data, name, max_pixels)
        kinds = [(float(plane.max()), plane.dtype) for plane in depth.planes(upright(opened), again)]
        sixteen = kinds[0][1] == np.uint16
        return Largest(
            value=max(value for value, _ in kinds),
            whole_numbers=kinds[0][1].kind in "iu",
            declared=declared,
            container=float(depth.FULL_16) if sixteen else float("inf"),
        )


def own_white(data: bytes, name: str, max_pixels: int) -> float | None:
    """White of an image that is only looked at, not scored, by its own values; None up to 8 bits.

    Raises:
        UnreadableImage: as for ``decode``.
    """
    found = largest_value(data, name, max_pixels)
    return None if found is None else depth.white_for(found.value, found.whole_numbers)


def decode_mask(data: bytes, name: str, max_pixels: int) -> npt.NDArray[np.bool_]:
    """A mask file as (height, width) bool: defect where it is neither black nor transparent.

    A JPEG or JPEG 2000 is never exact: there, defect is above half of the range.

    Raises:
        UnreadableImage: as for ``decode``.
    """
    with damage(name):
        opened = open_image(data, name, max_pixels)
        check_memory(opened, name, len(data))
        least = FULL_8 // 2 if opened.format in LOSSY else 0
        deep, image = depth.is_deep(opened), upright(opened)
        if deep:
            black = depth.full_scale(image) if depth.is_inverted(image) else 0
            again = partial(open_image, data, name, max_pixels)
            marked = np.zeros((image.height, image.width), np.bool_)
            for plane in depth.planes(image, again):
                marked |= plane != black
            return marked
        if not _has_opacity(image):
            return _brightness(_to_8_bit(image, name)) > least
        opaque = image.convert("RGBA")
        return (_brightness(opaque) > least) & (np.asarray(opaque.getchannel("A")) > 0)


def _brightness(image: Image.Image) -> npt.NDArray[np.uint8]:
    return np.asarray(image if image.mode == "L" else image.convert("L"), dtype=np.uint8)


def resize_mask(mask: npt.NDArray[np.bool_], size: Size) -> npt.NDArray[np.bool_]:
    """A mask (height, width) of another size: defect where at least half of a pixel's area is."""
    # the box filter is the mean over a pixel's area; over values of 0 or 255
    image = Image.fromarray(mask.astype(np.uint8) * np.uint8(FULL_8))
    return np.asarray(image.resize((size.width, size.height), Image.Resampling.BOX)) > FULL_8 // 2


def _decoded(image: Image.Image, size: Size, mode: str, notes: tuple[str, str], *, keep: bool) -> Decoded:
    """What is said of an upright image in mode L or RGB; the last note is that of values above white."""
    whole = np.array(image.convert("RGB"), dtype=np.uint8) if keep else None
    note = "; ".join(filter(None, notes))
    return Decoded(_resized(image, size), image.width, image.height, mode, note, bool(notes[-1]), whole)


def _resized(image: Image.Image, size: Size) -> npt.NDArray[np.uint8]:
    resized = image.resize((size.width, size.height), Image.Resampling.BILINEAR)
    return np.array(resized.convert("RGB"), dtype=np.uint8)


def _deep_to_8_bit(
    image: Image.Image, again: Callable[[], Image.Image], name: str, white: float | None, inverted: bool
) -> tuple[Image.Image, str]:
    """An upright image deeper than 8 bits in mode L or RGB; and a note where values are above white."""
    if white is None:
        raise UnreadableImage(
            name,
            f"deeper than 8 bits (mode {image.mode}), and no training image is, so which value is white is not known: "
            "save it as the training images are",
        )
    grey, largest = depth.to_8_bit(image, again, white)
    if inverted:
        grey = ImageChops.invert(grey)
    cut = f"values up to {largest:g} are cut at {white:g}, the white of the training images"
    return _on_white(grey) if grey.mode == "RGBA" else grey, cut if largest > white else ""


def _note(image: Image.Image, again: Callable[[], Image.Image]) -> str:
    """How many frames there are. They are counted in the file opened once more: one of them may not be readable."""
    if not getattr(image, "is_animated", False):
        return ""
    try:
        frames = str(getattr(again(), "n_frames", "several"))
    except DAMAGED:
        frames = "several"
    return f"{frames} frames: only the first is used"


def _has_opacity(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info


def _to_8_bit(image: Image.Image, name: str) -> Image.Image:
    """An upright image of at most 8 bits in mode L or RGB."""
    if isinstance(image, PpmImagePlugin.PpmImageFile):
        image = pnm.to_8_bit(image)
    if depth.is_inverted(image):
        image = _inverted(image)
    if _has_opacity(image):
        return _on_white(image.convert("RGBA"))
    if image.mode in ("L", "RGB"):
        return image
    if image.mode in ("1", "P", "CMYK", "YCbCr", "RGBX"):
        return image.convert("L" if image.mode == "1" else "RGB")
    raise UnreadableImage(name, f"pixels of mode {image.mode} have no known range: save it with 8 or 16 bits")


def _inverted(image: Image.Image) -> Image.Image:
    """A grey image, which may be transparent, with its white at 255."""
    if image.mode == "1":
        return ImageChops.invert(image.convert("L"))
    if image.mode == "L":
        return ImageChops.invert(image)
    grey, opacity = image.convert("LA").split()
    return Image.merge("LA", (ImageChops.invert(grey), opacity))


def _on_white(image: Image.Image) -> Image.Image:
    ground = Image.new("RGBA", image.size, (FULL_8, FULL_8, FULL_8, FULL_8))
    return Image.alpha_composite(ground, image).convert("RGB")
