"""The size in pixels that photographs are scaled to: given, or in the shape of the photographs themselves."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BeforeValidator, PlainSerializer

SHORTEST, LONGEST = 32, 2048  # pixels per side
STEP = 32  # fitted sides are multiples of what deep layers divide sides by, so that nothing is lost at an edge
FEWEST = 96  # pixels of the shorter fitted side: three positions of such a layer
FIT = "fit"
_FORM = re.compile(r"(?P<fit>fit(:(?P<pixels>[0-9]{1,4}))?)|(?P<width>[0-9]{1,4})(x(?P<height>[0-9]{1,4}))?")
_FITTED = 320  # fit alone: as many pixels as a square of this side has
_EXPECTED = (
    f"expected pixels per side from {SHORTEST} to {LONGEST}, such as 320; width x height, such as 208x512; "
    "fit, or fit:320"
)


class Size(NamedTuple):
    """Of images, in pixels; in the order of an array's axes."""

    height: int
    width: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


class Wanted(NamedTuple):
    """What the parameter ``image_size`` says."""

    size: Size  # the size, or the square that has as many pixels
    fits: bool  # whether it takes the shape of the photographs


def square(side: int) -> Size:
    """The size of square images."""
    return Size(side, side)


def wanted_size(text: str) -> Wanted:
    """What the parameter ``image_size`` says: ``320``, ``208x512`` (width x height), ``fit`` or ``fit:320``.

    Raises:
        ValueError: It says nothing of the kind, or a side is out of range.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(f"{_EXPECTED}; got {text!r}")
    if found["fit"]:
        size = square(int(found["pixels"] or _FITTED))
    else:
        size = Size(int(found["height"] or found["width"]), int(found["width"]))
    if not all(SHORTEST <= side <= LONGEST for side in size):
        raise ValueError(f"{_EXPECTED}; got {text!r}")
    return Wanted(size, bool(found["fit"]))


def fitted(pixels: Size, shapes: Sequence[Size]) -> Size:
    """The size with about as many pixels as another one has, in the shape of most photographs.

    Args:
        pixels: A square.
        shapes: Sizes of photographs, one at least; the median of their ratios of width to height counts.
    """
    ratio = math.sqrt(statistics.median(shape.width / shape.height for shape in shapes))
    fewest = min(FEWEST, pixels.height)
    return Size(*(_side(wanted, fewest) for wanted in (pixels.height / ratio, pixels.width * ratio)))


def _side(wanted: float, fewest: int) -> int:
    return min(max(STEP * round(wanted / STEP), fewest), LONGEST)


def _of_json(value: Any) -> Any:
    return (value, value) if type(value) is int else value


def _in_range(size: Size) -> Size:
    if not all(1 <= side <= LONGEST for side in size):
        raise ValueError(f"expected 1 to {LONGEST} pixels per side, got {size}")
    return size


def _to_json(size: Size) -> int | list[int]:
    return size.height if size.height == size.width else list(size)


# In a record: the side of a square, or height and width.
AnySize = Annotated[Size, BeforeValidator(_of_json), AfterValidator(_in_range), PlainSerializer(_to_json)]
