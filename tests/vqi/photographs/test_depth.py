"""Images deeper than 8 bits: the same values give the same pixels, whatever file holds them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.vqi.photographs.written import encoded, packed_12, png, pnm, text_pnm, tiff_of
from vqi.photographs.decoding import UnreadableImage, decode, decode_image, decode_mask, largest_value, resize_opened
from vqi.photographs.value_range import ValueRange, white_for

SIDE = 16
MAX_PIXELS = 100_000
TWELVE = ValueRange(white=4095, source="data")
GREY = np.random.default_rng(0).integers(0, 4096, (SIDE, SIDE)).astype(np.uint16)
COLOURS = np.random.default_rng(1).integers(0, 4096, (SIDE, SIDE, 3)).astype(np.uint16)


def in_8_bits(values: np.ndarray, white: float = 4095) -> np.ndarray:
    """What is expected, (side, side, 3)."""
    grey = np.minimum(np.floor(values.astype(np.float64) * 255 / white + 0.5), 255).astype(np.uint8)
    return grey if grey.ndim == 3 else np.repeat(grey[:, :, None], 3, 2)


GREY_FILES = {
    "png": encoded(Image.fromarray(GREY)),
    "png by hand": png(GREY[:, :, None]),
    "png with opacity": png(np.stack([GREY, np.full_like(GREY, 65535)], 2)),
    "tiff": tiff_of(GREY),
    "tiff, most significant byte first": tiff_of(GREY, ">"),
    "tiff, deflated": tiff_of(GREY, deflate=True),
    "tiff, deflated, most significant byte first": tiff_of(GREY, ">", deflate=True),
    "tiff of 32 bits": tiff_of(GREY.astype(np.uint32)),
    "tiff of 32 bits, big endian": tiff_of(GREY.astype(np.uint32), ">", t339=2),
    "tiff of 16 bits with a sign": tiff_of(GREY.astype(np.int16)),
    "tiff of 32 bits with a sign": tiff_of(GREY.astype(np.int32)),
    "tiff of floats": tiff_of(GREY.astype(np.float32)),
    "tiff of floats, deflated": tiff_of(GREY.astype(np.float32), deflate=True),
    "pgm of 12 bits": pnm(GREY, 4095),
    "pgm of 16 bits": pnm(GREY, 65535),
    "pgm as text": text_pnm(GREY, 4095),
    "pfm": encoded(Image.fromarray(GREY.astype(np.float32)), "PPM"),
    "jp2": encoded(Image.fromarray(GREY), "JPEG2000"),
}
COLOUR_FILES = {
    "png": png(COLOURS),
    "png with opacity": png(np.concatenate([COLOURS, np.full((SIDE, SIDE, 1), 65535, np.uint16)], 2)),
    "tiff": tiff_of(COLOURS),
    "tiff, most significant byte first": tiff_of(COLOURS, ">"),
    "tiff, deflated": tiff_of(COLOURS, deflate=True),
    "tiff, deflated, most significant byte first": tiff_of(COLOURS, ">", deflate=True),
    "tiff in planes": tiff_of(
        COLOURS, t284=2, t273=tuple(8 + 2 * SIDE * SIDE * n for n in range(3)), t279=(2 * SIDE * SIDE,) * 3
    ),
    "ppm of 12 bits": pnm(COLOURS, 4095),
    "ppm of 16 bits": pnm(COLOURS, 65535),
}


@pytest.mark.parametrize("kind", GREY_FILES)
def test_grey_values_are_scaled_by_the_range_whatever_holds_them(kind: str) -> None:
    pixels = decode(GREY_FILES[kind], "x", SIDE, MAX_PIXELS, TWELVE)
    np.testing.assert_array_equal(pixels, in_8_bits(GREY))
    found = largest_value(GREY_FILES[kind], "x", MAX_PIXELS)
    assert found is not None
    assert found.value == GREY.max()


@pytest.mark.parametrize("kind", COLOUR_FILES)
def test_colours_keep_their_lower_bits(kind: str) -> None:
    data = COLOUR_FILES[kind]
    if kind == "tiff in planes":  # one colour after the other
        data = data.replace(COLOURS.tobytes(), np.moveaxis(COLOURS, 2, 0).tobytes())
    np.testing.assert_array_equal(decode(data, "x", SIDE, MAX_PIXELS, TWELVE), in_8_bits(COLOURS))
    found = largest_value(data, "x", MAX_PIXELS)
    assert found is not None
    assert found.value == COLOURS.max()
