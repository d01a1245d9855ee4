"""Feature reconstruction error per position: one subspace for the vectors of all positions of all good images.

What is normal anywhere is normal everywhere, so parts need not lie the same way in each photograph, and a small defect
is not averaged out in a large flawless part: the image's score is that of its most anomalous positions.

Source: Lendering, Akdag, Bondarev, "SubspaceAD: Training-Free Few-Shot Anomaly Detection via Subspace Modeling", arXiv
2602.23013 (reconstruction residual of patch features under PCA; the image's score is the mean of the map's highest
values). There the highest 1 % of a map of pixels count; here the highest 10 % of the layer's cells, of which there may
be only 49, and the root is taken, so that scores are lengths like those of ``pca``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vqi.artifacts.features import FeatureMaps, Shape
from vqi.config import PcaFit
from vqi.detectors.grid import finest, on_one_grid
from vqi.detectors.interface import Arrays, Detector, DoubleArray, Fitted, FloatArray, Rows
from vqi.detectors.subspace import (
    Subspace,
    blocks,
    checked_mean,
    moments,
    require_two,
    require_variance,
    squared_distances,
    subspace_from,
    unexplained,
)

HIGHEST = 0.1  # share of a map's positions, the most anomalous ones, whose mean is the image's score


@dataclass(frozen=True)
class PatchPca(Detector):
    """Each position by itself, one subspace for all positions of all good images: a small defect still shows."""

    subspace: Subspace  # of (C,), C the sum of the layers' channels
    grid: tuple[int, int]  # of the anomaly maps

    @classmethod
    def fit(cls, train: FeatureMaps, settings: PcaFit, folds: Sequence[Rows] = ()) -> Fitted[PatchPca]:
        """See ``Detector.fit``."""
        require_two(len(train))
        grid, centre = finest(train.shapes), _centre(train)
        whole = moments(_positions(train), centre)
        fitted = whole.fit(settings.variance, len(train)).in_single()  # first: it refuses what no fold can score
        held_out = np.full(len(train), np.nan)
        for fold in folds:
            rest = whole.without(moments(_positions(train.rows(fold)), centre))
            model = rest.fit(settings.variance, len(train) - len(fold))
            held_out[fold] = cls(model, grid).score(train.rows(fold))
        return Fitted(cls(fitted, grid), held_out)

    def score(self, maps: FeatureMaps) -> DoubleArray:
        """The root of the mean of the highest squared residuals, (M,)."""
        flat = self.anomaly_maps(maps).reshape(len(maps), self.grid[0] * self.grid[1])
        highest = max(1, round(HIGHEST * flat.shape[1]))
        scores: DoubleArray = np.sqrt(np.sort(flat, axis=1)[:, -highest:].mean(axis=1, dtype=np.float64))
        return scores

    def anomaly_maps(self, maps: FeatureMaps) -> FloatArray:
        """The squared residual of each position, (M, h, w) float32."""
        pieces = [squared_distances(positions, self.subspace) for positions in _positions(maps)]
        found = np.concatenate(pieces) if pieces else np.zeros(0)
        return found.reshape(-1, *self.grid).astype(np.float32)

    def unexplained(self, maps: FeatureMaps) -> float:
        """See ``Detector.unexplained``."""
        return unexplained(_positions(maps), self.subspace)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """See ``Detector.arrays``."""
        return self.subspace.arrays()

    @classmethod
    def from_arrays(cls, arrays: Arrays, shapes: Sequence[Shape]) -> PatchPca:
        """See ``Detector.from_arrays``."""
        return cls(subspace_from(arrays, sum(c for c, _, _ in shapes)), finest(shapes))

    def caveat(self) -> str:
        """See ``Detector.caveat``."""
        return self.subspace.caveat()

    def facts(self) -> dict[str, int | float | str]:
        """How many components there are."""
        return {"components kept": len(self.subspace.components)}


def _positions(maps: FeatureMaps) -> Iterator[FloatArray]:
    """The vectors of all positions, (B * h * w, C), some images at a time, positions of an image row by row."""
    h, w = finest(maps.shapes)
    for rows in blocks(len(maps), sum(c for c, _, _ in maps.shapes) * h * w):
        whole = on_one_grid(maps.rows(rows))  # B x C x h x w
        yield np.ascontiguousarray(whole.transpose(0, 2, 3, 1)).reshape(-1, whole.shape[1])


def _centre(maps: FeatureMaps) -> DoubleArray:
    """The mean over all positions of all images, (C,).

    Raises:
        VqiError: It is not finite, or the images are all the same.
    """
    means = [one.mean(axis=0, dtype=np.float64) for one in maps.layers]  # C x h x w each
    for mean in means:
        checked_mean(mean)
    scatter = sum(
        float(np.square(one[rows] - mean).sum())
        for one, mean in zip(maps.layers, means, strict=True)
        for rows in blocks(len(one), mean.size)
    )
    require_variance(scatter, len(maps), np.concatenate([mean.ravel() for mean in means]))
    return np.concatenate([mean.mean(axis=(1, 2)) for mean in means])
