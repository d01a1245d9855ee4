"""How the images of a category look in figures, and whether light alone tells good test images from defective ones.

Where it does, a model may have learnt the light and not the part: the test then says little about defects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from vqi.artifacts.images import IndexRow
from vqi.formatting import count
from vqi.metrics import image_auroc

BORDER = 16  # the border, where a part's background is, is a 16th of a side wide
TELLS = 0.95  # AUROC, either way, from which one figure tells the classes apart
LEAST = 5  # images of each class below which chance alone may do that
DARK, BRIGHT = 16, 239  # mean greys below and above which an image of little contrast counts as black or white
LITTLE, NONE = 8, 3  # contrast, the latter whatever the brightness
NAMED = 3  # images named in a warning
GROUPS = ("train good", "calibration good", "test good", "test defective")


class Look(NamedTuple):
    """Four figures of an image; grey values from 0 to 255."""

    brightness: float  # mean grey
    contrast: float  # standard deviation of the grey
    sharpness: float  # mean absolute difference of neighbouring greys
    background: float  # mean grey of the border


def look_of(image: npt.NDArray[np.uint8]) -> Look:
    """The figures of an image (height, width, 3)."""
    grey = np.asarray(Image.fromarray(image).convert("L"), dtype=np.float32)  # (height, width)
    edges = float(np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean())
    width = max(1, len(grey) // BORDER)
    inner = np.zeros(grey.shape, bool)
    inner[width:-width, width:-width] = True
    figures = (grey.mean(), grey.std(), edges, grey[~inner].mean())
    return Look(*(round(float(figure), 3) for figure in figures))


def distributions(index: Sequence[IndexRow], looks: Sequence[Look]) -> dict[str, dict[str, dict[str, float]]]:
    """The minimum, the quartiles and the maximum, by figure and group of images."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for number, figure in enumerate(Look._fields):
        values: dict[str, list[float]] = {group: [] for group in GROUPS}
        for row, look in zip(index, looks, strict=True):
            values[_group(row)].append(look[number])
        found[figure] = {group: _quartiles(members) for group, members in values.items() if members}
    return found


def separation(index: Sequence[IndexRow], looks: Sequence[Look]) -> dict[str, float]:
    """By figure, how well it alone tells defective from good test images: the AUROC, from 0.5 to 1, either way.

    Empty where there are fewer than ``LEAST`` of a class.
    """
    rows = [(row.label, look) for row, look in zip(index, looks, strict=True) if row.split == "test"]
    labels = np.array([label for label, _ in rows], dtype=np.int64)
    if min(int((labels == 0).sum()), int((labels == 1).sum())) < LEAST:
        return {}
    found = {}
    for number, figure in enumerate(Look._fields):
        area = image_auroc(labels, np.array([look[number] for _, look in rows], dtype=np.float64))
        found[figure] = round(max(area or 0.0, 1 - (area or 0.0)), 4)
    return found


def telling(areas: dict[str, float]) -> dict[str, float]:
    """The figures of light that alone tell the test classes apart: a defect may change the sharpness, and should."""
    return {figure: area for figure, area in areas.items() if area >= TELLS and figure != "sharpness"}


def lighting_warnings(areas: dict[str, float]) -> list[str]:
    """What to say where one figure tells the test classes apart."""
    return [
        f"The {figure} of an image alone tells good test images from defective ones (AUROC {area:.2f}): they were not "
        "photographed alike, so the test says little about defects."
        for figure, area in telling(areas).items()
    ]


def empty_looks(index: Sequence[IndexRow], looks: Sequence[Look]) -> list[str]:
    """What to say of good images that are nearly black, nearly white or flat."""
    found: dict[str, list[str]] = {}
    good = [(row.path, look) for row, look in zip(index, looks, strict=True) if not row.label]
    for path, look in good:
        if kind := _emptiness(look):
            found.setdefault(kind, []).append(path)
    return [
        f"{len(paths)} of {count(len(good), 'good image')} {'is' if len(paths) == 1 else 'are'} {kind}, for example "
        f"{', '.join(paths[:NAMED])}: look at them, and at the range of their values; hardly any defect shows there."
        for kind, paths in sorted(found.items())
    ]


def _emptiness(look: Look) -> str:
    if look.brightness < DARK and look.contrast < LITTLE:
        return "nearly black"
    if look.brightness > BRIGHT and look.contrast < LITTLE:
        return "nearly white"
    return "flat (one grey nearly everywhere)" if look.contrast < NONE else ""


def _group(row: IndexRow) -> str:
    return f"{row.split} {'defective' if row.label else 'good'}"


def _quartiles(values: Sequence[float]) -> dict[str, float]:
    names = ("least", "lower quartile", "median", "upper quartile", "most")
    cuts = np.quantile(values, (0, 0.25, 0.5, 0.75, 1))
    return {name: round(float(value), 2) for name, value in zip(names, cuts, strict=True)}
