"""Which values of images deeper than 8 bits are black and white: one range for all images of a category.

The container says little: cameras of 10, 12 or 14 bits write files of 16, and files of 32 bits or floats hold anything.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from vqi.records import Record

DEPTHS = (8, 10, 12, 14, 16)  # bits that cameras have
FLOATS = (1.0, 2.0)  # floats from 0 to 1, which resampling makes a little larger, are also common


class ValueRange(Record):
    """Black is 0; ``white`` and all above it become 255."""

    white: float = Field(gt=0)
    source: Literal["metadata", "data"]  # what the files say, or the largest value of the training images


def white_for(largest: float, whole_numbers: bool) -> float:
    """White of images whose largest value is ``largest``: the largest value of the next depth that a camera has.

    Args:
        largest: Of all training images of a category; not negative.
        whole_numbers: Whether the values are integers. Floats may also go from 0 to 1.
    """
    floats = () if whole_numbers else FLOATS
    steps = (*floats, *(2.0**bits - 1 for bits in DEPTHS))
    beyond = 2.0 ** int(largest).bit_length()  # for what no camera has
    return next((step for step in steps if largest <= step), max(beyond - 1, largest))
