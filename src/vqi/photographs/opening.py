"""Bytes of an image file -> an image of Pillow with its header read and nothing decoded; or why that cannot be.

Importing this changes nothing in the process. Files are given to Pillow's parsers directly: ``Image.open`` would load
them late, not thread-safely, and warn by the limit of the whole process instead of the ``max_pixels`` of each call.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from PIL import (  # noqa: F401 - a parser is in Image.OPEN once its module is imported
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageOps,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from vqi.photographs import jpeg2000, pnm, tiff, webp
from vqi.photographs.unreadable import UnreadableImage
from vqi.sizes import Size

# Nothing else is tried: fewer parsers see foreign bytes.
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM", "JPEG2000")
KINDS = "PNG, JPEG, TIFF, BMP, WebP, GIF, JPEG 2000 or PNM"
SAVE_AS = "save it as PNG, or as TIFF with 8 or 16 bits"
# What PIL raises for damaged files, by format and by place of the damage.
DAMAGED = (
    *(OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, ArithmeticError, RuntimeError),
    *(struct.error, zlib.error, AssertionError),
)
NO_IMAGE = (SyntaxError, IndexError, TypeError, struct.error)  # what a parser raises for a header that is not its own
PREFIX = 16  # bytes that identify a format
ON_THEIR_SIDE = (5, 6, 7, 8)  # EXIF's orientations of images that are turned by 90 degrees
# Brands of ISO media files (ISO 14496-12) that hold a still image.
HEIF = {b"heic": "HEIC", b"heix": "HEIC", b"heim": "HEIC", b"heis": "HEIC", b"hevc": "HEIC", b"hevx": "HEIC"}
HEIF |= {b"mif1": "HEIF", b"msf1": "HEIF", b"avif": "AVIF", b"avis": "AVIF"}


class NotReadError(SyntaxError):
    """What Pillow's parser of a file's format does not read."""


@contextmanager
def only_max_pixels() -> Iterator[None]:
    """Turn off Pillow's limit of the whole process meanwhile, for a process that is ours alone, such as a step's.

    Its parsers of TIFF, GIF and WebP check it, too. In other processes it is the user's, and both limits apply.
    """
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def open_image(data: bytes, name: str, max_pixels: int) -> Image.Image:
    """The image of a file, not decoded.

    Raises:
        UnreadableImage: It is not an image, or has more than ``max_pixels`` pixels, or stores them in blocks of more.
    """
    if not data:
        raise UnreadableImage(name, "the file is empty")
    # this parser allocates before it gives the size
    if (size := webp.canvas(data)) and size[0] * size[1] > max_pixels:
        raise UnreadableImage(name, too_large(*size, max_pixels))
    image = parse(io.BytesIO(data))
    if image is None:
        raise UnreadableImage(name, _not_an_image(data))
    check_pixels(image, name, max_pixels)
    return image


def check_pixels(image: Image.Image, name: str, max_pixels: int) -> None:
    """Refuse an image with more than ``max_pixels`` pixels, or one that is stored in larger blocks.

    Raises:
        UnreadableImage: as said.
    """
    if image.width * image.height > max_pixels:
        raise UnreadableImage(name, too_large(image.width, image.height, max_pixels))
    width, height = tiff.block(image)
    if width * height > max_pixels:
        raise UnreadableImage(name, f"its tiles or strips are {too_large(width, height, max_pixels)}")


def too_large(width: int, height: int, max_pixels: int) -> str:
    """The reason why an image of that size is not decoded."""
    return f"too large: {width} x {height} = {width * height} pixels, max_pixels is {max_pixels}"


def parse(file: IO[bytes]) -> Image.Image | None:
    """As ``Image.open`` does it, except for its check of the process's limit; None where no parser accepts it.

    Raises:
        NotReadError: It begins like a file of a known format, whose parser does not read it.
    """
    prefix = file.read(PREFIX)
    refused: NotReadError | None = None
    for known in FORMATS:
        parser, accepts = Image.OPEN[known]
        if (accepts is None or accepts(prefix) is True) and (known != "PPM" or pnm.begins(prefix)):
            file.seek(0)
            try:
                return _prepared(tiff.Tiff(file, "") if known == "TIFF" else parser(file, ""))
            except NO_IMAGE as error:
                refused = NotReadError(f"a {known} file that is damaged or of a kind not read ({error}): {SAVE_AS}")
    if refused is not None:
        raise refused
    return None


def _prepared(image: Image.Image) -> Image.Image:
    if isinstance(image, PpmImagePlugin.PpmImageFile):
        pnm.decode_fast(image)
    if isinstance(image, Jpeg2KImagePlugin.Jpeg2KImageFile):
        jpeg2000.check(image)
    return image


def _not_an_image(data: bytes) -> str:
    if data[4:8] == b"ftyp" and (kind := HEIF.get(data[8:12])):
        return f"a {kind} image, which is not read: convert it to JPEG or PNG, for example with ImageMagick"
    return f"not an image of a known format ({KINDS}), it starts with {data[:12]!r}"


def upright(image: Image.Image) -> Image.Image:
    """The first frame of an image that this process opened, decoded, turned as its EXIF says; the same object."""
    image.load()
    ImageOps.exif_transpose(image, in_place=True)
    return image


def upright_size(file: IO[bytes]) -> Size | None:
    """The size of the image of a file, turned as its EXIF says; from its header alone, None where that has none.

    The EXIF of a PNG file counts where it stands before the pixels.
    """
    begin = file.read(webp.HEADER)
    file.seek(0)
    if size := webp.canvas(begin):  # its parser allocates before it gives the size
        return Size(size[1], size[0])
    try:
        image = parse(file)
        if image is None:
            return None
        # Pillow would decode a PNG file to look for EXIF behind the pixels
        told = not isinstance(image, PngImagePlugin.PngImageFile) or "exif" in image.info
        lies = told and image.getexif().get(ExifTags.Base.Orientation) in ON_THEIR_SIDE
    except (*DAMAGED, Image.DecompressionBombError):
        return None
    return Size(image.width, image.height) if lies else Size(image.height, image.width)


def image_size(data: bytes) -> str:
    """Width and height of an image file as its header says, ``300x300``; ``unreadable`` where it has none."""
    if size := webp.canvas(data):  # its parser allocates before it gives the size
        return f"{size[0]}x{size[1]}"
    try:
        image = parse(io.BytesIO(data))
        return f"{image.width}x{image.height}" if image else "unreadable"
    except (*DAMAGED, Image.DecompressionBombError):
        return "unreadable"


@contextmanager
def damage(name: str) -> Iterator[None]:
    """What Pillow raises for a damaged file is raised as ``UnreadableImage``."""
    try:
        yield
    except Image.DecompressionBombError as error:
        what_to_do = "raise PIL.Image.MAX_IMAGE_PIXELS, the limit of this process"
        raise UnreadableImage(name, f"too large for Pillow ({error}): {what_to_do}") from error
    except MemoryError as error:
        raise UnreadableImage(name, "there is not enough memory to decode it") from error
    except NotReadError as error:
        raise UnreadableImage(name, str(error)) from error
    except DAMAGED as error:
        raise UnreadableImage(name, f"cut short or damaged ({error})") from error
