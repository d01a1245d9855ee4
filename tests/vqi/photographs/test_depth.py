"""Images deeper than 8 bits: the same values give the same pixels, whatever file holds them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.vqi.photographs.written import encoded, packed_12, png, pnm, text_pnm, tiff_of
from vqi.photographs.decoding import UnreadableImage, decode, decode_image, decode_mask, decode_opened, largest_value
from vqi.photographs.depth import white_for
from vqi.sizes import square

SIDE = 16
MAX_PIXELS = 100_000
TWELVE = 4095.0  # white
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
    "tiff of 32 bits, most significant byte first": tiff_of(GREY.astype(np.uint32), ">"),
    "tiff of 16 bits with a sign": tiff_of(GREY.astype(np.int16)),
    **{
        f"tiff of {kind.__name__}, deflated, {order}": tiff_of(GREY.astype(kind), order, deflate=True)
        for kind in (np.uint32, np.int16, np.int32, np.float32)
        for order in "<>"
    },
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
    pixels = decode(GREY_FILES[kind], "x", square(SIDE), MAX_PIXELS, TWELVE)
    np.testing.assert_array_equal(pixels, in_8_bits(GREY))
    found = largest_value(GREY_FILES[kind], "x", MAX_PIXELS)
    assert found is not None
    assert found.value == GREY.max()


@pytest.mark.parametrize("kind", COLOUR_FILES)
def test_colours_keep_their_lower_bits(kind: str) -> None:
    data = COLOUR_FILES[kind]
    if kind == "tiff in planes":  # one colour after the other
        data = data.replace(COLOURS.tobytes(), np.moveaxis(COLOURS, 2, 0).tobytes())
    np.testing.assert_array_equal(decode(data, "x", square(SIDE), MAX_PIXELS, TWELVE), in_8_bits(COLOURS))
    found = largest_value(data, "x", MAX_PIXELS)
    assert found is not None
    assert found.value == COLOURS.max()


def test_exact_values_of_8_and_16_bits_stay_what_they_are() -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint16), (4, 1))
    for white, values in ((255, ramp), (65535, ramp * 257)):
        pixels = decode(tiff_of(values), "x", square(256), MAX_PIXELS, white)
        np.testing.assert_array_equal(pixels[0, :, 0], np.arange(256))
    eight = encoded(Image.fromarray(ramp.astype(np.uint8)))
    for kind in (np.uint32, np.int32, np.float32):
        deep = decode(tiff_of(ramp.astype(kind)), "x", square(SIDE), MAX_PIXELS, 255)
        np.testing.assert_array_equal(deep, decode(eight, "x", square(SIDE), MAX_PIXELS))


def white_at_0(bits: int) -> tuple[dict[str, Any], np.ndarray]:
    """Tags, and data of two halves: the left one white and the right one black."""
    black = 2**bits - 1
    halves = np.repeat([0, black], SIDE // 2)
    rows = np.tile(halves, (SIDE, 1)).astype(np.uint32)
    if bits == 12:
        data = np.frombuffer(packed_12(rows), np.uint8)
    elif bits < 8:
        each = [format(value, f"0{bits}b") for value in halves]
        row = "".join(each)
        data = np.frombuffer(bytes(int(row[i : i + 8], 2) for i in range(0, len(row), 8)) * SIDE, np.uint8)
    else:
        return {}, rows.astype(f"u{bits // 8}")
    return {"t256": SIDE, "t257": SIDE, "t278": SIDE, "t258": bits, "t277": 1, "t339": 1}, data[None, :]


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 12, 16, 32])
def test_white_is_at_0_in_every_depth_where_the_file_says_so(bits: int, order: str, deflate: bool) -> None:
    tags, data = white_at_0(bits)
    file = tiff_of(data, order, deflate, **{**tags, "t262": 0})
    values = 2.0**bits - 1 if bits > 8 else None
    if (bits, order) == (12, ">"):
        with pytest.raises(UnreadableImage, match="a TIFF file that is damaged or of a kind not read"):
            decode(file, "x", square(SIDE), MAX_PIXELS, values)
        return
    pixels = decode(file, "x", square(SIDE), MAX_PIXELS, values)
    assert (pixels[:, :8] == 255).all()
    assert (pixels[:, 8:] == 0).all()
    mask = decode_mask(file, "x", MAX_PIXELS)
    assert mask[:, :8].all()
    assert not mask[:, 8:].any()


def test_white_at_0_in_floats_and_with_opacity() -> None:
    halves = np.tile(np.repeat(np.float32([0, 1]), SIDE // 2), (SIDE, 1))
    pixels = decode(tiff_of(halves, t262=0), "x", square(SIDE), MAX_PIXELS, 1)
    assert pixels[0, ::15, 0].tolist() == [255, 0]
    both = np.stack([(halves * 255).astype(np.uint8), np.full((SIDE, SIDE), 255, np.uint8)], 2)
    pixels = decode(tiff_of(both, t262=0, t338=2), "x", square(SIDE), MAX_PIXELS)
    assert pixels[0, ::15, 0].tolist() == [255, 0]


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_camera_of_12_bits_whose_white_is_at_0(order: str) -> None:
    """The range is that of the values as stored: turned round by the container's range they would all be white."""
    pixels = decode(tiff_of(GREY, order, t262=0), "x", square(SIDE), MAX_PIXELS, TWELVE)
    np.testing.assert_array_equal(pixels, 255 - in_8_bits(GREY))


