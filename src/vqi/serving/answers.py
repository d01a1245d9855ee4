"""What is said of a photograph: as JSON, and as a picture."""

from __future__ import annotations

import base64
import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from vqi.models.pictures import picture
from vqi.models.result import Result
from vqi.records import Record

LARGEST_SIDE = 4096  # pixels of a picture within JSON
_QUALITY = 85


class Place(Record):
    """A box in pixels of the photograph, the EXIF rotation applied."""

    x: int
    y: int
    width: int
    height: int


class Answer(Record):
    """The answer to ``POST /score``; see ``vqi.models.result.Result``."""

    model: str
    version: int
    score: float
    threshold: float
    flagged: bool
    p_value: float
    boxes: tuple[Place, ...]
    width: int
    height: int
    seconds: float
    picture: str | None = None  # a data uri of a JPEG
    sha256: str | None = None  # of the photograph's file, where verdicts are kept: ``POST /verdicts`` names it


def answer_of(model: str, result: Result, side: int, sha256: str = "") -> Answer:
    """A result in JSON, with a picture of at most ``side`` pixels per side, none for 0; and with a digest, if any."""
    return Answer(
        model=model,
        version=result.version,
        score=result.score,
        threshold=result.threshold,
        flagged=result.flagged,
        p_value=result.p_value,
        boxes=tuple(Place(x=x, y=y, width=width, height=height) for x, y, width, height in result.boxes),
        width=result.width,
        height=result.height,
        seconds=result.seconds,
        picture=_jpeg_uri(picture(result), side) if side else None,
        sha256=sha256 or None,
    )


def png_of(result: Result) -> bytes:
    """The photograph with what was found on it, of its own size."""
    file = io.BytesIO()
    Image.fromarray(picture(result)).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _jpeg_uri(pixels: npt.NDArray[np.uint8], side: int) -> str:
    image = Image.fromarray(pixels)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)  # never enlarges
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")
