"""Feature reconstruction error of the whole map as one vector: the reference's method.

With N images in D >= N dimensions the N x N Gram problem is solved, else the D x D covariance.

Source: Ndiour, Ahuja, Tickoo, "Out-of-distribution detection with subspace techniques and probabilistic modeling of
features", arXiv 2012.04250, section 3 (feature reconstruction error).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    squared_distances,
    squared_residuals,
    subspace_from,
    unexplained,
)


@dataclass(frozen=True)
class Pca(Detector):
    """The whole feature map as one vector, one subspace for all good images: the reference's method."""

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
            rest = whole.without(moments([vectors[fold]], mean)).fit(settings.variance, n - len(fold))
            held_out[fold] = np.sqrt(squared_distances(vectors[fold], rest))
        return Fitted(cls(whole.fit(settings.variance, n).in_single(), train.shapes), held_out)

    def score(self, maps: FeatureMaps) -> DoubleArray:
        """The root of the squared reconstruction error, (M,)."""
        pieces = [squared_distances(vectors, self.subspace) for _, vectors in self._pieces(maps)]
        return np.sqrt(np.concatenate(pieces)) if pieces else np.zeros(0)

    def anomaly_maps(self, maps: FeatureMaps) -> FloatArray:
        """The squared residual, folded back to the layers' maps and summed over channels and layers.

        Returns:
            (M, h, w) float32; its sum over a map is the squared score (nearly so where layers of a coarser grid are
            enlarged).
        """
        grid = finest(self.shapes)
        found = np.zeros((len(maps), *grid), np.float32)
        for rows, vectors in self._pieces(maps):
            residuals, begin = squared_residuals(vectors, self.subspace), 0
            for c, h, w in self.shapes:
                own = residuals[:, begin : begin + c * h * w].reshape(-1, c, h, w).sum(axis=1)  # B x h x w
                found[rows] += enlarged(own, grid) * np.float32(h * w / (grid[0] * grid[1]))
                begin += c * h * w
        return found

    def unexplained(self, maps: FeatureMaps) -> float:
        """See ``Detector.unexplained``."""
        return unexplained((vectors for _, vectors in self._pieces(maps)), self.subspace)

    def _pieces(self, maps: FeatureMaps) -> Iterator[tuple[slice, FloatArray]]:
        """The images' vectors (B, D), some at a time, and which they are."""
        for rows in blocks(len(maps), len(self.subspace.mean)):
            yield rows, maps.rows(rows).vectors()

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """See ``Detector.arrays``."""
        return self.subspace.arrays()

    @classmethod
    def from_arrays(cls, arrays: Arrays, shapes: Sequence[Shape]) -> Pca:
        """See ``Detector.from_arrays``."""
        return cls(subspace_from(arrays, sum(c * h * w for c, h, w in shapes)), tuple(shapes))

    def caveat(self) -> str:
        """See ``Detector.caveat``."""
        return self.subspace.caveat()

    def facts(self) -> dict[str, int | float | str]:
        """How many components there are."""
        return {"components kept": len(self.subspace.components)}
