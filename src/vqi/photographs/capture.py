"""When a photograph was taken and with which camera, as its EXIF says; and which were taken in one go.

Only the camera's own clock counts (DateTimeOriginal with SubSecTimeOriginal), and only its differences: a time zone is
of no use. The date of the file says when it was copied.

Source: CIPA DC-008, "Exchangeable image file format for digital still cameras" (Exif 2.32), 4.6.5: DateTimeOriginal,
SubSecTimeOriginal.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from PIL import ExifTags, Image

from vqi.photographs.opening import DAMAGED, open_image

_CAMERA = (ExifTags.Base.Make, ExifTags.Base.Model)


class Capture(NamedTuple):
    """When and by what a photograph was taken."""

    camera: str  # make, model and serial number, as far as they are known
    seconds: float  # of the camera's clock


def capture_of(data: bytes, name: str, max_pixels: int) -> Capture | None:
    """What the EXIF of an image file says; None where it says no time, or nothing that can be read.

    Raises:
        UnreadableImage: It is no image.
    """
    image = open_image(data, name, max_pixels)
    try:
        exif = image.getexif()
        inner = exif.get_ifd(ExifTags.IFD.Exif)
        taken = datetime.strptime(_text(inner.get(ExifTags.Base.DateTimeOriginal)), "%Y:%m:%d %H:%M:%S")
    except (*DAMAGED, Image.DecompressionBombError):
        return None
    fraction = _text(inner.get(ExifTags.Base.SubsecTimeOriginal))
    parts = [exif.get(tag) for tag in _CAMERA] + [inner.get(ExifTags.Base.BodySerialNumber)]
    seconds = taken.replace(tzinfo=UTC).timestamp() + (float(f"0.{fraction}") if fraction.isdecimal() else 0.0)
    return Capture(" ".join(filter(None, map(_text, parts))), seconds)


def bursts(captures: Sequence[Capture | None], seconds: float) -> list[int | None]:
    """The number of the burst of each photograph: each within ``seconds`` of the one before, by the same camera.

    None for one without a time.
    """
    found: list[int | None] = [None] * len(captures)
    known = sorted((one, row) for row, one in enumerate(captures) if one is not None)
    before: Capture | None = None
    number = -1
    for one, row in known:
        if before is None or one.camera != before.camera or one.seconds - before.seconds > seconds:
            number += 1
        found[row], before = number, one
    return found


def _text(value: object) -> str:
    """The value of a tag; '' where it is none."""
    return value.replace("\0", "").strip() if isinstance(value, str) else ""
