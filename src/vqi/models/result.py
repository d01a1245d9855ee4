"""What a model says of one photograph: its score, and the places where it is not like the good ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from vqi.artifacts.tensors import FloatArray
from vqi.detectors.grid import resized

Pixels = npt.NDArray[np.uint8]

_NEIGHBOURS = np.ones((3, 3), int)  # places that touch by a corner are one
_HALO = 0.5  # of the highest value around: what is below belongs to the defect there
_FINER, _FINEST = 9, 512  # parts of a cell's side that are told apart; of a map's, at most
_AROUND = 3  # a third of the map's length in each direction


class Box(NamedTuple):
    """A rectangle in pixels of the photograph, the EXIF rotation applied; ``x`` and ``y`` are its upper left corner."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, eq=False)
class Result:
    """The result of a model for one photograph.

    Attributes:
        score: How anomalous it is, at least 0.
        threshold: From good parts alone, at the false-alarm rate that was asked for in training.
        flagged: Whether the score is above the threshold.
        p_value: The share of good parts that are at least as unusual, in (0, 1].
        map: How anomalous each place is, at least 0: (h, w), on the detector's grid.
        boxes: Where the map is above ``map_limit``, the most anomalous place first.
        version: Of the model; 0 for one that was never published.
        seconds: What reading, decoding and scoring took.
        name: Path or address of the photograph; '' for one that has none.
        width: Of the photograph in pixels, the EXIF rotation applied.
        height: The same.
        map_limit: From good parts alone: the highest place of a map is above it as rarely as a score is flagged.
        photograph: (height, width, 3), where it was asked for.
    """

    score: float
    threshold: float
    flagged: bool
    p_value: float
    map: FloatArray
    boxes: tuple[Box, ...]
    version: int
    seconds: float
    name: str
    width: int
    height: int
    map_limit: float
    photograph: Pixels | None = None

    def map_at(self, width: int = 0, height: int = 0) -> FloatArray:
        """The map enlarged bilinearly, (height, width) float32; to the size of the photograph where none is given."""
        return resized(self.map, (height or self.height, width or self.width))


def boxes_of(anomaly_map: FloatArray, limit: float, width: int, height: int) -> tuple[Box, ...]:
    """The connected places of a map that are above a limit, in pixels of a photograph, the highest place first.

    A cell sees much of the photograph around it, so that a strong defect raises the map far beyond its edges: what is
    below half of the highest value around is left out.

    Args:
        anomaly_map: (h, w); it is enlarged bilinearly, so that places have finer edges than its cells.
        limit: Of good parts.
        width: Of the photograph, in pixels.
        height: Of the photograph, in pixels.
    """
    if not anomaly_map.max() > limit:
        return ()
    h, w = anomaly_map.shape
    around = ndimage.maximum_filter(anomaly_map, [2 * (length // _AROUND) + 1 for length in (h, w)])
    least = np.maximum(around * np.float32(_HALO), np.float32(limit))
    finer = max(1, min(_FINER, _FINEST // max(h, w)))
    finer -= 1 - finer % 2  # odd: one part is the cell's middle, so that each cell above the limit is in a box
    large, least = (resized(one, (finer * h, finer * w)) for one in (anomaly_map, least))
    places, _ = ndimage.label(large > least, _NEIGHBOURS)
    found = [(large[at][places[at] == number].max(), at) for number, at in enumerate(ndimage.find_objects(places), 1)]
    return tuple(_box(at, large.shape, width, height) for _, at in sorted(found, key=lambda one: -one[0]))


def _box(at: tuple[slice, slice], shape: tuple[int, ...], width: int, height: int) -> Box:
    top, bottom = _in_pixels(at[0], shape[0], height)
    left, right = _in_pixels(at[1], shape[1], width)
    return Box(left, top, right - left, bottom - top)


def _in_pixels(cells: slice, of: int, length: int) -> tuple[int, int]:
    """The pixels, of ``length``, that some of ``of`` cells touch: the first one, and the one after the last."""
    return cells.start * length // of, -(-cells.stop * length // of)
