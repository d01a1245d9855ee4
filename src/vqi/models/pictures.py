"""A photograph with its anomaly map over it, the outlines of anomalous places, the verdict and the score.

The colours are on the scale of ``vqi.pages.maps``: what is usual of good parts stays as it is on the photograph.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from vqi.errors import VqiError
from vqi.formatting import figure
from vqi.models.result import Box, Result
from vqi.pages.maps import coloured, on_scale

_STRENGTH = 0.6  # opacity of the hottest colour
_LINE, _DARK, _PASSED, _FLAGGED = (0, 220, 255), (0, 0, 0), (120, 220, 120), (255, 120, 90)
_LINES, _LETTERS = (
    250,
    28,
)  # a line's width and a letter's height: one of so many parts of the photograph's shorter side
_SMALLEST_LETTERS = 11  # pixels
_SIDE = 512  # pixels of a map that is coloured; it is blurred beyond that anyway
_NAME_BYTES = 160  # of a picture's name, of the 255 that a disk allows


def picture(result: Result) -> npt.NDArray[np.uint8]:
    """The photograph with what was found on it, (height, width, 3), of its own size.

    Raises:
        VqiError: The result holds no photograph.
    """
    if result.photograph is None:
        raise VqiError(f"{result.name or 'a result'}: holds no photograph: score it with keep=True")
    image = Image.fromarray(result.photograph)
    places = Image.fromarray(_scaled(result)).resize(image.size, Image.Resampling.BILINEAR)
    image.paste(_colours(places), mask=places.point(_OPACITIES))
    _outline(image, result.boxes)
    _write_verdict(image, result)
    return np.asarray(image)


def write_picture(folder: Path, number: int, result: Result) -> str:
    """Write ``picture`` as PNG; returns the file's name: the number, which tells equal names apart, and the name."""
    stem = f"{number:06}-{_plain(Path(result.name).stem)}".rstrip("-")
    name = f"{stem}.png"
    Image.fromarray(picture(result)).save(folder / name, compress_level=1)
    return name


def _scaled(result: Result) -> npt.NDArray[np.uint8]:
    """The map on the scale of the colours, 0 to 255, (H, W), at most ``_SIDE`` on a side."""
    values = result.map_at(min(result.width, _SIDE), min(result.height, _SIDE))
    return np.asarray((255 * on_scale(values, result.map_limit)).round(), np.uint8)


# For each value of a map of bytes: how opaque its colour is, and the colour.
_VALUES = np.linspace(0, 1, 256, dtype=np.float32)
_OPACITIES = (255 * _STRENGTH * np.sqrt(_VALUES)).round().astype(int).tolist()
_PALETTE = coloured(_VALUES[None])[0].ravel().tolist()


def _colours(places: Image.Image) -> Image.Image:
    coded = places.copy()
    coded.putpalette(_PALETTE)
    return coded.convert("RGB")


def _outline(image: Image.Image, boxes: tuple[Box, ...]) -> None:
    """A bright line around each place on a dark one, so that it shows on any background."""
    draw = ImageDraw.Draw(image)
    width = max(1, round(min(image.size) / _LINES))
    for x, y, w, h in boxes:
        around = [x - width, y - width, x + w - 1 + width, y + h - 1 + width]
        left, top, right, bottom = (
            max(around[0], 0), max(around[1], 0), min(around[2], image.width - 1), min(around[3], image.height - 1)
        )  # fmt: skip
        draw.rectangle((left, top, right, bottom), outline=_DARK, width=2 * width)
        draw.rectangle((left, top, right, bottom), outline=_LINE, width=width)


def _write_verdict(image: Image.Image, result: Result) -> None:
    """In the first corner that no anomalous place is in; in the upper left one where all are taken."""
    compared = ">" if result.flagged else "<="
    text = (
        f"{'FLAGGED' if result.flagged else 'passed'}  {figure(result.score)} {compared} {figure(result.threshold)}"
        f"  p {figure(result.p_value)}"
    )
    size = max(_SMALLEST_LETTERS, round(min(image.size) / _LETTERS))
    font = ImageFont.load_default(size)
    draw, margin = ImageDraw.Draw(image), size // 2
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    width, height = round(right - left) + 2 * margin, round(bottom - top) + 2 * margin
    corners = [(x, y) for y in (0, image.height - height) for x in (0, image.width - width)]
    free = (one for one in corners if not any(_meet(Box(*one, width, height), box) for box in result.boxes))
    x, y = next(free, corners[0])
    draw.rectangle((x, y, x + width - 1, y + height - 1), fill=_DARK)
    colour = _FLAGGED if result.flagged else _PASSED
    draw.text((x + margin - left, y + margin - top), text, font=font, fill=colour)


def _meet(one: Box, other: Box) -> bool:
    across = one.x < other.x + other.width and other.x < one.x + one.width
    return across and one.y < other.y + other.height and other.y < one.y + one.height


def _plain(name: str) -> str:
    """A name for a file on any disk: without control characters, and not too long in bytes."""
    plain = "".join(one if one.isprintable() else "_" for one in name)
    return plain.encode("utf-8")[:_NAME_BYTES].decode("utf-8", "ignore")
