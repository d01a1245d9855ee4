"""Channels of feature maps on one scale, so that a loud channel does not drown the others.

Each channel is divided by its spread over all positions of the good images. ``squashed`` also limits how much one cell
of one channel can say: tanh(x / 2) is nearly x / 2 for what is usual and at most 1 for what is not, so that a subspace
is not bent by a few extreme values of good images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vqi.artifacts.features import FeatureMaps
from vqi.config import Scaling
from vqi.detectors.grid import coarsest, on_grid
from vqi.detectors.interface import FloatArray
from vqi.detectors.subspace import blocks, checked_mean, require_variance
from vqi.errors import VqiError

_NAMES = ("channel_mean", "channel_spread")
_LEAST = 1e-3  # of the median spread of the channels that vary: one that is nearly constant is not blown up
_LARGEST = 1e15  # a spread whose square, summed over a map, is still a float32


@dataclass(frozen=True)
class ChannelScaling:
    """What the channels of maps on the coarsest grid of their layers are scaled by."""

    kind: Scaling
    mean: FloatArray  # (C,), C the sum of the layers' channels
    spread: FloatArray  # (C,), > 0

    @classmethod
    def fit(cls, maps: FeatureMaps, kind: Scaling) -> ChannelScaling:
        """The mean and the standard deviation of each channel over the positions of good images.

        Raises:
            VqiError: They are not finite, or the images are all the same.
        """
        grid = coarsest(maps.shapes)
        channels = sum(c for c, _, _ in maps.shapes)
        total, squares, between = np.zeros(channels), np.zeros(channels), 0.0
        centre = np.concatenate([one.mean(axis=(0, 2, 3), dtype=np.float64) for one in maps.layers])
        checked_mean(centre)
        first: FloatArray | None = None
        for rows in pieces(maps):
            values = on_grid(maps.rows(rows), grid)  # B x C x h x w
            first = values[:1] if first is None else first
            between += float(np.square((values - first).astype(np.float64)).sum())
            centred = values - centre[:, None, None]
            total += centred.sum(axis=(0, 2, 3))
            squares += np.square(centred).sum(axis=(0, 2, 3))
        if first is not None:
            require_variance(between, len(maps), first.astype(np.float64))
        count = len(maps) * grid[0] * grid[1]
        mean = total / count
        spread = np.sqrt(np.maximum(squares / count - np.square(mean), 0))
        if not spread.max() < _LARGEST:
            raise VqiError(f"the features are too large, they spread by {spread.max():.3g}: use another layer")
        spread = np.maximum(spread, _LEAST * float(np.median(spread[spread > 0])))
        return cls(kind, (centre + mean).astype(np.float32), spread.astype(np.float32))

    def apply(self, maps: FeatureMaps) -> FloatArray:
        """Scaled maps on the coarsest grid, (N, C, h, w)."""
        values = on_grid(maps, coarsest(maps.shapes))  # N x C x h x w
        if self.kind == "raw":
            return values
        values = values - self.mean[:, None, None]
        values /= self.spread[:, None, None]
        if self.kind == "squashed":
            values /= 2
            np.tanh(values, out=values)
        return values

    def positions(self, maps: FeatureMaps) -> Iterator[FloatArray]:
        """The scaled vectors of all positions, (B * h * w, C), some images at a time, those of an image row by row."""
        for rows in pieces(maps):
            values = self.apply(maps.rows(rows))  # B x C x h x w
            b, c, h, w = values.shape
            yield np.ascontiguousarray(values.transpose(0, 2, 3, 1)).reshape(b * h * w, c)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """By name."""
        return dict(zip(_NAMES, (self.mean, self.spread), strict=True))


def scaling_from(arrays: Mapping[str, npt.NDArray[Any]], channels: int, kind: Scaling) -> ChannelScaling:
    """The scaling that ``arrays`` came from, which may hold others.

    Raises:
        VqiError: An array is missing or does not fit, or a spread is not above 0.
    """
    missing = [name for name in _NAMES if name not in arrays or arrays[name].shape != (channels,)]
    if missing:
        raise VqiError(f"detector: expected the arrays {', '.join(missing)} of {channels} channels; run pca_fit again")
    mean, spread = (np.asarray(arrays[name]) for name in _NAMES)
    if not (spread > 0).all():
        raise VqiError("detector: expected spreads of channels above 0; run pca_fit again")
    return ChannelScaling(kind, mean, spread)


def others(arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """What is not of the scaling."""
    return {name: array for name, array in arrays.items() if name not in _NAMES}


def pieces(maps: FeatureMaps) -> Iterator[slice]:
    """Slices of the images that hold a bounded number of bytes of all layers."""
    return blocks(len(maps), sum(c * h * w for c, h, w in maps.shapes))
