"""Feature reconstruction error of the whole map as one vector.

What a cell may look like depends on where it is and on the rest of the part, so this is for parts that lie the same way
in each photograph. The layers are brought to the grid of the deepest one, their channels to one scale
(``vqi.detectors.scaling``) and to the directions in which they vary most: a model of all channels of four layers is
several times as large and as slow. With ``scaling`` raw, ``channels`` 0, ``aggregate`` 1 and one layer it is the
reference's method.

With N images in D >= N dimensions the N x N Gram problem is solved, else the D x D covariance.

Source: Ndiour, Ahuja, Tickoo, "Out-of-distribution detection with subspace techniques and probabilistic modeling of
features", arXiv 2012.04250, section 3 (feature reconstruction error).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vqi.artifacts.features import FeatureMaps, Shape
from vqi.config import PcaFit
from vqi.detectors.grid import Grid, coarsest
from vqi.detectors.interface import Arrays, Detector, Fitted, FloatArray, Rows
from vqi.detectors.scaling import ChannelScaling, others, pieces, scaling_from
from vqi.detectors.subspace import (
    POSITIONS_A_CHANNEL,
    Gram,
    Subspace,
    blocks,
    mean_of,
    moments,
    require_orthonormal,
    require_two,
    squared_residuals,
    subspace_from,
    unexplained,
)
from vqi.errors import VqiError

_DIRECTIONS = "channel_directions"


@dataclass(frozen=True)
class Pca(Detector):
    """The whole feature map as one vector, one subspace for all good images: for parts that lie the same way."""

    subspace: Subspace  # of (D,), D the product of R or C, h and w
    scaling: ChannelScaling  # of (C,), C the sum of the layers' channels
    directions: FloatArray | None  # (R, C), orthonormal, of the scaled channels; None: all channels as they are
    grid: Grid  # (h, w)

    @classmethod
    def fit(cls, train: FeatureMaps, settings: PcaFit, folds: Sequence[Rows] = ()) -> Fitted[Pca]:
        """See ``Detector.fit``; the channels are scaled by all images, those of the folds among them."""
        require_two(len(train))
        scaling, grid = ChannelScaling.fit(train, settings.scaling), coarsest(train.shapes)
        channels, directions = len(scaling.mean), None
        # Few images have a small model anyway, and what is new in a defect may lie along none of the directions in
        # which their channels vary.
        if 0 < settings.channels < channels <= len(train) * math.prod(grid) / POSITIONS_A_CHANNEL:
            directions = moments(scaling.positions(train), np.zeros(channels)).directions(settings.channels)
        vectors = _vectors(scaling, directions, train)  # N x D
        n, d = vectors.shape
        mean = mean_of(vectors)
        held_out = np.full((n, *grid), np.nan, np.float32)
        if n <= d:
            gram = Gram(vectors, mean)
            for fold in folds:
                held_out[fold] = _maps(gram.held_out_residuals(fold, settings.variance), grid)
            return Fitted(cls(gram.fit(settings.variance), scaling, directions, grid), held_out)
        whole = moments((vectors[rows] for rows in blocks(n, d)), mean)
        for fold in folds:
            rest = whole.without(moments([vectors[fold]], mean)).fit(settings.variance, n - len(fold))
            held_out[fold] = _maps(squared_residuals(vectors[fold], rest), grid)
        return Fitted(cls(whole.fit(settings.variance, n).in_single(), scaling, directions, grid), held_out)

    def anomaly_maps(self, maps: FeatureMaps) -> FloatArray:
        """The squared residual, folded back to the grid and summed over channels, (M, h, w) float32."""
        found = np.empty((len(maps), *self.grid), np.float32)
        for rows in pieces(maps):
            vectors = _vectors(self.scaling, self.directions, maps.rows(rows))
            found[rows] = _maps(squared_residuals(vectors, self.subspace), self.grid)
        return found

    def unexplained(self, maps: FeatureMaps) -> float:
        """See ``Detector.unexplained``."""
        vectors = (_vectors(self.scaling, self.directions, maps.rows(rows)) for rows in pieces(maps))
        return unexplained(vectors, self.subspace)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """See ``Detector.arrays``."""
        reduced = {} if self.directions is None else {_DIRECTIONS: self.directions}
        return {**self.subspace.arrays(), **self.scaling.arrays(), **reduced}

    @classmethod
    def from_arrays(cls, arrays: Arrays, shapes: Sequence[Shape], settings: PcaFit) -> Pca:
        """See ``Detector.from_arrays``."""
        channels, grid = sum(c for c, _, _ in shapes), coarsest(shapes)
        scaling, own = scaling_from(arrays, channels, settings.scaling), others(arrays)
        directions = own.pop(_DIRECTIONS, None)
        if directions is not None:
            if directions.shape != (settings.channels, channels):
                raise VqiError(
                    f"detector: expected {settings.channels} directions of {channels} channels, got "
                    f"{directions.shape}; run pca_fit again"
                )
            require_orthonormal(directions, "directions of channels")
        kept = channels if directions is None else len(directions)
        return cls(subspace_from(own, kept * math.prod(grid)), scaling, directions, grid)

    def caveat(self) -> str:
        """See ``Detector.caveat``."""
        return self.subspace.caveat()

    def facts(self) -> dict[str, int | float | str]:
        """How many components there are."""
        return {"components kept": len(self.subspace.components)}


def _vectors(scaling: ChannelScaling, directions: FloatArray | None, maps: FeatureMaps) -> FloatArray:
    """All scaled features of an image as one vector, (N, D)."""
    pieces_of_it = [_reduced(scaling.apply(maps.rows(rows)), directions) for rows in pieces(maps)]
    return pieces_of_it[0] if len(pieces_of_it) == 1 else np.concatenate(pieces_of_it)


def _reduced(values: FloatArray, directions: FloatArray | None) -> FloatArray:
    """Maps (N, C, h, w) as vectors (N, R * h * w) of their coordinates along the directions (R, C), or as they are."""
    n, c, h, w = values.shape
    if directions is None:
        return values.reshape(n, c * h * w)
    along: FloatArray = directions @ values.reshape(n, c, h * w)  # N x R x h*w
    return along.reshape(n, len(directions) * h * w)


def _maps(residuals: FloatArray, grid: Grid) -> FloatArray:
    """Squared residuals (N, D), summed over channels, (N, h, w)."""
    channels = residuals.shape[1] // math.prod(grid)
    summed: FloatArray = residuals.reshape(len(residuals), channels, *grid).sum(axis=1)
    return summed
