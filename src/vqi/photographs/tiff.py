"""TIFF files as Pillow reads them, with what it leaves out: MinIsWhite in every depth, and the size of their blocks.

Source: TIFF 6.0; libtiff's tif_getimage.c for files that do not say which end is white.
"""

from __future__ import annotations

from PIL import Image, TiffImagePlugin

MIN_IS_WHITE, MIN_IS_BLACK, COLOUR, YCBCR = 0, 1, 2, 6  # values of the tag PhotometricInterpretation
PHOTOMETRIC = TiffImagePlugin.PHOTOMETRIC_INTERPRETATION
FAX = ("tiff_ccitt", "group3", "group4")
MAX_SAMPLE_VALUE, FLOAT_MAX_SAMPLE_VALUE = 281, 341
UNSIGNED, SIGNED = 1, 2  # values of the tag SampleFormat
NATIVE = {"I": "NS", "F": "NF"}  # how Pillow calls signed integers and floats in the order of this machine, by mode
SEPARATE = 2  # value of the tag PlanarConfiguration: one plane per colour
WHOLE = 2**32 - 1  # rows per strip: one strip


class Tiff(TiffImagePlugin.TiffImageFile):
    """A TIFF image whose samples are read as they are stored; ``min_is_white`` says that they are to be inverted.

    Pillow inverts them itself up to 8 bits, and not in deeper images.
    """

    min_is_white = False
    is_unsigned = True  # whether the values are integers without a sign

    def _setup(self) -> None:
        compression = TiffImagePlugin.COMPRESSION_INFO.get(self.tag_v2.get(TiffImagePlugin.COMPRESSION, 1))
        photometric = self.tag_v2.get(PHOTOMETRIC)
        if photometric is None:
            colour = self.tag_v2.get(TiffImagePlugin.SAMPLESPERPIXEL, 1) >= 3
            photometric = COLOUR if colour else MIN_IS_WHITE if compression in FAX else MIN_IS_BLACK
        self.min_is_white = photometric == MIN_IS_WHITE
        self.tag_v2[PHOTOMETRIC] = MIN_IS_BLACK if self.min_is_white else photometric
        kind, depth = _number(self, TiffImagePlugin.SAMPLEFORMAT, UNSIGNED), bits(self)
        self.is_unsigned = kind == UNSIGNED
        if depth == 8 and kind == SIGNED:
            raise SyntaxError("8-bit values with a sign")
        if depth == 32 and self.is_unsigned:
            self.tag_v2[TiffImagePlugin.SAMPLEFORMAT] = SIGNED  # Pillow has no other mode, and not for both byte orders
        super()._setup()
        if self.use_load_libtiff and self.mode in NATIVE:
            self._read_in_native_order()
        if bits(self) == 16 and self._planar_configuration == SEPARATE and self.mode in ("RGB", "RGBA"):
            self._read_planes_of_16_bits()

    def _read_in_native_order(self) -> None:
        """libtiff gives values in the order of this machine; Pillow takes them for those of the file."""
        wide = "16" if bits(self) == 16 else "32"
        (tile,) = self.tile
        if isinstance(tile.args, tuple):
            self.tile = [tile._replace(args=(f"{self.mode};{wide}{NATIVE[self.mode]}", *tile.args[1:]))]

    def _read_planes_of_16_bits(self) -> None:
        """Pillow takes the planes of files that are not compressed for planes of 8 bits."""
        if self.use_load_libtiff:
            raise SyntaxError("16 bits per colour in separate planes, compressed")
        order = "L" if self.tag_v2.prefix == TiffImagePlugin.II else "B"
        self.tile = [
            tile._replace(args=(f"{tile.args[0]};16{order}", *tile.args[1:]))
            for tile in self.tile
            if isinstance(tile.args, tuple)
        ]


def bits(image: TiffImagePlugin.TiffImageFile) -> int:
    """Bits per sample."""
    return _number(image, TiffImagePlugin.BITSPERSAMPLE, 1)


def _number(image: TiffImagePlugin.TiffImageFile, tag: int, default: int) -> int:
    """A whole number of a tag, the first of several.

    Raises:
        SyntaxError: The tag holds anything else.
    """
    found = image.tag_v2.get(tag, default)
    first = found[0] if isinstance(found, tuple) and found else found
    if not isinstance(first, int) or first < 0:
        raise SyntaxError(f"tag {tag}: expected a whole number, got {first!r:.40}")
    return first


def white(image: TiffImagePlugin.TiffImageFile) -> float | None:
    """The value of white, where the file says one that its number of bits does not imply."""
    depth = bits(image)
    if 8 < depth < 16:
        return 2.0**depth - 1
    said = image.tag_v2.get(MAX_SAMPLE_VALUE) or image.tag_v2.get(FLOAT_MAX_SAMPLE_VALUE) or ()
    values = [one for one in (said if isinstance(said, tuple) else (said,)) if isinstance(one, (int, float))]
    largest = max(values, default=0)
    return float(largest) if 0 < largest < 2**depth - 1 else None


def block(image: Image.Image) -> tuple[int, int]:
    """Width and height of the tiles or strips, all of which a decoder allocates however small the image is.

    (0, 0) for images that are not compressed, and for other formats.
    """
    if not isinstance(image, TiffImagePlugin.TiffImageFile) or image.info.get("compression") in (None, "raw"):
        return 0, 0
    tags = image.tag_v2
    if TiffImagePlugin.TILEOFFSETS in tags or TiffImagePlugin.TILEWIDTH in tags:
        return _number(image, TiffImagePlugin.TILEWIDTH, 0), _number(image, TiffImagePlugin.TILELENGTH, 0)
    rows = _number(image, TiffImagePlugin.ROWSPERSTRIP, WHOLE)
    height = _number(image, TiffImagePlugin.IMAGELENGTH, 0)
    return _number(image, TiffImagePlugin.IMAGEWIDTH, 0), height if rows == WHOLE else rows


def block_bytes(image: Image.Image) -> int:
    """What a decoder allocates for one tile or strip."""
    width, height = block(image)
    if not isinstance(image, TiffImagePlugin.TiffImageFile) or not width * height:
        return 0
    samples = _number(image, TiffImagePlugin.SAMPLESPERPIXEL, 1)
    ycbcr = image.tag_v2.get(PHOTOMETRIC) == YCBCR  # libtiff makes RGBA of it, in a block of its own
    return width * height * (12 if ycbcr else (bits(image) * samples + 7) // 8)
