"""Image files written byte by byte, of kinds that Pillow does not write."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
OFFSETS, SAMPLES, ROWS, COUNTS, PLANAR = 273, 277, 278, 279, 284
MAX_VALUE, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS, EXTRA, FORMAT = 281, 322, 323, 324, 325, 338, 339
FLOAT_MAX = 341
DEFLATE = 8


def encoded(image: Image.Image, format_: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


BEGIN = 8  # where the data of a file of ``tiff`` begin: the offset of its first strip, tile or plane


def tiff(tags: Mapping[int, Any], data: bytes, order: str = "<") -> bytes:
    """A file with one directory behind its data. Of ``tags``, a float is stored as such, all else as LONG."""
    body, entries = data + b"\0" * (len(data) % 2), b""
    for tag, given in sorted(tags.items()):
        values = given if isinstance(given, tuple) else (given,)
        letter, kind = ("f", 11) if isinstance(values[0], float) else ("I", 4)
        packed = struct.pack(f"{order}{len(values)}{letter}", *values)
        if len(packed) > 4:
            packed, body = struct.pack(order + "I", BEGIN + len(body)), body + packed
        entries += struct.pack(order + "HHI", tag, kind, len(values)) + packed
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", BEGIN + len(body))
    return head + body + struct.pack(order + "H", len(tags)) + entries + struct.pack(order + "I", 0)


def tiff_of(array: np.ndarray, order: str = "<", deflate: bool = False, **tags: Any) -> bytes:
    """A file of one strip with the values of an array (height, width[, colours]); ``tags``: t262=0 and the like."""
    height, width, *colours = array.shape
    data = array.astype(array.dtype.newbyteorder(order)).tobytes()
    data = zlib.compress(data) if deflate else data
    samples = colours[0] if colours else 1
    kinds = {"u": 1, "i": 2, "f": 3}
    known = {
        WIDTH: width, HEIGHT: height, BITS: (array.itemsize * 8,) * samples, COMPRESSION: DEFLATE if deflate else 1,
        PHOTOMETRIC: 2 if samples > 2 else 1, SAMPLES: samples, ROWS: height, OFFSETS: BEGIN, COUNTS: len(data),
        FORMAT: (kinds[array.dtype.kind],) * samples,
    }  # fmt: skip
    given = {int(name[1:]): value for name, value in tags.items()}
    known |= given
    return tiff({tag: value for tag, value in known.items() if value is not None}, data, order)


def png(array: np.ndarray, significant: int = 0) -> bytes:
    """A PNG of 16 bits with 1 to 4 values per pixel, (height, width, values)."""
    height, width, values = array.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[values], 0, 0, 0))]
    if significant:
        chunks.append((b"sBIT", bytes([significant] * values)))
    chunks += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def pnm(array: np.ndarray, largest: int) -> bytes:
    """A binary PGM or PPM with any largest value."""
    height, width, *colours = array.shape
    head = f"{'P6' if colours else 'P5'}\n# a camera's\n{width} {height}\n{largest}\n".encode()
    return head + array.astype(">u2" if largest > 255 else "u1").tobytes()


def text_pnm(array: np.ndarray, largest: int) -> bytes:
    """A PGM or PPM as text."""
    height, width, *colours = array.shape
    values = " ".join(str(value) for value in array.ravel())
    return f"{'P3' if colours else 'P2'}\n{width} {height}\n{largest}\n{values}\n".encode()


def packed_12(array: np.ndarray) -> bytes:
    """Two values of 12 bits in three bytes, the first at the top; an even number per row."""
    pairs = array.reshape(-1, 2).astype(np.uint32)
    both = (pairs[:, 0] << 12) | pairs[:, 1]
    return np.stack([both >> 16, both >> 8 & 255, both & 255], 1).astype(np.uint8).tobytes()
