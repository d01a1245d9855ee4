"""Plausible defects, planted in photographs of good parts: to rank detectors without a defective part.

Each is drawn from a generator of random numbers: where, how large, how strong. Strength is in units of the photograph's
own contrast, so that a defect is as hard to see in a quiet part as in a rough one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

Pixels = npt.NDArray[np.uint8]  # (H, W, 3)
Plant = Callable[[Pixels, np.random.Generator], Pixels]

SIDES = (0.04, 0.25)  # smallest and largest side of a changed region, as a share of the photograph's
CONTRAST = (0.7, 3.0)  # of stains and scratches, in standard deviations of the photograph


def pasted(image: Pixels, random: np.random.Generator) -> Pixels:
    """A piece of the photograph, turned, in another place."""
    mask, (top, left, h, w) = _blob(image, random)
    y, x = random.integers(0, image.shape[0] - h + 1), random.integers(0, image.shape[1] - w + 1)
    piece = np.rot90(image[y : y + h, x : x + w], 2)
    return _blended(image, piece, mask, top, left)


def stained(image: Pixels, random: np.random.Generator) -> Pixels:
    """A region that is lighter or darker."""
    mask, (top, left, h, w) = _blob(image, random)
    piece = image[top : top + h, left : left + w] + _strength(image, random)
    return _blended(image, piece, mask, top, left)


def scratched(image: Pixels, random: np.random.Generator) -> Pixels:
    """A thin line with bends, lighter or darker."""
    height, width = image.shape[:2]
    drawn = Image.new("L", (width, height))
    at = random.uniform((0, 0), (width, height))
    heading, step = random.uniform(0, 2 * np.pi), random.uniform(0.03, 0.1) * min(height, width)
    points = [tuple(at)]
    for _ in range(random.integers(2, 7)):
        heading += random.normal(0, 0.4)
        at = at + step * np.array([np.cos(heading), np.sin(heading)])
        points.append(tuple(at))
    ImageDraw.Draw(drawn).line(points, fill=255, width=int(random.integers(1, 4)))
    mask = np.asarray(drawn.filter(ImageFilter.GaussianBlur(0.6)), np.float32) / 255
    return _blended(image, image + _strength(image, random), mask, 0, 0)


def missing(image: Pixels, random: np.random.Generator) -> Pixels:
    """A region that has the mean colour of what is around it."""
    mask, (top, left, h, w) = _blob(image, random)
    around = image[max(0, top - h // 2) : top + h + h // 2, max(0, left - w // 2) : left + w + w // 2]
    piece = np.broadcast_to(around.mean(axis=(0, 1)), (h, w, 3))
    return _blended(image, piece, mask, top, left)


def blurred(image: Pixels, random: np.random.Generator) -> Pixels:
    """A region that is smeared."""
    mask, (top, left, h, w) = _blob(image, random)
    soft = Image.fromarray(image).filter(ImageFilter.GaussianBlur(random.uniform(0.01, 0.03) * max(image.shape[:2])))
    return _blended(image, np.asarray(soft)[top : top + h, left : left + w], mask, top, left)


PLANTS: dict[str, Plant] = {
    "pasted": pasted,
    "stained": stained,
    "scratched": scratched,
    "missing": missing,
    "blurred": blurred,
}


def planted(images: npt.NDArray[np.uint8], seed: int) -> dict[str, npt.NDArray[np.uint8]]:
    """Each of the images (N, H, W, 3) with one defect of each kind; each depends on its place and ``seed`` alone."""
    return {
        name: np.stack([plant(one, np.random.default_rng([seed, place, number])) for place, one in enumerate(images)])
        for number, (name, plant) in enumerate(PLANTS.items())
    }


def _strength(image: Pixels, random: np.random.Generator) -> float:
    return float(random.choice([-1, 1]) * random.uniform(*CONTRAST) * max(float(image.std()), 4.0))


def _blob(image: Pixels, random: np.random.Generator) -> tuple[npt.NDArray[np.float32], tuple[int, int, int, int]]:
    """A soft mask (h, w) of an uneven outline, and its box (top, left, h, w) in the image."""
    height, width = image.shape[:2]
    low, high = np.log(SIDES)
    h, w = (max(4, round(np.exp(random.uniform(low, high)) * side)) for side in (height, width))
    top, left = random.integers(0, height - h + 1), random.integers(0, width - w + 1)
    y, x = np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j]
    angle, radius = np.arctan2(y, x), np.hypot(y, x)
    edge = 0.75 + sum(random.normal(0, 0.12 / k) * np.cos(k * angle + random.uniform(0, 2 * np.pi)) for k in (1, 2, 3))
    mask = np.clip((edge - radius) / 0.15 + 0.5, 0, 1)
    return mask.astype(np.float32), (int(top), int(left), h, w)


def _blended(
    image: Pixels, piece: npt.NDArray[np.generic], mask: npt.NDArray[np.float32], top: int, left: int
) -> Pixels:
    found = image.astype(np.float32)
    h, w = mask.shape
    region = found[top : top + h, left : left + w]
    region += (np.asarray(piece, np.float32) - region) * mask[:, :, None]
    return np.clip(np.round(found), 0, 255).astype(np.uint8)
