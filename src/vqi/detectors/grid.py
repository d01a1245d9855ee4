"""Feature maps of several layers on one grid."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from vqi.artifacts.features import FeatureMaps, Shape
from vqi.detectors.interface import FloatArray

Grid = tuple[int, int]


def coarsest(shapes: Sequence[Shape]) -> Grid:
    """Height and width of the grid with the fewest cells: usually that of the deepest layer."""
    _, h, w = min(shapes, key=lambda shape: shape[1] * shape[2])
    return h, w


def on_grid(maps: FeatureMaps, grid: Grid) -> FloatArray:
    """The layers' maps side by side, (N, C, h, w) with C the sum of their channels.

    Coarser maps are enlarged, finer ones are averaged over the cells that lie in one of the grid. Nothing is copied for
    a single layer on that grid.
    """
    parts = [resized(one, grid) for one in maps.layers]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def resized(maps: FloatArray, grid: Grid) -> FloatArray:
    """Maps (..., h, w) on another grid, (..., H, W), each axis by ``weights``; the same array where it fits."""
    h, w = maps.shape[-2:]
    if (h, w) == grid:
        return maps
    rows, columns = weights(h, grid[0]), weights(w, grid[1])  # H x h, W x w
    return np.asarray(rows @ maps @ columns.T, np.float32)


@lru_cache
def weights(size: int, wanted: int) -> FloatArray:
    """The weights of ``size`` cells in each of ``wanted`` cells along an axis, (wanted, size); rows sum to 1.

    Fewer cells are the means over their lengths, more are bilinear, with cells at their centres.
    """
    found: FloatArray = (_means if wanted < size else _bilinear)(size, wanted)
    found.flags.writeable = False  # it is shared
    return found


def _means(size: int, wanted: int) -> FloatArray:
    ends = np.arange(1, size + 1)[None]  # of the fine cells, of length 1
    begin = np.arange(wanted)[:, None] * size / wanted  # of the coarse cells
    covered = np.clip(np.minimum(begin + size / wanted, ends) - np.maximum(begin, ends - 1), 0, 1)
    return np.asarray(covered / covered.sum(axis=1, keepdims=True), np.float32)


def _bilinear(size: int, wanted: int) -> FloatArray:
    at: npt.NDArray[np.float64] = np.clip((np.arange(wanted) + 0.5) * size / wanted - 0.5, 0, size - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, size - 1)
    found: FloatArray = np.zeros((wanted, size), np.float32)
    found[np.arange(wanted), low] += 1 - (at - low)
    found[np.arange(wanted), high] += at - low
    return found
