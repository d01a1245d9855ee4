"""Mahalanobis distance per position: a Gaussian of the channels for each position of the grid.

What a position may look like depends on where it is, so this is for parts that lie the same way in each photograph.
Unlike ``pca`` it weighs each direction by how much it varies there, and knows nothing of the rest of the part.

The covariance of a position, S, is estimated from as many vectors as there are images, and is shrunk:
(1 - shrinkage) S + shrinkage v I, with v the mean variance of a coordinate about its position's mean, over all
positions. A position that never varies has v I as well, so that every covariance can be inverted.

Source: Defard, Setkov, Loesch, Audigier, "PaDiM: a patch distribution modeling framework for anomaly detection and
localization", arXiv 2011.08785, section 3 (with PCA coordinates instead of channels drawn at random); Ledoit, Wolf, "A
well-conditioned estimator for large-dimensional covariance matrices", J. Multivar. Anal. 88 (2004), for the shrinkage's
form, with one target for all positions and a weight that is a setting.
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
from vqi.detectors.coordinates import Coordinates, Fit, coordinates_from, places_of
from vqi.detectors.grid import Grid, coarsest
from vqi.detectors.interface import Arrays, Detector, DoubleArray, Fitted, FloatArray, Rows
from vqi.detectors.subspace import require_variance
from vqi.errors import VqiError

_MEANS, _WHITENING = "position_means", "position_whitening"
_MODEL_BYTES = 128 << 20  # of the whitening matrices: a fine grid has fewer coordinates


@dataclass(frozen=True)
class Mahalanobis(Detector):
    """Each position has a Gaussian of its own: for parts that lie the same way in each photograph."""

    coordinates: Coordinates
    means: FloatArray  # (P, Q), of each position
    whitening: FloatArray  # (P, Q, Q), lower triangular, of each position: |whitening (z - mean)| is the distance
    grid: Grid  # (h, w), P = h * w

    @classmethod
    def fit(cls, train: FeatureMaps, settings: PcaFit, folds: Sequence[Rows] = ()) -> Fitted[Mahalanobis]:
        """See ``Detector.fit``; the channels are scaled by all images, those of the folds among them.

        Directions of the coordinates: see ``vqi.detectors.coordinates.Fit``. Means and covariances of a fold's model
        are those of the other images.
        """
        grid, places = coarsest(train.shapes), places_of(train.shapes)
        fitted = Fit(train, settings, min(settings.coordinates, math.isqrt(_MODEL_BYTES // (4 * places))))
        whole = _Sums.of(fitted.whole, train, places)
        means, covariances = whole.gaussians(settings.shrinkage)  # first: it refuses what no fold can score
        held_out = np.full((len(train), *grid), np.nan, np.float32)
        for fold in folds:
            coordinates, part = fitted.without(fold), train.rows(fold)
            if fitted.known:
                rest = whole.without(_Sums.of(coordinates, part, places))
            else:
                rest = _Sums.of(coordinates, train.rows(np.setdiff1d(np.arange(len(train)), fold)), places)
            held_out[fold] = rest.distances(coordinates.of(part), settings.shrinkage).reshape(-1, *grid)
        whitening = np.linalg.inv(np.linalg.cholesky(covariances)).astype(np.float32)  # P x Q x Q
        return Fitted(cls(fitted.whole, means.astype(np.float32), whitening, grid), held_out)

    def anomaly_maps(self, maps: FeatureMaps) -> FloatArray:
        """The squared distance of each position from its mean in units of its covariance, (M, h, w) float32."""
        found = [self._distances(part) for part in self.coordinates.pieces(maps)]
        return np.concatenate(found).reshape(-1, *self.grid) if found else np.zeros((0, *self.grid), np.float32)

    def _distances(self, coordinates: FloatArray) -> FloatArray:
        """The squared distances of coordinates (B * P, Q), (B, P)."""
        centred = coordinates.reshape(-1, *self.means.shape) - self.means  # B x P x Q
        white = centred.transpose(1, 0, 2) @ self.whitening.transpose(0, 2, 1)  # P x B x Q
        return np.asarray(np.square(white).sum(axis=2).T, np.float32)

    def unexplained(self, maps: FeatureMaps) -> float:
        """See ``Detector.unexplained``: what the coordinates leave out."""
        return self.coordinates.unexplained(maps)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """See ``Detector.arrays``."""
        return {**self.coordinates.arrays(), _MEANS: self.means, _WHITENING: self.whitening}

    @classmethod
    def from_arrays(cls, arrays: Arrays, shapes: Sequence[Shape], settings: PcaFit) -> Mahalanobis:
        """See ``Detector.from_arrays``."""
        rest = {name: array for name, array in arrays.items() if name not in (_MEANS, _WHITENING)}
        coordinates = coordinates_from(rest, shapes, settings)
        places, count = places_of(shapes), len(coordinates.subspace.components)
        for name, shape in ((_MEANS, (places, count)), (_WHITENING, (places, count, count))):
            if name not in arrays or arrays[name].shape != shape:
                got = arrays[name].shape if name in arrays else "none"
                raise VqiError(f"detector: expected the array {name} {shape}, got {got}; run pca_fit again")
        if not (arrays[_WHITENING].diagonal(axis1=1, axis2=2) > 0).all():
            raise VqiError("detector: expected whitening matrices with a diagonal above 0; run pca_fit again")
        return cls(coordinates, np.asarray(arrays[_MEANS]), np.asarray(arrays[_WHITENING]), coarsest(shapes))

    def facts(self) -> dict[str, int | float | str]:
        """How many coordinates there are."""
        return {"coordinates": len(self.coordinates.subspace.components)}


@dataclass(frozen=True)
class _Sums:
    """What the Gaussians of all positions need of the images, and can be subtracted again."""

    count: int  # images
    total: DoubleArray  # (P, Q)
    products: DoubleArray  # (P, Q, Q), of z z^T

    @classmethod
    def of(cls, coordinates: Coordinates, maps: FeatureMaps, places: int) -> _Sums:
        q = len(coordinates.subspace.components)
        total, products = np.zeros((places, q)), np.zeros((places, q, q))
        for piece in coordinates.pieces(maps):
            of_position = piece.reshape(-1, places, q).transpose(1, 0, 2).astype(np.float64)  # P x B x Q
            total += of_position.sum(axis=1)
            products += of_position.transpose(0, 2, 1) @ of_position
        return cls(len(maps), total, products)

    def without(self, others: _Sums) -> _Sums:
        """Those of the images that are not among ``others``, in the same coordinates."""
        return _Sums(self.count - others.count, self.total - others.total, self.products - others.products)

    def gaussians(self, shrinkage: float) -> tuple[DoubleArray, DoubleArray]:
        """The means (P, Q) and the shrunk covariances (P, Q, Q).

        Raises:
            VqiError: The images are all the same.
        """
        means = self.total / self.count
        scatter = self.products - self.count * means[:, :, None] * means[:, None, :]
        within = scatter.trace(axis1=1, axis2=2)  # (P,)
        require_variance(float(within.sum()), self.count, means)
        covariances = scatter * ((1 - shrinkage) / (self.count - 1))
        mean_variance = within.mean() / (self.count - 1) / means.shape[1]
        covariances[:, np.arange(means.shape[1]), np.arange(means.shape[1])] += shrinkage * mean_variance
        return means, covariances

    def distances(self, coordinates: FloatArray, shrinkage: float) -> FloatArray:
        """The squared distances of coordinates (B * P, Q) from the Gaussians, (B, P), without a matrix that is kept."""
        means, covariances = self.gaussians(shrinkage)
        centred = (coordinates.reshape(-1, *means.shape) - means).transpose(1, 2, 0)  # P x Q x B
        found = (centred * np.linalg.solve(covariances, centred)).sum(axis=1)  # P x B
        return np.asarray(found.T, np.float32)
