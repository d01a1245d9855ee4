"""What the codestream of a JPEG 2000 file says: its size, its depth, and what decoding it allocates.

Pillow takes the size of a JP2 file from the box around the codestream, and its decoder allocates by the codestream.
Source: ISO/IEC 15444-1, annexes A.5, A.6 and I.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import IO

import numpy as np
import numpy.typing as npt
from PIL import Jpeg2KImagePlugin

RAW, JP2 = b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  "  # how the two kinds of file begin
SIZ, COD = 0xFF51, 0xFF52  # markers
FIRST_TILE = (0xFF90, 0xFFD9)  # markers after which the main header is over
# OpenJPEG keeps a record of about 100 bytes for each code block and each precinct. Smaller ones than these are of no
# use, and take many times the memory of the pixels.
SMALLEST_BLOCK, SMALLEST_PRECINCT = 6, 8  # binary logarithms of pixels
TILE_BYTES = 9000  # that OpenJPEG allocates for each tile and component before it decodes the first
KEY = "vqi_codestream"  # of Image.info


@dataclass(frozen=True)
class Codestream:
    """The main header of a codestream."""

    width: int
    height: int
    tile_pixels: int  # of the largest tile, at most those of the image
    tiles: int
    components: int
    bits: int  # of a component, the most

    @property
    def fixed_bytes(self) -> int:
        """What is allocated for the tiles, whatever their size."""
        return self.tiles * self.components * TILE_BYTES


def check(image: Jpeg2KImagePlugin.Jpeg2KImageFile) -> None:
    """Read the codestream's header and remember it for ``codestream_of``.

    Raises:
        ValueError: It is not that of an image of this size, or asks for far more memory than its pixels.
    """
    file = image.fp
    if file is None:
        raise ValueError("no file")
    found = _read(file)
    if (found.width, found.height) != image.size:
        sizes = [f"{width} x {height}" for width, height in (image.size, (found.width, found.height))]
        raise ValueError(f"its header says {sizes[0]} pixels, its codestream {sizes[1]}")
    image.info[KEY] = found


def codestream_of(image: Jpeg2KImagePlugin.Jpeg2KImageFile) -> Codestream:
    """The header that ``check`` read."""
    found = image.info[KEY]
    if not isinstance(found, Codestream):
        raise TypeError(f"{KEY}: expected a codestream, got {found!r}")
    return found


def unscaled(image: Jpeg2KImagePlugin.Jpeg2KImageFile, values: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    """Values of a grey image as the file has them; Pillow moves them to the upper end of 16 bits."""
    return values >> np.uint16(max(0, 16 - codestream_of(image).bits))


def _read(file: IO[bytes]) -> Codestream:
    file.seek(0)
    begin = file.read(len(RAW))
    if begin != RAW:
        _find_codestream(file)
    else:
        file.seek(2)
    found: Codestream | None = None
    while (marker := _number(file, 2)) not in FIRST_TILE:
        segment = file.read(_number(file, 2) - 2)
        if marker == SIZ:
            found = _size(segment)
        elif marker == COD:
            _check_blocks(segment)
    if found is None:
        raise ValueError("no size in the codestream")
    return found


def _find_codestream(file: IO[bytes]) -> None:
    """Go to the first marker after the start of the codestream, box by box."""
    file.seek(0)
    while True:
        length, kind, header = _number(file, 4), file.read(4), 8
        if length == 1:
            length, header = _number(file, 8), 16
        if kind == b"jp2c":
            file.seek(2, 1)
            return
        if length < header:
            raise ValueError("no codestream")
        file.seek(length - header, 1)


def _number(file: IO[bytes], size: int) -> int:
    data = file.read(size)
    if len(data) != size:
        raise EOFError("the header is cut short")
    return int.from_bytes(data, "big")


def _size(segment: bytes) -> Codestream:
    _, x1, y1, x0, y0, tile_width, tile_height, tile_x, tile_y, components = struct.unpack_from(">HIIIIIIIIH", segment)
    width, height = x1 - x0, y1 - y0
    if min(width, height, tile_width, tile_height, components) < 1 or tile_x > x0 or tile_y > y0:
        raise ValueError("a size in the codestream makes no sense")
    depths = [(segment[36 + 3 * number] & 0x7F) + 1 for number in range(components)]
    tiles = math.ceil((x1 - tile_x) / tile_width) * math.ceil((y1 - tile_y) / tile_height)
    pixels = min(tile_width, width) * min(tile_height, height)
    return Codestream(width, height, pixels, tiles, components, max(depths))


def _check_blocks(segment: bytes) -> None:
    style, levels, block_width, block_height = segment[0], segment[5], segment[6] + 2, segment[7] + 2
    precincts = segment[10 : 11 + levels] if style & 1 else b""
    smallest = min((size >> 4) + (size & 15) for size in precincts) if precincts else SMALLEST_PRECINCT
    if block_width + block_height < SMALLEST_BLOCK or smallest < SMALLEST_PRECINCT:
        raise ValueError("code blocks or precincts so small that decoding takes too much memory")
