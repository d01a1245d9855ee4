"""Which value is white in the images of a category that are deeper than 8 bits: from the training images, once for all.

The rule: what the files say, unless a value is above that; else the largest value of the next depth that cameras have
(8, 10, 12, 14, 16 bits) which no training image exceeds, and for floats also 1 and 2.
"""

from __future__ import annotations

from collections.abc import Mapping

from vqi.artifacts.images import ValueRange
from vqi.formatting import count
from vqi.photographs.decoding import Largest
from vqi.photographs.depth import white_for


def decide(looked: Mapping[str, Largest | None]) -> tuple[ValueRange | None, list[str]]:
    """The range of a category, and what to warn of.

    Args:
        looked: By path, of the training images; None for those of 8 bits.

    Returns:
        None where no image is deeper than 8 bits.
    """
    found = {path: largest for path, largest in looked.items() if largest is not None}
    if not found:
        return None, []
    brightest = max(found, key=lambda path: found[path].value)
    largest = found[brightest].value
    declared = sorted({one.declared for one in found.values() if one.declared is not None})
    if declared and largest <= declared[-1]:
        values = ValueRange(white=declared[-1], source="metadata")
        return values, _disagreement(declared)
    whole = all(one.whole_numbers for one in found.values())
    values = ValueRange(white=white_for(largest, whole), source="data")
    if values.white == min(one.container for one in found.values()):
        return values, []  # all of the container is used
    said = f", though the files say that {declared[-1]:g} is white" if declared else ""
    return values, [
        f"{count(len(found), 'training image')} deeper than 8 bits: {values.white:g} is taken as white, because their "
        f"largest value is {largest:g} ({brightest}){said}. If that is not the white of your camera, save the images "
        "with 8 bits, or as TIFF with its tag MaxSampleValue."
    ]


def _disagreement(declared: list[float]) -> list[str]:
    if len(declared) == 1:
        return []
    said = ", ".join(f"{white:g}" for white in declared)
    return [f"The training images say that different values are white ({said}): {declared[-1]:g} is taken for all."]
