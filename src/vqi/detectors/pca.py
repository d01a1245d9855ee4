"""PCA of normal features; the feature reconstruction error is the anomaly score.

With N samples in D >= N dimensions the N x N Gram problem is solved, else the D x D covariance; both are accumulated
in blocks, so that no centred copy of the features is made.

Source: Ndiour, Ahuja, Tickoo, "Out-of-distribution detection with subspace techniques and probabilistic modeling of
features", arXiv 2012.04250, section 3 (feature reconstruction error).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vqi.errors import VqiError

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]

_BLOCK_BYTES = 32 << 20  # of float32 that are centred at once


@dataclass(frozen=True)
class Subspace:
    """A PCA model: the mean and the smallest set of leading components that keeps the asked variance."""

    mean: FloatArray  # (D,)
    components: FloatArray  # (K, D), orthonormal rows, most variance first
    explained_variance: FloatArray  # (K,)


def fit(features: FloatArray, variance: float) -> Subspace:
    """Fit PCA to features (N, D); the argument is not changed.

    Returns:
        The smallest number of components whose explained variance reaches ``variance``.

    Raises:
        VqiError: Fewer than two samples, values that are not finite, or no variance at all.
    """
    n, d = features.shape
    if n < 2:
        raise VqiError(f"PCA needs at least 2 good training images, got {n}: add images to train/good")
    mean = features.mean(axis=0, dtype=np.float64)  # (D,)
    if not np.isfinite(mean).all():
        raise VqiError("the features hold NaN or infinity: use precision fp32, or another layer")
    values, vectors = _leading(_gram(features, mean) if n <= d else _covariance(features, mean), variance, n, mean)
    components = _span(features, mean, vectors / np.sqrt(values)) if n <= d else vectors.T.astype(np.float32)
    return Subspace(mean.astype(np.float32), components, (values / (n - 1)).astype(np.float32))


def score(features: FloatArray, model: Subspace) -> DoubleArray:
    """Feature reconstruction error of features (N, D): |x - mean|^2 - |components (x - mean)|^2, and its root.

    Returns:
        (N,) float64, at least 0; higher = more anomalous.
    """
    scores = np.empty(len(features))
    for rows in _blocks(len(features), features.shape[1]):
        centred = features[rows] - model.mean  # (B, D)
        coordinates = centred @ model.components.T  # (B, K)
        scores[rows] = _norms2(centred) - _norms2(coordinates)
    return np.sqrt(np.maximum(scores, 0))


def anomaly_maps(features: FloatArray, model: Subspace, shape: tuple[int, int, int]) -> FloatArray:
    """The squared residual of features (N, D), folded back to ``shape`` (C, h, w) and summed over C.

    Returns:
        (N, h, w) float32; its sum over a map is the squared score.
    """
    maps = np.empty((len(features), *shape[1:]), np.float32)
    for rows in _blocks(len(features), features.shape[1]):
        centred = features[rows] - model.mean
        residual = centred - (centred @ model.components.T) @ model.components  # (B, D)
        maps[rows] = np.square(residual.reshape(-1, *shape)).sum(axis=1)  # B x C x h x w -> B x h x w
    return maps


def held_out_scores(features: FloatArray, variance: float, folds: int, seed: int) -> DoubleArray:
    """Score each training sample with a model that did not see it (K-fold), for calibration.

    Args:
        features: (N, D) features of good images.
        variance: As for ``fit``.
        folds: How many models; at most N, which is leave-one-out.
        seed: Of the assignment to folds.

    Returns:
        (N,) float64, in the order of ``features``.

    Raises:
        VqiError: As ``fit``, for the folds.
    """
    n, d = features.shape
    if n < 3:
        raise VqiError(f"calibration needs at least 3 good training images, got {n}: add images to train/good")
    parts = np.array_split(np.random.default_rng(seed).permutation(n), min(folds, n))
    mean = features.mean(axis=0, dtype=np.float64)
    scores = np.empty(n)
    scatter = _gram(features, mean) if n <= d else _covariance(features, mean)
    for part in parts:
        held_out = _held_out_gram if n <= d else _held_out_covariance
        scores[part] = held_out(features, mean, scatter, part, variance)
    return scores


def _held_out_gram(
    features: FloatArray, mean: DoubleArray, gram: DoubleArray, part: npt.NDArray[np.intp], variance: float
) -> DoubleArray:
    """Scores of ``part`` under PCA of the rest, from inner products alone: no feature is touched again."""
    rest = np.setdiff1d(np.arange(len(gram)), part)
    inner = gram[np.ix_(rest, rest)]  # (R, R)
    row_means = inner.mean(axis=1)  # (R,)
    grand = row_means.mean()
    values, vectors = _leading(inner - row_means - row_means[:, None] + grand, variance, len(rest), mean)
    cross = gram[np.ix_(part, rest)]  # (P, R)
    cross_means = cross.mean(axis=1)  # (P,)
    centred = cross - cross_means[:, None] - row_means + grand
    norms2 = np.diag(gram)[part] - 2 * cross_means + grand
    coordinates = centred @ (vectors / np.sqrt(values))  # (P, K)
    errors2: DoubleArray = norms2 - _norms2(coordinates)
    return np.sqrt(np.maximum(errors2, 0))


def _held_out_covariance(
    features: FloatArray, mean: DoubleArray, scatter: DoubleArray, part: npt.NDArray[np.intp], variance: float
) -> DoubleArray:
    """Scores of ``part`` under PCA of the rest: the part's own scatter is taken away from the whole."""
    held = features[part] - mean  # (P, D)
    n, p = len(features), len(part)
    rest_mean = -held.sum(axis=0) / (n - p)  # (D,), relative to the mean of all
    rest_scatter = scatter - held.T @ held - (n - p) * np.outer(rest_mean, rest_mean)
    _, vectors = _leading(rest_scatter, variance, n - p, mean)
    centred = held - rest_mean
    return np.sqrt(np.maximum(_norms2(centred) - _norms2(centred @ vectors), 0))


