"""Memory: what decoding takes is known before it is taken, and refused by name where it is too much."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.vqi.photographs.written import encoded, png, pnm, tiff_of
from vqi.photographs.cost import cost
from vqi.photographs.decoding import UnreadableImage, decode, decode_mask, largest_value
from vqi.sizes import square

MAX_PIXELS = 100_000_000
SIDE = 1500
TINY = np.full((8, 8), 200, np.uint8)
MEBIBYTE = 1 << 20

DECODE_ALL = """
import io, sys
from pathlib import Path
from vqi.photographs.cost import cost
from vqi.photographs.decoding import decode, decode_mask
from vqi.system.memory import give_back_large_blocks
from vqi.sizes import square

def bytes_of(name):
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024

give_back_large_blocks()
for path in sorted(Path(sys.argv[1]).iterdir()):
    for call in (lambda data: decode(data, "x", square(32), 10**8, 65535), lambda data: decode_mask(data, "x", 10**8)):
        before = bytes_of("VmRSS")
        data = path.read_bytes()
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts again
        call(data)
        print(path.name, bytes_of("VmHWM") - before, cost(io.BytesIO(data), len(data)))
        del data
"""


def photographs() -> dict[str, bytes]:
    grey = np.random.default_rng(0).integers(0, 200, (SIDE // 10, SIDE // 10)).repeat(10, 0).repeat(10, 1)
    eight = Image.fromarray(grey.astype(np.uint8))
    colours, opacity = eight.convert("RGB"), eight.convert("RGBA")
    deep = grey.astype(np.uint16) * 300
    turned = Image.Exif()
    turned[0x0112] = 6
    return {
        "grey": encoded(eight),
        "black and white": encoded(eight.convert("1")),
        "palette": encoded(colours.quantize(16), transparency=0),
        "colours, turned": encoded(colours, exif=turned),
        "opacity": encoded(opacity),
        "jpeg": encoded(colours, "JPEG", progressive=True, subsampling=0, exif=turned),
        "webp": encoded(opacity, "WEBP"),
        "gif": encoded(colours.quantize(16), "GIF"),
        "jp2": encoded(colours, "JPEG2000"),
        "deep grey": png(deep[:, :, None]),
        "deep colours": png(np.stack([deep] * 3, 2)),
        "deep opacity": png(np.stack([deep] * 4, 2)),
        "floats": tiff_of(deep.astype(np.float32), t274=6),
        "one strip": tiff_of(np.stack([deep] * 3, 2), deflate=True),
        "white at 0": tiff_of(np.stack([deep.astype(np.uint8)] * 2, 2), t262=0, t338=2),
        "pgm": pnm(deep, 60_000),
    }


@pytest.mark.slow
def test_what_decoding_takes_is_known_from_the_header(tmp_path: Path) -> None:
    for name, data in photographs().items():
        (tmp_path / name).write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", DECODE_ALL, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = [line.rsplit(" ", 2) for line in done.stdout.splitlines()]
    assert len(lines) == 2 * len(photographs())
    assert not [line for line in lines if int(line[1]) > int(line[2])], "more than said: name, seen, said"


def tiles(side: int) -> dict[str, int | None]:
    return {"t322": side, "t323": side, "t324": 8, "t325": 16, "t273": None, "t278": None, "t279": None}


@pytest.mark.parametrize(
    "call", [lambda data: decode(data, "x", square(8), MAX_PIXELS), lambda data: decode_mask(data, "x", MAX_PIXELS)]
)
@pytest.mark.parametrize(
    ("data", "size"),
    [
        (tiff_of(TINY, deflate=True, **tiles(40_000)), "40000 x 40000"),
        (tiff_of(np.stack([TINY] * 3, 2), deflate=True, **tiles(20_000)), "20000 x 20000"),
        (tiff_of(TINY, deflate=True, t278=2**31 - 1), "8 x 2147483647"),
    ],
)  # fmt: skip
def test_tiles_and_strips_count_as_pixels(data: bytes, size: str, call: Callable[[bytes], object]) -> None:
    """A decoder allocates a whole tile, however small the image is."""
    assert len(data) < 1000
    with pytest.raises(UnreadableImage, match=f"its tiles or strips are too large: {size} = "):
        call(data)


def test_tiles_of_a_usual_size_are_read() -> None:
    image = Image.fromarray(TINY)
    for rows in (8, 100, 2**32 - 1):
        assert (decode(tiff_of(TINY, deflate=True, t278=rows), "x", square(8), MAX_PIXELS) == 200).all()
    assert (decode(encoded(image, "TIFF", compression="tiff_lzw"), "x", square(8), MAX_PIXELS) == 200).all()


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "P"])
def test_an_image_or_mask_that_takes_more_than_is_granted_is_refused(
    monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    data = encoded(Image.new(mode, (5000, 5000)))
    assert len(data) < 200_000
    monkeypatch.setattr("vqi.system.processor.granted_memory", lambda: 100 * MEBIBYTE)
    monkeypatch.setattr(Image.Image, "load", None)  # nothing is decoded
    reason = r"decoding its 5000 x 5000 pixels takes \d+ MiB, and this process may take 75: grant it more memory"
    with pytest.raises(UnreadableImage, match=reason):
        decode(data, "x", square(8), MAX_PIXELS)
    with pytest.raises(UnreadableImage, match=reason):
        decode_mask(data, "x", MAX_PIXELS)


def test_a_tile_counts_where_it_is_larger_than_its_image(monkeypatch: pytest.MonkeyPatch) -> None:
    data = tiff_of(TINY, deflate=True, **tiles(8192))
    assert cost(io.BytesIO(data), len(data)) > 8192 * 8192
    monkeypatch.setattr("vqi.system.processor.granted_memory", lambda: 80 * MEBIBYTE)
    with pytest.raises(UnreadableImage, match="decoding its 8 x 8 pixels takes 72 MiB, and this process may take 60"):
        decode(data, "x", square(8), MAX_PIXELS)


def test_a_webp_is_refused_before_its_canvas_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray(
        encoded(Image.new("RGBA", (8, 8)), "WEBP", save_all=True, append_images=[Image.new("RGB", (8, 8))])
    )
    assert data[12:16] == b"VP8X"
    data[24:30] = (16382).to_bytes(3, "little") * 2
    monkeypatch.setattr("PIL.WebPImagePlugin._webp", None)
    with pytest.raises(UnreadableImage, match="too large: 16383 x 16383 = 268402689 pixels"):
        decode(bytes(data), "x", square(8), MAX_PIXELS)
    assert cost(io.BytesIO(bytes(data)), len(data)) > 268402689 * 30


def codestream(data: bytes) -> int:
    return data.index(b"\xff\x4f\xff\x51")


def test_a_jpeg_2000_whose_codestream_is_larger_than_its_header_says() -> None:
    data = bytearray(encoded(Image.new("L", (8, 8)), "JPEG2000"))
    place = codestream(data) + 8
    data[place : place + 8] = (50_000).to_bytes(4, "big") * 2
    with pytest.raises(UnreadableImage, match="its header says 8 x 8 pixels, its codestream 50000 x 50000"):
        decode(bytes(data), "x", square(8), MAX_PIXELS)


def test_a_jpeg_2000_with_many_tiles_or_tiny_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    many = encoded(Image.new("L", (200, 200)), "JPEG2000", tile_size=(2, 2), num_resolutions=1)
    assert cost(io.BytesIO(many), len(many)) > 10_000 * 9000
    monkeypatch.setattr("vqi.system.processor.granted_memory", lambda: 100 * MEBIBYTE)
    with pytest.raises(UnreadableImage, match="decoding its 200 x 200 pixels takes"):
        decode(many, "x", square(8), MAX_PIXELS)
    tiny = bytearray(encoded(Image.new("L", (64, 64)), "JPEG2000", codeblock_size=(4, 4)))
    with pytest.raises(UnreadableImage, match="code blocks or precincts so small"):
        decode(bytes(tiny), "x", square(8), MAX_PIXELS)


def test_looking_for_the_largest_value_observes_the_limit_too(monkeypatch: pytest.MonkeyPatch) -> None:
    data = png(np.zeros((2000, 2000, 1), np.uint16))
    monkeypatch.setattr("vqi.system.processor.granted_memory", lambda: 20 * MEBIBYTE)
    with pytest.raises(UnreadableImage, match="decoding its 2000 x 2000 pixels takes"):
        largest_value(data, "x", MAX_PIXELS)
