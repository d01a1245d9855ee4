"""PCA of vectors: a subspace that keeps a share of the variance, and how far a vector lies from it.

Scatter is accumulated in blocks, so that memory does not grow by a centred copy of all vectors. For a distance nothing
is reconstructed: |x - m|^2 - |P(x - m)|^2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vqi.detectors.interface import Arrays, DoubleArray, FloatArray, Rows
from vqi.errors import VqiError

_BLOCK_BYTES = 32 << 20  # of float32 that are centred at a time
_ORTHONORMAL = 0.1  # how far components may be from it
_PROBES = 4
POSITIONS_A_CHANNEL = 10  # from so many on a few images more or less do not change the directions of channels
TOO_LARGE = "the features are too large, their products are not finite: use another layer"


@dataclass(frozen=True)
class Subspace:
    """A PCA model: the mean and the smallest set of leading components that keeps the requested variance."""

    mean: FloatArray | DoubleArray  # (D,); float32 as it is kept, float64 while it is fitted
    components: FloatArray | DoubleArray  # (K, D), orthonormal rows, most variance first
    explained_variance: FloatArray | DoubleArray  # (K,)

    def in_single(self) -> Subspace:
        """The same in float32.

        Raises:
            VqiError: The variance is beyond what float32 holds.
        """
        if self.explained_variance.max(initial=0) > np.finfo(np.float32).max:
            raise VqiError(TOO_LARGE)
        parts = (self.mean, self.components, self.explained_variance)
        return Subspace(*(part.astype(np.float32) for part in parts))

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """By name."""
        return {"mean": self.mean, "components": self.components, "explained_variance": self.explained_variance}

    def caveat(self) -> str:
        """Where it leaves nothing over, every distance from it is what rounding makes of 0."""
        count, dimensions = self.components.shape
        if count < dimensions:
            return ""
        return (
            f"all {dimensions} components of the features are kept, so that nothing is left to tell parts apart and "
            "scores are rounding noise: lower variance, or take a layer or a pool that gives more features"
        )


def subspace_from(arrays: Arrays, dimensions: int) -> Subspace:
    """The subspace of vectors (D,) that ``arrays`` came from.

    Raises:
        VqiError: An array is missing, its shape does not fit ``dimensions``, or it is of no PCA: components that are
            not orthonormal would take more from a vector than its length, so that every part would pass.
    """
    expected = {"mean", "components", "explained_variance"}
    if arrays.keys() != expected:
        raise VqiError(f"detector: expected the arrays {sorted(expected)}, got {sorted(arrays)}; run pca_fit again")
    mean, components, variance = (np.asarray(arrays[name]) for name in ("mean", "components", "explained_variance"))
    if mean.shape != (dimensions,) or components.shape != (len(variance), dimensions):
        raise VqiError(
            f"detector: expected components (K, {dimensions}), got {components.shape} with mean {mean.shape} and "
            f"variances {variance.shape}; run pca_fit again"
        )
    if len(variance) and (variance.min() < 0 or (np.diff(variance) > 0).any()):
        raise VqiError("detector: expected variances that fall and are at least 0; run pca_fit again")
    require_orthonormal(components, "components")
    return Subspace(mean, components, variance)


def require_orthonormal(rows: FloatArray | DoubleArray, what: str) -> None:
    """Refuse rows (K, D) that would take more from a vector than its length.

    Raises:
        VqiError: They are not of length 1 and at right angles to each other.
    """
    if _deviation(rows) > _ORTHONORMAL:
        raise VqiError(f"detector: expected {what} of length 1 at right angles to each other; run pca_fit again")


def _deviation(components: FloatArray | DoubleArray) -> float:
    """How far rows (K, D) are from orthonormal, as a share of what they are applied to: 0 where C C^T is the identity.

    Estimated by its effect on random coordinates, because C C^T itself costs K times as much.
    """
    probes = np.random.default_rng(0).standard_normal((len(components), _PROBES)).astype(np.float32)  # (K, P)
    with np.errstate(over="ignore", invalid="ignore"):
        images = components @ (components.T @ probes)  # (K, P)
        found = float(np.abs(images - probes).max(initial=0))
    return found if np.isfinite(found) else np.inf


# ---------------------------------------------------------------------------------------------------------- distances


def squared_distances(vectors: FloatArray, model: Subspace) -> DoubleArray:
    """The squared distance of vectors (N, D) from the subspace: |x - mean|^2 - |components (x - mean)|^2.

    Returns:
        (N,) float64, at least 0.
    """
    found = np.empty(len(vectors))
    for rows in blocks(len(vectors), vectors.shape[1]):
        centred = vectors[rows] - model.mean  # (B, D)
        coordinates = centred @ model.components.T  # (B, K)
        found[rows] = norms2(centred) - norms2(coordinates)
    return np.maximum(found, 0)


def squared_residuals(vectors: FloatArray, model: Subspace) -> FloatArray:
    """The squared residual of each coordinate of vectors (N, D), (N, D)."""
    centred = vectors - model.mean
    return np.asarray(np.square(centred - (centred @ model.components.T) @ model.components), np.float32)


def unexplained(vectors: Iterable[FloatArray], model: Subspace) -> float:
    """The share of the variance of vectors about the model's mean that it does not describe; 0 where there is none.

    Args:
        vectors: In pieces (B, D).
        model: The subspace.
    """
    residual = about_mean = 0.0
    for piece in vectors:
        residual += float(squared_distances(piece, model).sum())
        about_mean += float(norms2(piece - model.mean).sum())
    return min(residual / about_mean, 1.0) if about_mean else 0.0


def norms2(rows: npt.NDArray[Any]) -> DoubleArray:
    """Squared norm of each row, summed in float64."""
    result: DoubleArray = np.einsum("nd,nd->n", rows, rows, dtype=np.float64)
    return result


def blocks(length: int, other: int) -> Iterator[slice]:
    """Slices of ``length`` that hold a bounded number of bytes of rows with ``other`` numbers each."""
    step = max(1, _BLOCK_BYTES // (4 * max(1, other)))
    for begin in range(0, length, step):
        yield slice(begin, min(begin + step, length))


# ----------------------------------------------------------------------------------------------------- few long vectors


class Gram:
    """PCA of N vectors in D >= N dimensions, by their inner products, which are computed once for all folds."""

    def __init__(self, vectors: FloatArray, mean: DoubleArray) -> None:
        self._vectors, self._mean = vectors, mean
        n, d = vectors.shape
        self._inner = np.zeros((n, n))  # of the centred vectors
        for columns in blocks(d, n):
            block = vectors[:, columns] - mean[columns].astype(np.float32)  # (N, B)
            self._inner += block @ block.T

    def fit(self, variance: float) -> Subspace:
        """The subspace of all vectors."""
        n, d = self._vectors.shape
        values, vectors = leading(self._inner, variance, n, self._mean)
        components = np.empty((len(values), d), np.float32)
        mixing = (vectors / np.sqrt(values)).T.astype(np.float32)  # (K, N)
        for columns in blocks(d, n):
            centred = self._vectors[:, columns] - self._mean[columns].astype(np.float32)
            components[:, columns] = mixing @ centred
        return Subspace(self._mean.astype(np.float32), components, (values / (n - 1)).astype(np.float32))

    def held_out_residuals(self, fold: Rows, variance: float) -> FloatArray:
        """The squared residual of each coordinate of the vectors of ``fold`` (P, D) from the subspace of the others.

        A residual is a mixture of the N vectors, whose weights come from their inner products.
        """
        rest = np.setdiff1d(np.arange(len(self._inner)), fold)
        inner = self._inner[np.ix_(rest, rest)]  # (R, R)
        row_means = inner.mean(axis=1)  # (R,)
        grand = row_means.mean()
        centred_inner = inner - row_means - row_means[:, None] + grand
        values, vectors = leading(centred_inner, variance, len(rest), self._mean)
        cross = self._inner[np.ix_(fold, rest)]  # (P, R)
        centred = cross - cross.mean(axis=1, keepdims=True) - row_means + grand
        explained = centred @ (vectors / values) @ vectors.T  # (P, R): weights of the others, centred among themselves
        mixing = np.zeros((len(fold), len(self._inner)), np.float32)  # (P, N)
        mixing[np.arange(len(fold)), fold] = 1
        mixing[:, rest] = explained.mean(axis=1, keepdims=True) - explained - 1 / len(rest)
        found = np.empty((len(fold), self._vectors.shape[1]), np.float32)
        for columns in blocks(self._vectors.shape[1], len(self._inner)):
            residuals = mixing @ (self._vectors[:, columns] - self._mean[columns].astype(np.float32))
            found[:, columns] = np.square(residuals)
        return found


# --------------------------------------------------------------------------------------------------- many short vectors


@dataclass(frozen=True)
class Moments:
    """Count, sum and scatter of vectors about a fixed centre: what PCA needs of them, and can be subtracted again."""

    centre: DoubleArray  # (D,)
    count: int
    total: DoubleArray  # (D,), of x - centre
    scatter: DoubleArray  # (D, D), of (x - centre)(x - centre)^T

    def without(self, others: Moments) -> Moments:
        """Those of the vectors that are not among ``others``, which are about the same centre."""
        count, total = self.count - others.count, self.total - others.total
        return Moments(self.centre, count, total, self.scatter - others.scatter)

    def directions(self, most: int) -> FloatArray:
        """The leading directions in which the vectors vary, (``most``, D), orthonormal, most variance first."""
        mean = self.total / self.count
        _, vectors = np.linalg.eigh(self.scatter - self.count * np.outer(mean, mean))
        return np.ascontiguousarray(vectors[:, ::-1][:, :most].T, dtype=np.float32)

    def fit(self, variance: float, images: int) -> Subspace:
        """The subspace of the vectors, in float64; ``images`` is how many images they are of, for the error."""
        mean = self.total / self.count
        scatter = self.scatter - self.count * np.outer(mean, mean)
        values, vectors = leading(scatter, variance, images, self.centre)
        return Subspace(self.centre + mean, np.ascontiguousarray(vectors.T), values / (self.count - 1))


def moments(pieces: Iterable[FloatArray], centre: DoubleArray) -> Moments:
    """Those of vectors that come in pieces (B, D), in float64 throughout: folds are subtracted from the whole."""
    d = len(centre)
    count, total, scatter = 0, np.zeros(d), np.zeros((d, d))
    for piece in pieces:
        centred = piece - centre  # (B, D), float64
        count += len(centred)
        total += centred.sum(axis=0)
        scatter += centred.T @ centred
    return Moments(centre, count, total, scatter)


def mean_of(vectors: FloatArray) -> DoubleArray:
    """The mean of vectors (N, D), one per image, in float64.

    Raises:
        VqiError: Fewer than two, or values that are not finite.
    """
    require_two(len(vectors))
    mean: DoubleArray = vectors.mean(axis=0, dtype=np.float64)
    return checked_mean(mean)


def require_two(images: int) -> None:
    """Refuse what has no variance.

    Raises:
        VqiError: There are fewer than two images.
    """
    if images < 2:
        raise VqiError(f"PCA needs at least 2 good training images, got {images}: add images to train/good")


def checked_mean(mean: DoubleArray) -> DoubleArray:
    """A mean of features.

    Raises:
        VqiError: It is not finite.
    """
    if not np.isfinite(mean).all():
        raise VqiError("the features hold NaN or infinity: use precision fp32, or another layer")
    return mean


def leading(matrix: DoubleArray, variance: float, images: int, mean: DoubleArray) -> tuple[DoubleArray, DoubleArray]:
    """The leading eigenvalues (K,) and eigenvectors (M, K) of a scatter matrix that reach ``variance`` of its trace.

    Raises:
        VqiError: There is no variance except rounding, or the matrix is not finite.
    """
    if not np.isfinite(matrix).all():
        raise VqiError(TOO_LARGE)
    values, vectors = np.linalg.eigh(matrix)
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    total = float(values.sum())
    require_variance(total, images, mean)
    count = int(np.searchsorted(np.cumsum(values) / total, variance)) + 1
    count = min(count, int(np.count_nonzero(values > total * 1e-12)))
    return values[:count], vectors[:, :count]


def require_variance(scatter: float, images: int, mean: DoubleArray) -> None:
    """Refuse images that are all the same.

    Args:
        scatter: Summed squared distance of the images from their mean.
        images: How many.
        mean: Of them, for the scale.

    Raises:
        VqiError: The scatter is only what rounding leaves of images that are all the same.
    """
    flat = mean.ravel()
    if scatter <= images * 1e-10 * max(float(flat @ flat), 1e-30):
        raise VqiError(
            f"all {images} good training images give the same features: nothing to learn from; check train/good"
        )