def test_which_end_is_white_where_the_file_does_not_say() -> None:
    """As libtiff shows it: 0 is black."""
    eight = (GREY >> 4).astype(np.uint8)
    np.testing.assert_array_equal(decode(tiff_of(eight, t262=None), "x", square(SIDE), MAX_PIXELS)[:, :, 0], eight)
    colours = (COLOURS >> 4).astype(np.uint8)
    np.testing.assert_array_equal(decode(tiff_of(colours, t262=None), "x", square(SIDE), MAX_PIXELS), colours)


@pytest.mark.parametrize(
    ("data", "white"),
    [
        (tiff_of(GREY), None),
        (tiff_of(GREY, t281=4095), 4095),
        (tiff_of(GREY, t281=65535), None),
        (tiff_of(GREY.astype(np.float32), t341=4095.0), 4095),
        (png(GREY[:, :, None]), None),
        (png(GREY[:, :, None], significant=12), 4095),
        (png(COLOURS, significant=10), 1023),
        (pnm(GREY, 4095), 4095),
        (pnm(GREY, 65535), None),
        (text_pnm(GREY, 4095), 4095),
    ],
)
def test_what_the_file_says_of_white(data: bytes, white: float | None) -> None:
    found = largest_value(data, "x", MAX_PIXELS)
    assert found is not None
    assert found.declared == white


def test_12_packed_bits_are_not_black() -> None:
    tags = {"t256": SIDE, "t257": SIDE, "t278": SIDE, "t258": 12}
    file = tiff_of(np.frombuffer(packed_12(GREY), np.uint8)[None, :], **tags)
    found = largest_value(file, "x", MAX_PIXELS)
    assert found is not None
    assert found.declared == 4095
    np.testing.assert_array_equal(decode(file, "x", square(SIDE), MAX_PIXELS, TWELVE), in_8_bits(GREY))


def test_values_up_to_the_largest_of_a_header_of_8_bits() -> None:
    values = np.tile(np.arange(101, dtype=np.uint8), (4, 1))
    for data in (pnm(values, 100), text_pnm(values, 100)):
        pixels = decode(data, "x", square(101), MAX_PIXELS)
        assert pixels[0, ::50, 0].tolist() == [0, 128, 255]
    pixels = decode(pnm(np.stack([values] * 3, 2), 100), "x", square(101), MAX_PIXELS)
    assert pixels[0, 100].tolist() == [255, 255, 255]
    assert largest_value(pnm(values, 100), "x", MAX_PIXELS) is None


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.float32([[0, np.nan]]), "values that are not numbers"),
        (np.float32([[0, np.inf]]), "values that are not numbers"),
        (np.float32([[-1, 2]]), "values from -1.0 to 2.0, expected none below 0"),
        (np.int32([[-1, 2]]), "values from -1 to 2, expected none below 0"),
        (np.int16([[-1, 2]]), "values from -1 to 2, expected none below 0"),
        (np.int8([[-1, 2]]), "8-bit values with a sign"),
        (np.float64([[0, 1]]), "unknown pixel mode"),
        (np.float16([[0, 1]]), "unknown pixel mode"),
    ],
)
def test_values_that_have_no_meaning_as_grey_are_refused(values: np.ndarray, reason: str) -> None:
    with pytest.raises(UnreadableImage, match=f"{reason}.*: save it as PNG, or as TIFF with 8 or 16 bits"):
        decode(tiff_of(values), "x", square(SIDE), MAX_PIXELS, TWELVE)


def test_colours_whose_lower_bits_cannot_be_had_are_refused() -> None:
    planes = {"t284": 2, "t273": (8, 8, 8), "t279": (9, 9, 9)}
    with pytest.raises(UnreadableImage, match="separate planes, compressed"):
        decode(tiff_of(COLOURS, deflate=True, **planes), "x", square(SIDE), MAX_PIXELS, TWELVE)
    multiplied = np.concatenate([COLOURS, np.full((SIDE, SIDE, 1), 9, np.uint16)], 2)
    with pytest.raises(UnreadableImage, match="multiplied by the opacity"):
        decode(tiff_of(multiplied, t338=1), "x", square(SIDE), MAX_PIXELS, TWELVE)
    with pytest.raises(UnreadableImage, match="colours of more than 8 bits as text"):
        decode(text_pnm(COLOURS, 4095), "x", square(SIDE), MAX_PIXELS, TWELVE)