def _leading(matrix: DoubleArray, variance: float, samples: int, mean: DoubleArray) -> tuple[DoubleArray, DoubleArray]:
    """The leading eigenvalues (K,) and eigenvectors (M, K) that reach ``variance`` of the trace."""
    values, vectors = np.linalg.eigh(matrix)
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    total = float(values.sum())
    # what rounding alone leaves of images that are all the same
    if total <= samples * 1e-10 * max(float(mean @ mean), 1e-30):
        raise VqiError(
            f"all {samples} good training images give the same features: nothing to learn from; check train/good"
        )
    count = int(np.searchsorted(np.cumsum(values) / total, variance)) + 1
    count = min(count, int(np.count_nonzero(values > total * 1e-12)))
    return values[:count], vectors[:, :count]


def _gram(features: FloatArray, mean: DoubleArray) -> DoubleArray:
    """Inner products of the centred rows, (N, N)."""
    n, d = features.shape
    gram = np.zeros((n, n))
    for columns in _blocks(d, n):
        block = features[:, columns] - mean[columns].astype(np.float32)  # (N, B)
        gram += block @ block.T
    return gram


def _covariance(features: FloatArray, mean: DoubleArray) -> DoubleArray:
    """Scatter matrix of the centred columns, (D, D)."""
    n, d = features.shape
    scatter = np.zeros((d, d))
    for rows in _blocks(n, d):
        block = features[rows] - mean.astype(np.float32)  # (B, D)
        scatter += block.T @ block
    return scatter


def _span(features: FloatArray, mean: DoubleArray, weights: DoubleArray) -> FloatArray:
    """Components (K, D) from the weights (N, K) of the samples."""
    n, d = features.shape
    components = np.empty((weights.shape[1], d), np.float32)
    mixing = weights.T.astype(np.float32)  # (K, N)
    for columns in _blocks(d, n):
        components[:, columns] = mixing @ (features[:, columns] - mean[columns].astype(np.float32))
    return components


def _norms2(rows: npt.NDArray[Any]) -> DoubleArray:
    """Squared norm of each row, summed in float64."""
    result: DoubleArray = np.einsum("nd,nd->n", rows, rows, dtype=np.float64)
    return result


def _blocks(length: int, other: int) -> Iterator[slice]:
    step = max(1, _BLOCK_BYTES // (4 * max(1, other)))
    for begin in range(0, length, step):
        yield slice(begin, min(begin + step, length))
