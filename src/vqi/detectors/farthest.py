"""Farthest-first selection: a few vectors near which all others lie.

Each next one is the vector that is farthest from those chosen so far (greedy k-centre, Gonzalez 1985): the largest
distance that is left is at most twice what the best choice of as many would leave. PatchCore's coreset is this.

Distances only fall as vectors are chosen. So only the candidates with the largest known distances are kept up to date
while one after the other is chosen among them, until one that was left aside may be farther; then the distances of all
are brought up to date at once, by one product of matrices. The choice is the same as with an update after each, and the
whole matrix of distances is never held.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vqi.detectors.interface import FloatArray, Rows
from vqi.detectors.subspace import blocks, norms2

_CANDIDATES = 512  # that are kept up to date


@dataclass(frozen=True)
class Chosen:
    """Vectors that stand for all."""

    rows: Rows  # (B,), in the order of choice
    nearest: Rows  # (N,), for each vector which of the chosen is nearest, a place in ``rows``
    distances: FloatArray  # (N,), squared, to that one


def farthest_first(vectors: FloatArray, count: int, distances: FloatArray | None = None) -> Chosen:
    """Choose ``count`` of the vectors (N, D), or fewer where the others are equal to chosen ones.

    Args:
        vectors: To choose from and to be near to.
        count: How many to choose at most.
        distances: (N,) squared, to what was chosen before; None: the first is the vector nearest to the mean.
    """
    n = len(vectors)
    norms = norms2(vectors).astype(np.float32)
    nearest = np.full(n, -1, np.intp)
    rows: list[int] = []
    if distances is None and n:
        first = int(norms2(vectors - vectors.mean(axis=0)).argmin())
        rows, left = [first][:count], np.full(n, np.inf, np.float32)
        _update(vectors, norms, rows, 0, left, nearest)
    else:
        left = np.zeros(0, np.float32) if distances is None else distances.copy()
    while len(rows) < min(count, n):
        batch = _batch(vectors, norms, left, count - len(rows))
        if not batch:
            break
        rows += batch
        _update(vectors, norms, batch, len(rows) - len(batch), left, nearest)
    return Chosen(np.array(rows, np.intp), nearest, left)


def chosen_without(chosen: Chosen, vectors: FloatArray, gone: npt.NDArray[np.bool_]) -> Rows:
    """Rows that are chosen like ``chosen``, none of which is ``gone``.

    The vectors that a gone one stood for are chosen from, farthest first, until there are as many again.

    Args:
        chosen: Of all vectors.
        vectors: (N, D).
        gone: (N,), which of them are.
    """
    lost = gone[chosen.rows]  # (B,)
    kept = chosen.rows[~lost]
    orphans = np.flatnonzero(lost[chosen.nearest] & ~gone)
    distances = nearest_distances(vectors[orphans], vectors[kept]) if len(kept) else None
    return np.concatenate([kept, orphans[farthest_first(vectors[orphans], int(lost.sum()), distances).rows]])


def half_norms(bank: FloatArray) -> FloatArray:
    """What ``nearest_distances`` asks of a bank (B, D) each time, (B,): half of the squared lengths."""
    return np.asarray(norms2(bank).astype(np.float32) / 2)


def nearest_distances(vectors: FloatArray, bank: FloatArray, half: FloatArray | None = None) -> FloatArray:
    """The squared distance of vectors (N, D) from the nearest in a bank (B, D), (N,) float32.

    Args:
        vectors: To find the nearest for.
        bank: The vectors among which it is.
        half: ``half_norms`` of the bank, for one that is asked often; computed when None.
    """
    half = half_norms(bank) if half is None else half
    found = np.empty(len(vectors), np.float32)
    for rows in blocks(len(vectors), len(bank)):
        nearness = vectors[rows] @ bank.T - half  # n x B; highest where the distance is least
        found[rows] = norms2(vectors[rows] - bank[nearness.argmax(axis=1)])  # without cancellation
    return found


def _batch(vectors: FloatArray, norms: FloatArray, left: FloatArray, count: int) -> list[int]:
    """The next vectors, one after the other, as long as none that is left aside may be farther."""
    size = min(_CANDIDATES, len(left))
    order = np.lexsort((np.arange(len(left)), -left)) if size == len(left) else _largest(left, size)
    candidates = order[:size]
    aside = float(left[order[size]]) if size < len(order) else 0.0
    fresh = left[candidates].copy()
    own = vectors[candidates]
    found: list[int] = []
    while len(found) < count:
        place = int(fresh.argmax())
        if fresh[place] <= 0 or fresh[place] < aside:
            break
        found.append(int(candidates[place]))
        fresh = np.minimum(
            fresh, _squared(own, norms[candidates], own[place : place + 1], norms[candidates[place]])[:, 0]
        )
        fresh[place] = 0
    return found


def _largest(values: FloatArray, size: int) -> Rows:
    """The places of the ``size`` + 1 largest values, in their order."""
    places = np.argpartition(-values, size)[: size + 1]
    return places[np.lexsort((places, -values[places]))]


def _update(
    vectors: FloatArray, norms: FloatArray, rows: list[int], begin: int, left: FloatArray, nearest: npt.NDArray[np.intp]
) -> None:
    """Bring ``left`` and ``nearest`` up to date with chosen rows, the first of which has the place ``begin``."""
    new = vectors[rows]
    for part in blocks(len(vectors), len(rows)):
        squared = _squared(vectors[part], norms[part], new, norms[rows])  # B x K
        place = squared.argmin(axis=1)
        value = squared[np.arange(len(squared)), place]
        closer = value < left[part]
        left[part] = np.where(closer, value, left[part])
        nearest[part] = np.where(closer, place + begin, nearest[part])
    left[rows] = 0
    nearest[rows] = np.arange(begin, begin + len(rows))


def _squared(one: FloatArray, one_norms: FloatArray, other: FloatArray, other_norms: FloatArray) -> FloatArray:
    """Squared distances between vectors (N, D) and (K, D), (N, K)."""
    found: FloatArray = one @ other.T
    found *= -2
    found += one_norms[:, None]
    found += other_norms
    return np.maximum(found, 0, out=found)
