"""What decoding an image allocates, known from its header; and what this process may allocate.

The numbers are those of Pillow 11 to 13 and of this package, as measured by ``tests/vqi/photographs/test_cost.py``.
"""

from __future__ import annotations

from typing import IO

from PIL import Image, Jpeg2KImagePlugin

from vqi.photographs import depth, jpeg2000, tiff, webp
from vqi.photographs.opening import DAMAGED, UnreadableImage, parse
from vqi.system import processor

MEBIBYTE = 1 << 20
FIXED = 8 * MEBIBYTE  # blocks of the file, tables
STORED = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}  # bytes per pixel; all others take 4
# Bytes per pixel on top of the stored image, by format: what the decoder keeps.
DECODER = {"WEBP": 12, "GIF": 4, "BMP": 4, "PPM": 4}
JPEG_BAND = 2  # coefficients of files with several scans, per band
JPEG_2000_BAND = 12
# Bytes per pixel on top of that, by mode: what the conversion to 8 bits grey or RGB takes.
CONVERSION = {"L": 0, "RGB": 0, "1": 1, "P": 4, "CMYK": 4, "YCbCr": 4, "RGBX": 4}
OPACITY, DEEP, DEEP_COLOUR = 20, 16, 24


def decoding_bytes(image: Image.Image, file_bytes: int) -> int:
    """The most that decoding takes at any time, the bytes of its file included, for an image with its header read."""
    pixels = image.width * image.height
    stored = STORED.get(image.mode, 4)
    per_pixel = 2 * stored + _decoder(image) + _conversion(image)  # twice: a rotation makes a copy
    width, height = tiff.block(image)
    blocks = width * height * 8  # four colours of 16 bits
    if isinstance(image, Jpeg2KImagePlugin.Jpeg2KImageFile) and jpeg2000.KEY in image.info:
        blocks = jpeg2000.codestream_of(image).fixed_bytes
    return FIXED + 2 * file_bytes + pixels * per_pixel + blocks


def _decoder(image: Image.Image) -> int:
    bands = len(image.getbands())
    if image.format in ("JPEG", "MPO"):
        return JPEG_BAND * bands
    if image.format == "JPEG2000":
        return JPEG_2000_BAND * bands
    return DECODER.get(image.format or "", 0)


def _conversion(image: Image.Image) -> int:
    if depth.is_deep(image):
        return DEEP if image.mode in depth.DEEP_MODES else DEEP_COLOUR + (OPACITY if image.mode == "RGBA" else 0)
    return CONVERSION.get(image.mode, OPACITY) if "transparency" not in image.info else OPACITY


def cost(file: IO[bytes], file_bytes: int) -> int:
    """``decoding_bytes`` of a file, of which only the header is read; 0 where it cannot be read."""
    begin = file.read(webp.HEADER)
    file.seek(0)
    if size := webp.canvas(begin):  # Pillow's parser allocates before it gives the size
        return FIXED + 2 * file_bytes + size[0] * size[1] * (8 + DECODER["WEBP"] + OPACITY)
    try:
        image = parse(file)
    except (*DAMAGED, MemoryError, Image.DecompressionBombError):
        return 0
    return decoding_bytes(image, file_bytes) if image else 0


def check_memory(image: Image.Image, name: str, file_bytes: int) -> None:
    """Refuse an image that takes more memory than three quarters of what this process is granted.

    Raises:
        UnreadableImage: as said, with both figures.
    """
    needed, most = decoding_bytes(image, file_bytes), processor.granted_memory() * 3 // 4
    if needed > most:
        raise UnreadableImage(
            name,
            f"decoding its {image.width} x {image.height} pixels takes {needed // MEBIBYTE:,} MiB, of which this process "
            f"may take {most // MEBIBYTE:,} MiB: grant it more memory, or store the image smaller or with fewer bits",
        )
