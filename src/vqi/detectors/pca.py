"""Feature reconstruction error of the whole map as one vector: the reference's method.

With N images in D >= N dimensions the N x N Gram problem is solved, else the D x D covariance.

Source: Ndiour, Ahuja, Tickoo, "Out-of-distribution detection with subspace techniques and probabilistic modeling of
features", arXiv 2012.04250, section 3 (feature reconstruction error).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vqi.artifacts.features import FeatureMaps, Shape
from vqi.config import PcaFit
from vqi.detectors.grid import enlarged, finest
from vqi.detectors.interface import Arrays, Detector, DoubleArray, Fitted, FloatArray, Rows
from vqi.detectors.subspace import (
    Gram,
    Subspace,
    blocks,
    mean_of,
    moments,
    norms2,
    squared_distances,
    squared_residuals,
    subspace_from,
)


@dataclass(frozen=True)
class Pca(Detector):
    """One subspace for the vectors of all features of an image."""

    subspace: Subspace  # of (D,), D the sum of C * h * w over the layers
    shapes: tuple[Shape, ...]

    @classmethod
    def fit(cls, train: FeatureMaps, settings: PcaFit, folds: Sequence[Rows] = ()) -> Fitted[Pca]:
        """See ``Detector.fit``."""
        vectors = train.vectors()  # N x D
        n, d = vectors.shape
        mean = mean_of(vectors)
        held_out = np.full(n, np.nan)
        if n <= d:
            gram = Gram(vectors, mean)
            for fold in folds:
                held_out[fold] = np.sqrt(gram.held_out(fold, settings.variance))
            return Fitted(cls(gram.fit(settings.variance), train.shapes), held_out)
        whole = moments((vectors[rows] for rows in blocks(n, d)), mean)
        for fold in folds:
            rest = whole.without(moments([vectors[fold]], mean)).fit(mean, settings.variance)
            held_out[fold] = np.sqrt(squared_distances(vectors[fold], rest))
        return Fitted(cls(whole.fit(mean, settings.variance), train.shapes), held_out)

    def score(self, maps: FeatureMaps) -> DoubleArray:
        """The root of the squared reconstruction error, (M,)."""
        return np.sqrt(squared_distances(maps.vectors(), self.subspace))

    def anomaly_maps(self, maps: FeatureMaps) -> FloatArray:
        """The squared residual, folded back to the layers' maps and summed over channels and layers.

        Returns:
            (M, h, w) float32; its sum over a map is the squared score (nearly so where layers of a coarser grid are
            enlarged).
        """
        grid = finest(self.shapes)
        found = np.zeros((len(maps), *grid), np.float32)
        for rows, residuals in squared_residuals(maps.vectors(), self.subspace):
            begin = 0
            for c, h, w in self.shapes:
                own = residuals[:, begin : begin + c * h * w].reshape(-1, c, h, w).sum(axis=1)  # B x h x w
                found[rows] += enlarged(own, grid) * np.float32(h * w / (grid[0] * grid[1]))
                begin += c * h * w
        return found

    def unexplained(self, maps: FeatureMaps) -> float:
        """See ``Detector.unexplained``."""
        vectors = maps.vectors()
        about_mean = sum(float(norms2(vectors[rows] - self.subspace.mean).sum()) for rows in blocks(*vectors.shape))
        return float(squared_distances(vectors, self.subspace).sum()) / about_mean

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """See ``Detector.arrays``."""
        return self.subspace.arrays()

    @classmethod
    def from_arrays(cls, arrays: Arrays, shapes: Sequence[Shape]) -> Pca:
        """See ``Detector.from_arrays``."""
        return cls(subspace_from(arrays, sum(c * h * w for c, h, w in shapes)), tuple(shapes))

    def facts(self) -> dict[str, int | float | str]:
        """How many components there are."""
        return {"components kept": len(self.subspace.components)}
