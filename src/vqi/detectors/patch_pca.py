"""Feature reconstruction error per position: one subspace for the vectors of all positions of all good images.

What is normal anywhere is normal everywhere, so parts need not lie the same way in each photograph, and a small defect
does not drown in a large quiet part: the image's score is that of its most anomalous positions.

Source: Damm, Laszkiewicz, Lederer, Fischer, "AnomalyDINO" / Lendering et al., "SubspaceAD: training-free few-shot
anomaly detection via subspace modeling", section 3 (reconstruction residual of patch features, mean of the highest).
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
from vqi.detectors.subspace import Subspace, blocks, checked_mean, moments, norms2, squared_distances, subspace_from
from vqi.errors import VqiError

HIGHEST = 0.1  # share of a map's positions, the most anomalous ones, whose mean is the image's score


@dataclass(frozen=True)
class PatchPca(Detector):
    """One subspace for the vectors of single positions, (C,) with C the sum of the layers' channels."""

    subspace: Subspace
    grid: tuple[int, int]  # of the anomaly maps

    @classmethod
    def fit(cls, train: FeatureMaps, settings: PcaFit, folds: Sequence[Rows] = ()) -> Fitted[PatchPca]:
        """See ``Detector.fit``."""
        if len(train) < 2:
            raise VqiError(f"PCA needs at least 2 good training images, got {len(train)}: add images to train/good")
        grid = finest(train.shapes)
        sums = [positions.sum(axis=0, dtype=np.float64) for positions in _positions(train)]
        centre = checked_mean(np.sum(sums, axis=0) / (len(train) * grid[0] * grid[1]))
        parts = [moments(_positions(train.rows(fold)), centre) for fold in folds]
        whole = moments(_positions(train), centre)
        held_out = np.full(len(train), np.nan)
        for fold, part in zip(folds, parts, strict=True):
            rest = cls(whole.without(part).fit(centre, settings.variance), grid)
            held_out[fold] = rest.score(train.rows(fold))
        return Fitted(cls(whole.fit(centre, settings.variance), grid), held_out)

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
        about_mean = sum(float(norms2(positions - self.subspace.mean).sum()) for positions in _positions(maps))
        return float(self.anomaly_maps(maps).sum(dtype=np.float64)) / about_mean

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """See ``Detector.arrays``."""
        return self.subspace.arrays()

    @classmethod
    def from_arrays(cls, arrays: Arrays, shapes: Sequence[Shape]) -> PatchPca:
        """See ``Detector.from_arrays``."""
        return cls(subspace_from(arrays, sum(c for c, _, _ in shapes)), finest(shapes))

    def facts(self) -> dict[str, int | float | str]:
        """How many components there are."""
        return {"components kept": len(self.subspace.components)}


def _positions(maps: FeatureMaps) -> Iterator[FloatArray]:
    """The vectors of all positions, (B * h * w, C), some images at a time, positions of an image row by row."""
    numbers = sum(c * h * w for c, h, w in maps.shapes)
    for rows in blocks(len(maps), numbers):
        whole = on_one_grid(maps.rows(rows))  # B x C x h x w
        yield np.ascontiguousarray(whole.transpose(0, 2, 3, 1)).reshape(-1, whole.shape[1])
