"""Which photographs show the same part twice: brightness, noise, compression and a small shift apart.

Parts of one kind look alike, so what all of them share is subtracted first: the mean and the main directions in which
they vary (position, light). What is left of an image is its own, and two images of one part have it in common. A
perceptual hash is not used, because it sees little except what is shared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

SIDE = 32  # pixels of the squares that are compared
SHARED = 16  # directions that count as shared, at most; fewer among few images, where each is a large part of them
IMAGES_A_DIRECTION = 32
SAME = 0.9  # correlation from which two images count as the same part
BLOCK = 1024  # rows of the correlation matrix that are in memory at a time
APART = 1.5  # how many times further away the next image must be than those of a series are from each other
NEAREST = 0.005  # a distance below which noise decides
MOST = 2048  # images up to which that is compared, in a square of distances


class Pair(NamedTuple):
    """Two rows that are near-duplicates, first < second, and their correlation."""

    first: int
    second: int
    correlation: float


def shrink(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """An image (height, width, 3) uint8 as the grey square (SIDE, SIDE) that is compared."""
    grey = Image.fromarray(image).convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.asarray(grey, dtype=np.float32)


def near_duplicates(squares: npt.NDArray[np.float32]) -> list[Pair]:
    """The pairs among grey squares (n, SIDE, SIDE) that show the same part, sorted."""
    own = _own(squares.reshape(len(squares), SIDE * SIDE))
    pairs: list[Pair] = []
    for start in range(0, len(own), BLOCK):
        correlations = own[start : start + BLOCK] @ own.T  # (block, n)
        rows, columns = np.nonzero(correlations >= SAME)
        pairs += [
            Pair(start + int(row), int(column), float(correlations[row, column]))
            for row, column in zip(rows, columns, strict=True)
            if start + row < column
        ]
    return sorted(pairs)


def series(squares: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """For each of grey squares (n, SIDE, SIDE) the number of its series, (n,): photographs of one part, or alike.

    Images that lie anywhere on a continuum, such as parts without a mark of their own that are a little turned or
    moved, are no series, although each is near to some other: a series is set apart from what is outside of it
    (``APART``). Where there are many images, much is shared and subtracted, and nearness alone decides.
    """
    count = len(squares)
    if not 2 <= count <= MOST:
        return group(count, near_duplicates(squares))
    own = _own(squares.reshape(count, SIDE * SIDE))
    merges = _merges(np.clip(1 - own @ own.T, 0, 2))
    heights = np.concatenate([np.zeros(count), merges[:, 2]])
    above = np.full(2 * count - 1, 2.0)  # the distance at which a cluster is merged with the next one
    above[merges[:, :2].astype(int).ravel()] = np.repeat(merges[:, 2], 2)
    whole = (heights <= 1 - SAME) & (above >= APART * np.maximum(heights, NEAREST))
    found = np.empty(2 * count - 1, np.int64)  # of each cluster: its series, that of the one above it
    for cluster in range(2 * count - 2, -1, -1):
        if cluster == 2 * count - 2:
            found[cluster] = cluster if whole[cluster] else -1
        if found[cluster] < 0 and (whole[cluster] or cluster < count):
            found[cluster] = cluster
        if cluster >= count:
            found[merges[cluster - count, :2].astype(int)] = found[cluster]
    return np.unique(found[:count], return_inverse=True)[1].astype(np.int64)


def _merges(distances: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Single linkage of n images: rows (cluster, cluster, distance), nearest first, (n - 1, 3).

    Row i makes cluster n + i; clusters up to n are the images.
    """
    from scipy.sparse.csgraph import minimum_spanning_tree  # here, as below

    count = len(distances)
    tree = minimum_spanning_tree(distances.astype(np.float64) + 1).tocoo()  # what is near 0 would be no edge
    inside = np.arange(2 * count - 1)  # of each cluster: one that it is in, or itself
    found = np.empty((count - 1, 3))
    for step, edge in enumerate(np.argsort(tree.data, kind="stable")):
        ends = [_outermost(inside, int(row)) for row in (tree.row[edge], tree.col[edge])]
        inside[ends] = count + step
        found[step] = (*ends, tree.data[edge] - 1)
    return found


def _outermost(inside: npt.NDArray[np.int64], cluster: int) -> int:
    while inside[cluster] != cluster:
        inside[cluster] = inside[inside[cluster]]
        cluster = int(inside[cluster])
    return cluster


def group(count: int, pairs: Sequence[Pair]) -> npt.NDArray[np.int64]:
    """For each of ``count`` rows the number of its group (count,): rows in one pair are in one group."""
    from scipy.sparse import coo_array  # here: it takes as long to load as everything else at a step's start
    from scipy.sparse.csgraph import connected_components

    first, second = [pair.first for pair in pairs], [pair.second for pair in pairs]
    graph = coo_array((np.ones(len(pairs)), (first, second)), shape=(count, count))
    labels: npt.NDArray[np.int64] = connected_components(graph, directed=False)[1].astype(np.int64)
    return labels


def _own(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """What each row (n, d) has for itself, with norm 1; all zeros for a row that has nothing."""
    own = _to_norm_1(rows - rows.mean(axis=1, keepdims=True))
    if len(own) < 3:
        return own  # too few to say what is shared
    own -= own.mean(axis=0)  # in place, here and below: there may be many rows
    if shared := min(SHARED, len(own) // IMAGES_A_DIRECTION):
        main = _main_directions(own, shared)  # (d, shared)
        own -= (own @ main) @ main.T
    return _to_norm_1(own)


def _main_directions(rows: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.float32]:
    """Those in which rows (n, d) vary most, orthonormal columns (d, count); those of no variance are any."""
    if len(rows) > rows.shape[1] // 2:
        _, directions = np.linalg.eigh(rows.T @ rows)  # (d, d), by rising variance
        return directions[:, -count:]
    _, mixtures = np.linalg.eigh(rows @ rows.T)  # (n, n): of a few photographs, a hundredth of the time
    return np.linalg.qr(rows.T @ mixtures[:, -count:])[0]


def _to_norm_1(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    tiny = 1e-4 * float(norms.max(initial=0.0)) + 1e-12
    scaled = rows / np.maximum(norms, tiny)
    scaled[norms[:, 0] <= tiny] = 0
    return np.asarray(scaled, np.float32)
