"""The image's score from its anomaly map: a small dent must not drown in a large quiet part."""

from __future__ import annotations

import numpy as np

from vqi.detectors.interface import DoubleArray, FloatArray


def image_scores(maps: FloatArray, share: float) -> DoubleArray:
    """The root of the mean of each map's highest cells, (M,) float64: a length, as the distances are whose squares are
    in the maps.

    Args:
        maps: (M, h, w), at least 0.
        share: Of the cells that count, in (0, 1], at least one; 1 = all, as in the reference's method.
    """
    cells = maps.shape[1] * maps.shape[2]
    flat = np.sort(maps.reshape(len(maps), cells), axis=1)  # sorted: the sum does not depend on the order of the cells
    highest = flat[:, cells - max(1, round(share * cells)) :]
    scores: DoubleArray = np.sqrt(highest.mean(axis=1, dtype=np.float64))
    return scores