def test_without_a_range_deep_images_are_refused() -> None:
    with pytest.raises(UnreadableImage, match=r"deeper than 8 bits \(mode I;16\), and no training image is"):
        decode(GREY_FILES["png"], "x", square(SIDE), MAX_PIXELS)


def test_values_above_white_are_cut_and_noted() -> None:
    decoded = decode_image(tiff_of(GREY), "x", square(SIDE), MAX_PIXELS, 1023)
    np.testing.assert_array_equal(decoded.pixels, in_8_bits(GREY, 1023))
    assert decoded.is_cut
    assert decoded.note == f"values up to {GREY.max()} are cut at 1023, the white of the training images"
    assert not decode_image(tiff_of(GREY), "x", square(SIDE), MAX_PIXELS, TWELVE).note


def test_images_that_pil_opened_are_scaled_alike_or_refused() -> None:
    for kind in ("png", "tiff", "tiff of floats", "pgm of 16 bits"):
        image = Image.open(io.BytesIO(GREY_FILES[kind]))
        if kind.startswith("pgm"):
            with pytest.raises(UnreadableImage, match="PIL does not keep its PPM values: give its path or its bytes"):
                decode_opened(image, "x", square(SIDE), MAX_PIXELS, TWELVE)
            continue
        np.testing.assert_array_equal(
            decode_opened(image, "x", square(SIDE), MAX_PIXELS, TWELVE).pixels, in_8_bits(GREY)
        )
    turned = Image.open(io.BytesIO(tiff_of(GREY, t262=0)))
    np.testing.assert_array_equal(
        decode_opened(turned, "x", square(SIDE), MAX_PIXELS, TWELVE).pixels, 255 - in_8_bits(GREY)
    )
    for kind in ("png", "tiff"):
        with pytest.raises(UnreadableImage, match="PIL does not keep"):
            decode_opened(Image.open(io.BytesIO(COLOUR_FILES[kind])), "x", square(SIDE), MAX_PIXELS, TWELVE)


def test_deep_masks() -> None:
    marked = np.zeros((SIDE, SIDE), bool)
    marked[3:6, 4:9] = True
    for kind in (np.uint16, np.uint32, np.float32):
        np.testing.assert_array_equal(decode_mask(tiff_of(marked.astype(kind)), "x", MAX_PIXELS), marked)
    colours = np.repeat(marked[:, :, None], 3, 2).astype(np.uint16)  # only the lowest bit: its upper byte is 0
    np.testing.assert_array_equal(decode_mask(png(colours), "x", MAX_PIXELS), marked)
    np.testing.assert_array_equal(decode_mask(tiff_of((~marked).astype(np.float32), t262=0), "x", MAX_PIXELS), marked)


def test_a_rotation_turns_both_halves_of_the_bits() -> None:
    turned = tiff_of(COLOURS, t274=6)
    pixels = decode(turned, "x", square(SIDE), MAX_PIXELS, TWELVE)
    np.testing.assert_array_equal(pixels, np.rot90(in_8_bits(COLOURS), -1))


@pytest.mark.parametrize(
    ("largest", "whole", "white"),
    [
        (0, True, 255), (255, True, 255), (256, True, 1023), (1023, True, 1023), (1024, True, 4095),
        (4096, True, 16383), (16384, True, 65535), (65536, True, 131071), (2**32 - 1, True, 2**32 - 1),
        (0, False, 1), (1, False, 1), (1.01, False, 2), (2.5, False, 255), (255, False, 255), (65535.5, False, 65535.5),
        (65536.5, False, 131071),
    ],
)  # fmt: skip
def test_white_for_the_largest_value(largest: float, whole: bool, white: float) -> None:
    assert white_for(largest, whole) == white


def test_a_later_page_that_cannot_be_read_does_not_matter() -> None:
    first, second = tiff_of(GREY), tiff_of(GREY.astype(np.float64))
    place = int.from_bytes(first[4:8], "little")  # of the first page's directory, at whose end is that of the next
    moved = len(first) - 8
    directory = int.from_bytes(second[4:8], "little")
    pages = bytearray(first[:-4] + (directory + moved).to_bytes(4, "little") + second[8:])
    assert place < len(first)
    decoded = decode_image(bytes(pages), "x", square(SIDE), MAX_PIXELS, TWELVE)
    np.testing.assert_array_equal(decoded.pixels, in_8_bits(GREY))
    assert decoded.note == "several frames: only the first is used"
