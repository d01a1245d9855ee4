"""What the header of a WebP file says. Pillow's parser gives it too, but allocates the whole canvas before that.

Source: RFC 9649, sections 2.5 to 2.7.
"""

from __future__ import annotations

import struct

HEADER = 30  # bytes


def canvas(data: bytes) -> tuple[int, int] | None:
    """Width and height of a WebP file; None for anything else."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < HEADER:
        return None
    kind = data[12:16]
    if kind == b"VP8X":  # 24 bits each, one less
        width, height = data[24:27] + b"\0", data[27:30] + b"\0"
        return int.from_bytes(width, "little") + 1, int.from_bytes(height, "little") + 1
    if kind == b"VP8L":  # 14 bits each, one less
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":  # 14 bits each, above them 2 bits of scale
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None
