"""The source ``drawn:<number>``: plain discs, that many to train on and as many to test, and one with a hole."""

from __future__ import annotations

import io
from functools import partial

from PIL import Image, ImageDraw

from vqi.datasets.layout import Dataset, Entry
from vqi.errors import VqiError


def read(argument: str, request: object) -> Dataset:
    """The dataset with one category, ``disc``.

    Raises:
        VqiError: What follows the colon is not a number.
    """
    if not argument.isdecimal():
        raise VqiError(f"the source 'drawn' needs a number: expected drawn:<number>, got 'drawn:{argument}'")
    good = [f"{split}/good/{i:03d}.png" for split in ("train", "test") for i in range(int(argument))]
    entries = [Entry(path, partial(draw, row, hole=False)) for row, path in enumerate(good)]
    return Dataset("drawn", None, {"disc": (*entries, Entry("test/hole/000.png", partial(draw, 0, hole=True)))})


def draw(row: int, hole: bool) -> bytes:
    """A disc as a PNG of 48 x 48 pixels; rows differ in its shade."""
    image = Image.new("L", (48, 48))
    pen = ImageDraw.Draw(image)
    pen.ellipse((8, 8, 40, 40), fill=120 + row)
    if hole:
        pen.ellipse((20, 20, 28, 28), fill=0)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
