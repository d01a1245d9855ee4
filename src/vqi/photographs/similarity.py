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
    centred = rows - rows.mean(axis=1, keepdims=True)
    own = _to_norm_1(centred)
    if len(own) < 3:
        return own  # too few to say what is shared
    own = own - own.mean(axis=0)
    if shared := min(SHARED, len(own) // IMAGES_A_DIRECTION):
        _, directions = np.linalg.eigh(own.T @ own)  # (d, d), by rising variance
        main = directions[:, -shared:]
        own = own - (own @ main) @ main.T
    return _to_norm_1(own)


def _to_norm_1(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    tiny = 1e-4 * float(norms.max(initial=0.0)) + 1e-12
    return np.where(norms > tiny, rows / np.maximum(norms, tiny), 0).astype(np.float32)
