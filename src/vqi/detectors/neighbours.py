"""Distance to the nearest of a bank of vectors of good parts: what was seen anywhere on a good part is normal.

Unlike a subspace or a Gaussian it needs no shape of what is normal, and no place: parts may lie any way, and may be of
several kinds.

Source: Roth, Pemula, Zepeda, Schoelkopf, Brox, Gehler, "Towards total recall in industrial anomaly detection", arXiv
2106.08265, section 3 (PatchCore: a bank chosen farthest first, distance to the nearest); "Mahalanobis PatchCore:
covariance-aware and streaming-compatible industrial anomaly detection", arXiv 2605.27748 (PCA coordinates, whitened by
a shrunk covariance).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from vqi.artifacts.features import FeatureMaps, Shape
from vqi.config import PcaFit
from vqi.detectors.coordinates import Coordinates, Fit, coordinates_from, places_of
from vqi.detectors.farthest import chosen_without, farthest_first, half_norms, nearest_distances
from vqi.detectors.grid import Grid, coarsest
from vqi.detectors.interface import Arrays, Detector, Fitted, FloatArray, Rows
from vqi.errors import VqiError

_BANK = "bank"
_MOST_VECTORS = 200_000  # that the bank is chosen from


@dataclass(frozen=True)
class Neighbours(Detector):
    """Each position is compared with the most similar ones of good parts: for parts that lie any way or differ."""

    coordinates: Coordinates
    factors: FloatArray  # (Q,), by which coordinates are multiplied: 1 or those of the shrunk whitening
    bank: FloatArray  # (B, Q), multiplied
    grid: Grid  # (h, w)

    @classmethod
    def fit(cls, train: FeatureMaps, settings: PcaFit, folds: Sequence[Rows] = ()) -> Fitted[Neighbours]:
        """See ``Detector.fit``; the channels are scaled by all images, those of the folds among them.

        The bank is chosen once, from all images. The bank of a fold's model has none of the fold's vectors: from what
        those stood for as many others are chosen, farthest first, so that no hole is left where they were, as there
        would be none in a bank that is chosen without the fold. That the others were chosen beside them only keeps
        them a little farther apart; to choose a bank for each fold would take thirty times as long.
        """
        unit, grid = settings.normalise == "length", coarsest(train.shapes)
        fitted = Fit(train, settings, settings.coordinates, unit)
        rows = _drawn(len(train) * places_of(train.shapes), settings.seed)
        image_of = rows // places_of(train.shapes)  # of each drawn vector
        factors = _factors(fitted.whole, settings)
        vectors = _gathered(fitted.whole, factors, train, rows)  # V x Q
        chosen = farthest_first(vectors, settings.bank)
        held_out = np.full((len(train), *grid), np.nan, np.float32)
        for fold in folds:
            coordinates = fitted.without(fold)
            theirs = _factors(coordinates, settings)
            kept = chosen_without(chosen, vectors, np.isin(image_of, fold))
            bank = vectors[kept] if fitted.known else _gathered(coordinates, theirs, train, rows[kept])
            held_out[fold] = cls(coordinates, theirs, bank, grid).anomaly_maps(train.rows(fold))
        return Fitted(cls(fitted.whole, factors, vectors[chosen.rows], grid), held_out)

    def anomaly_maps(self, maps: FeatureMaps) -> FloatArray:
        """The squared distance of each position from the nearest vector of the bank, (M, h, w) float32."""
        pieces = self.coordinates.pieces(maps)
        found = [nearest_distances(part * self.factors, self.bank, self._half_norms) for part in pieces]
        return np.concatenate(found).reshape(-1, *self.grid) if found else np.zeros((0, *self.grid), np.float32)

    @cached_property
    def _half_norms(self) -> FloatArray:
        """Of the bank, once: for a single image they take as long as a quarter of the search."""
        return half_norms(self.bank)

    def unexplained(self, maps: FeatureMaps) -> float:
        """See ``Detector.unexplained``: what the coordinates leave out."""
        return self.coordinates.unexplained(maps)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """See ``Detector.arrays``."""
        return {**self.coordinates.arrays(), _BANK: self.bank}

    @classmethod
    def from_arrays(cls, arrays: Arrays, shapes: Sequence[Shape], settings: PcaFit) -> Neighbours:
        """See ``Detector.from_arrays``."""
        rest = {name: array for name, array in arrays.items() if name != _BANK}
        coordinates = coordinates_from(rest, shapes, settings, settings.normalise == "length")
        count, bank = len(coordinates.subspace.components), np.asarray(arrays.get(_BANK, np.zeros(0)))
        if bank.ndim != 2 or not len(bank) or bank.shape[1] != count:
            raise VqiError(f"detector: expected the array {_BANK} (B, {count}), got {bank.shape}; run pca_fit again")
        return cls(coordinates, _factors(coordinates, settings), bank, coarsest(shapes))

    def facts(self) -> dict[str, int | float | str]:
        """How many coordinates and vectors there are."""
        return {"coordinates": self.bank.shape[1], "vectors in the bank": len(self.bank)}


def _factors(coordinates: Coordinates, settings: PcaFit) -> FloatArray:
    """What the coordinates are multiplied by, (Q,)."""
    variance = coordinates.subspace.explained_variance
    if settings.normalise == "length":
        return np.ones(len(variance), np.float32)
    shrunk = (1 - settings.shrinkage) * variance + settings.shrinkage * variance.mean()
    return np.asarray(1 / np.sqrt(shrunk), np.float32)


def _drawn(count: int, seed: int) -> Rows:
    """Which of ``count`` vectors the bank is chosen from, in their order: all, or so many as memory allows."""
    if count <= _MOST_VECTORS:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, _MOST_VECTORS, replace=False))


def _gathered(coordinates: Coordinates, factors: FloatArray, maps: FeatureMaps, rows: Rows) -> FloatArray:
    """The vectors of ``rows`` among those of all positions, (V, Q), in that order."""
    found = np.empty((len(rows), len(factors)), np.float32)
    begin = 0
    for piece in coordinates.pieces(maps):
        here = np.flatnonzero((rows >= begin) & (rows < begin + len(piece)))
        found[here] = piece[rows[here] - begin] * factors
        begin += len(piece)
    return found
