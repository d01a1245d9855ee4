"""Scores of images in groups: photographs of one part count as one.

A rank among groups gives each image the weight 1 / size of its group: the score of rank r is the lowest score at or
below which the groups' shares of images add up to r. With one image per group it is the usual order statistic.

Source: Dunn, Wasserman, Ramdas, "Distribution-free prediction sets for two-layer hierarchical models", JASA 118 (2023),
section 3; Lee, Barber, Willett, "Distribution-free inference with hierarchical data", arXiv 2306.06342 (HCP).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Groups = npt.NDArray[np.int64]

_ROUNDING = 1e-9  # of sums of shares such as 1/3 + 1/3 + 1/3


def weights(groups: Groups) -> npt.NDArray[np.float64]:
    """1 / size of its group for each image, (n,); they add up to the number of groups."""
    _, places, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    shares: npt.NDArray[np.float64] = 1.0 / sizes[places]
    return shares


def means(scores: npt.NDArray[np.floating], groups: Groups) -> npt.NDArray[np.float64]:
    """The mean score of each group, in the order of their numbers, (groups,)."""
    _, places, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    found: npt.NDArray[np.float64] = np.bincount(places, weights=scores) / sizes
    return found


def score_of_rank(scores: npt.NDArray[np.floating], groups: Groups, rank: int) -> float:
    """The lowest score at or below which the groups' shares of images add up to ``rank``, 1-based, at most all groups.

    Args:
        scores: (n,).
        groups: (n,), equal for images of one group.
        rank: Counted in groups.
    """
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum(weights(groups)[order])
    place = int(np.searchsorted(reached, rank - _ROUNDING))
    return float(scores[order[min(place, len(order) - 1)]])


def rank_of(scores: npt.NDArray[np.floating], groups: Groups, value: float) -> int:
    """How many groups lie at or below a value, in whole ones: the inverse of ``score_of_rank``.

    Args:
        scores: (n,).
        groups: (n,), equal for images of one group.
        value: A threshold.
    """
    return int(float(weights(groups)[scores <= value].sum()) + _ROUNDING)


def p_values(
    scores: npt.NDArray[np.floating], calibration: npt.NDArray[np.floating], groups: Groups
) -> npt.NDArray[np.float64]:
    """The share of good parts that are at least as unusual, for each score, (m,) in (0, 1].

    (1 + the groups' shares of calibration scores that are at least as high) / (groups + 1): the conformal p-value,
    which for a good part is at most p with a probability of about p.

    Args:
        scores: (m,), of new images.
        calibration: (n,), held-out scores of good images.
        groups: (n,), equal for images of one group.

    Source: Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World" (2005), chapter 2.
    """
    order = np.argsort(calibration, kind="stable")
    shares = weights(groups)[order]
    from_here = np.append(np.cumsum(shares[::-1])[::-1], 0.0)  # the shares of this score and all higher ones
    above = from_here[np.searchsorted(calibration[order], scores, side="left")]
    count = len(np.unique(groups))
    found: npt.NDArray[np.float64] = np.minimum((1 + above) / (count + 1), 1)
    return found
