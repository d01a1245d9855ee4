"""Feature maps of several layers on one grid: that of the finest."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from vqi.artifacts.features import FeatureMaps, Shape
from vqi.detectors.interface import FloatArray

Grid = tuple[int, int]


def finest(shapes: Sequence[Shape]) -> Grid:
    """Height and width of the grid with the most cells."""
    _, h, w = max(shapes, key=lambda shape: shape[1] * shape[2])
    return h, w


def on_one_grid(maps: FeatureMaps) -> FloatArray:
    """The layers' maps side by side, (N, C, h, w) with C the sum of their channels, coarser ones enlarged."""
    grid = finest(maps.shapes)
    parts = [enlarged(one, grid) for one in maps.layers]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def enlarged(maps: FloatArray, grid: Grid) -> FloatArray:
    """Maps (..., h, w) on another grid, (..., H, W): bilinear, cells at their centres; the same array where it fits."""
    h, w = maps.shape[-2:]
    if (h, w) == grid:
        return maps
    rows, columns = weights(h, grid[0]), weights(w, grid[1])  # H x h, W x w
    return np.asarray(rows @ maps @ columns.T, np.float32)


@lru_cache
def weights(size: int, wanted: int) -> FloatArray:
    """The weights of ``size`` cells in each of ``wanted`` cells along an axis, (wanted, size); rows sum to 1."""
    at: npt.NDArray[np.float64] = np.clip((np.arange(wanted) + 0.5) * size / wanted - 0.5, 0, size - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, size - 1)
    found: FloatArray = np.zeros((wanted, size), np.float32)
    found[np.arange(wanted), low] += 1 - (at - low)
    found[np.arange(wanted), high] += at - low
    found.flags.writeable = False  # it is shared
    return found
