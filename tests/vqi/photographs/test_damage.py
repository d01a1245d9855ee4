"""Damaged headers of every kind of file: pixels or a reason, and never more memory than is granted."""

from __future__ import annotations

import io
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.fuzz import fuzz_cases
from tests.vqi.photographs.test_cost import TINY, tiles
from tests.vqi.photographs.test_depth import COLOUR_FILES, GREY_FILES, MAX_PIXELS, SIDE
from tests.vqi.photographs.written import encoded, pnm, text_pnm, tiff_of
from vqi.photographs.cost import cost
from vqi.photographs.decoding import UnreadableImage, decode, decode_mask, image_size, largest_value
from vqi.photographs.depth import may_be_deep
from vqi.photographs.opening import HEIF
from vqi.sizes import square

GRANTED = 256 << 20
EIGHT = Image.fromarray(np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3)).astype(np.uint8))
OTHERS = {
    "jpeg": encoded(EIGHT, "JPEG", progressive=True),
    "jpeg in tiff": encoded(EIGHT, "TIFF", compression="jpeg"),
    "lzw in tiff": encoded(EIGHT, "TIFF", compression="tiff_lzw"),
    "fax": encoded(EIGHT.convert("1"), "TIFF", compression="group4"),
    "tiles": tiff_of(TINY, deflate=True, **tiles(16)),
    "bmp": encoded(EIGHT, "BMP"),
    "gif": encoded(EIGHT, "GIF"),
    "webp": encoded(EIGHT.convert("RGBA"), "WEBP"),
    "webp, moving": encoded(EIGHT, "WEBP", save_all=True, append_images=[EIGHT.rotate(90)]),
    "png": encoded(EIGHT),
    "jp2 with colours": encoded(EIGHT, "JPEG2000"),
    "j2k": encoded(EIGHT, "JPEG2000", no_jp2=True, tile_size=(8, 8)),
    "pbm": encoded(EIGHT.convert("1"), "PPM"),
    "pgm of 100": pnm(TINY, 100),
    "pgm as text, 8 bits": text_pnm(TINY, 255),
}
FILES = [*GREY_FILES.values(), *COLOUR_FILES.values(), *OTHERS.values()]


def damaged(whole: bytes, chance: random.Random) -> bytes:
    """Cut short, or with some bytes of its beginning or end changed, where the sizes are; sometimes with large ones."""
    data = bytearray(whole[: chance.randrange(len(whole))] if chance.random() < 0.15 else whole)
    for _ in range(chance.randrange(1, 5)):
        if data:
            reach = min(len(data), 200)
            place = chance.randrange(reach) if chance.random() < 0.5 else len(data) - 1 - chance.randrange(reach)
            data[place] = chance.choice((0, 1, 127, 128, 255, chance.randrange(256)))
    return bytes(data)


def peak() -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


@pytest.mark.filterwarnings("ignore::UserWarning")  # PIL warns of some damage
def test_a_damaged_header_gives_pixels_or_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vqi.system.processor.granted_memory", lambda: GRANTED)
    chance, refused, before = random.Random(5), 0, peak()
    cases = fuzz_cases(1_500, 20_000)
    for number in range(cases):
        data = damaged(FILES[number % len(FILES)], chance)
        assert cost(io.BytesIO(data), len(data)) >= 0
        assert image_size(data)
        may_be_deep(data[:32])
        try:
            pixels = decode(data, "x", square(SIDE), MAX_PIXELS, 4095)
            assert (pixels.shape, pixels.dtype) == ((SIDE, SIDE, 3), np.uint8)
            assert decode_mask(data, "x", MAX_PIXELS).dtype == np.bool_
            found = largest_value(data, "x", MAX_PIXELS)
            assert found is None or np.isfinite(found.value)
        except UnreadableImage as error:
            refused += "\n" not in str(error)
    assert cases // 5 < refused < cases
    assert peak() - before < GRANTED


@pytest.mark.parametrize("brand", HEIF)
def test_photographs_of_phones_are_refused_by_name(brand: bytes) -> None:
    data = b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1heic"
    with pytest.raises(UnreadableImage, match=f"a {HEIF[brand]} image, which is not read: convert it to JPEG or PNG"):
        decode(data, "x", square(SIDE), MAX_PIXELS)
    assert image_size(data) == "unreadable"


@pytest.mark.parametrize("text", [b"P5 is a text", b"Python\n", b"P6\n", b"PyRGBA 4 4 255\n", b"P1 a\n"])
def test_a_text_that_begins_like_a_pnm_file(text: bytes) -> None:
    with pytest.raises(UnreadableImage):
        decode(text, "x", square(SIDE), MAX_PIXELS)
