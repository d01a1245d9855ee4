"""What decoding an image allocates, known from its header; and what this process may allocate.

The numbers are those of Pillow 11 to 13 and of this package, as measured by ``tests/vqi/photographs/test_cost.py``.
"""

from __future__ import annotations

from typing import IO

from PIL import Image, Jpeg2KImagePlugin

from vqi.photographs import depth, jpeg2000, pnm, tiff, webp
from vqi.photographs.opening import DAMAGED, parse
from vqi.photographs.unreadable import UnreadableImage
from vqi.system import processor

MEBIBYTE = 1 << 20
FIXED = 8 * MEBIBYTE  # blocks of the file, tables
STORED = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}  # bytes per pixel; all others take 4
# Bytes per pixel on top of the stored image, while it is decoded.
DECODER = {"WEBP": 12, "BMP": 4, "PPM": 8}
JPEG_BAND = 2  # per band: coefficients of files with several scans
JPEG_2000_BAND = 7
TEXT = 48 * MEBIBYTE  # the words of a block of a PNM file that is a text
# The same while it becomes 8 bits of grey or RGB, or a mask; all others take OPACITY.
CONVERSION = {"L": 3, "1": 4, "RGB": 4, "P": 8, "CMYK": 8, "YCbCr": 8, "RGBX": 8}
OPACITY, DEEP, DEEP_COLOUR = 21, 9, 14


def decoding_bytes(image: Image.Image, file_bytes: int) -> int:
    """The most that decoding takes at any time, the bytes of its file included, for an image with its header read."""
    stored, decoder, conversion = STORED.get(image.mode, 4), _decoder(image), _conversion(image)
    if image.format == "WEBP":  # it keeps what its decoder allocated
        per_pixel, files = stored + decoder + conversion, 2
    else:
        per_pixel, files = stored + max(decoder, stored, conversion), 1  # a rotation makes a copy
    return FIXED + files * file_bytes + image.width * image.height * per_pixel + _blocks(image)


def _blocks(image: Image.Image) -> int:
    """What is allocated whatever the size of the image."""
    if isinstance(image, Jpeg2KImagePlugin.Jpeg2KImageFile) and jpeg2000.KEY in image.info:
        return jpeg2000.codestream_of(image).fixed_bytes
    return TEXT if pnm.is_text(image) else tiff.block_bytes(image)


def _decoder(image: Image.Image) -> int:
    bands = len(image.getbands())
    if image.format in ("JPEG", "MPO") or image.info.get("compression") in ("jpeg", "tiff_jpeg"):
        return JPEG_BAND * bands
    if image.format == "JPEG2000":
        return JPEG_2000_BAND * bands
    return DECODER.get(image.format or "", 0)


def _conversion(image: Image.Image) -> int:
    if depth.is_deep(image) and image.mode != "RGBA":
        return DEEP if image.mode in depth.DEEP_MODES else DEEP_COLOUR
    return CONVERSION.get(image.mode, OPACITY) if "transparency" not in image.info else OPACITY


def cost(file: IO[bytes], file_bytes: int) -> int:
    """``decoding_bytes`` of a file, of which only the header is read; 0 where it cannot be read."""
    begin = file.read(webp.HEADER)
    file.seek(0)
    if size := webp.canvas(begin):  # Pillow's parser allocates before it gives the size
        return FIXED + 2 * file_bytes + size[0] * size[1] * (4 + DECODER["WEBP"] + OPACITY)
    try:
        image = parse(file)
        return decoding_bytes(image, file_bytes) if image else 0
    except (*DAMAGED, MemoryError, Image.DecompressionBombError):
        return 0


def check_memory(image: Image.Image, name: str, file_bytes: int) -> None:
    """Refuse an image that takes more memory than three quarters of what this process is granted.

    Raises:
        UnreadableImage: as said, with both figures.
    """
    needed, most = decoding_bytes(image, file_bytes), processor.granted_memory() * 3 // 4
    if needed > most:
        raise UnreadableImage(
            name,
            f"decoding its {image.width} x {image.height} pixels takes {needed // MEBIBYTE:,} MiB, and this process "
            f"may take {most // MEBIBYTE:,}: grant it more memory, or store the image smaller or with fewer bits",
        )
