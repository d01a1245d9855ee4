"""PNM files (PBM, PGM, PPM) whose largest value is not that of their container, read without Pillow's slow decoder.

Source: the manual pages pgm(5) and ppm(5) of Netpbm.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, PpmImagePlugin

BINARY, TEXT = "ppm", "ppm_plain"  # Pillow's decoders, both written in Python
HEADER = "vqi_pnm"  # key of Image.info: Pillow's decoder, and the largest value that the header allows


def begins(prefix: bytes) -> bool:
    """Whether a file begins like one of PNM, or of PFM, the same with floats; Pillow accepts more letters."""
    return prefix[:1] == b"P" and prefix[1:2] in (b"1", b"2", b"3", b"4", b"5", b"6", b"f") and prefix[2:3].isspace()


def decode_fast(image: PpmImagePlugin.PpmImageFile) -> None:
    """Let Pillow's raw decoder read the values of a binary file as they are; the other functions say what they mean.

    Raises:
        SyntaxError: Colours of more than 8 bits as text: their lower bits cannot be had.
    """
    codec, _, _, args = image.tile[0]
    if codec not in (BINARY, TEXT) or not isinstance(args, tuple):
        return
    mode, largest = str(args[0]), int(str(args[1]))
    if codec == TEXT and mode == "RGB" and largest > 255:
        raise SyntaxError("colours of more than 8 bits as text")
    image.info[HEADER] = (codec, largest)
    if codec == BINARY:
        deep = {"L": "I;16B", "RGB": "RGB;16B"}
        raw = deep[mode] if largest > 255 else mode
        image.tile = [image.tile[0]._replace(codec_name="raw", args=(raw, 0, 1))]


def is_text(image: Image.Image) -> bool:
    """Whether the values are written as a text."""
    return (
        any(tile.codec_name == TEXT for tile in image.tile) if isinstance(image, PpmImagePlugin.PpmImageFile) else False
    )


def white(image: PpmImagePlugin.PpmImageFile) -> int | None:
    """The largest value that the header allows, where that is not the largest of 8 or 16 bits."""
    _, largest = image.info.get(HEADER, (BINARY, 255))
    return int(largest) if largest not in (255, 65535) else None


def unscaled(image: Image.Image, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Values of a deep grey image as the file has them; Pillow scales those of a text to 16 bits."""
    codec, largest = image.info.get(HEADER, (BINARY, 0))
    return np.rint(values * (largest / 65535)).astype(np.uint16) if codec == TEXT else values


def to_8_bit(image: PpmImagePlugin.PpmImageFile) -> Image.Image:
    """An image of at most 8 bits with its largest value at 255."""
    codec, largest = image.info.get(HEADER, (TEXT, 255))
    if codec == TEXT:
        return image
    return image.point([min(255, (value * 255 + largest // 2) // largest) for value in range(256)] * len(image.mode))
