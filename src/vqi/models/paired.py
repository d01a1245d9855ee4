"""Two models on the same labelled images: how AUROC and rates differ, and how much of that the images make by chance,
from images that are drawn again, the same ones for both.

Source: Efron, Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13, for the percentile bounds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

REPEATS = 1000  # of the bootstrap
_CELLS = 2_000_000  # of a matrix of repeats and images, which bounds the memory
_SEED = 0  # the same question has the same answer

Labels = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]
Weights = npt.NDArray[np.int64]


class Said(NamedTuple):
    """What a model said of N images."""

    scores: Scores  # (N,)
    flagged: npt.NDArray[np.bool_]  # (N,)


class Pair(NamedTuple):
    """AUROC of two models, and by how much the new one's figures are higher when images are drawn again."""

    area: float  # of the new one
    area_before: float
    areas: Scores  # (REPEATS,) differences of the AUROC
    recalls: Scores  # (REPEATS,)
    alarms: Scores  # (REPEATS,) of the false-alarm rate


def drawn_again(labels: Labels, new: Said, old: Said) -> Pair:
    """The differences of two models.

    Args:
        labels: (N,) 0 normal, 1 anomalous; at least one of each.
        new: What one of them said.
        old: What the other one said.
    """
    draw = np.random.default_rng(_SEED)
    good, bad = labels == 0, labels == 1
    ranks, before = (_Ranks(one.scores[good], one.scores[bad]) for one in (new, old))
    changes = new.flagged.astype(np.float64) - old.flagged  # (N,) 1 where only the new one flags, -1 where the other
    areas, recalls, alarms = [], [], []
    goods, bads = int(good.sum()), int(bad.sum())
    at_a_time = max(_CELLS // len(labels), 1)
    for start in range(0, REPEATS, at_a_time):
        repeats = min(at_a_time, REPEATS - start)
        of_good = _drawn(draw, goods, repeats)  # (repeats, good) how often each
        of_bad = _drawn(draw, bads, repeats)  # (repeats, bad)
        areas.append(ranks.areas(of_good, of_bad) - before.areas(of_good, of_bad))
        recalls.append(of_bad @ changes[bad] / bads)
        alarms.append(of_good @ changes[good] / goods)
    return Pair(ranks.area(), before.area(), *map(np.concatenate, (areas, recalls, alarms)))


def _drawn(draw: np.random.Generator, images: int, repeats: int) -> Weights:
    """How often each image is among as many drawn with replacement, (repeats, images)."""
    places = draw.integers(images, size=(repeats, images)) + images * np.arange(repeats)[:, None]
    return np.bincount(places.ravel(), minlength=repeats * images).reshape(repeats, images)


class _Ranks:
    """The order of scores, for the AUROC of images drawn again."""

    def __init__(self, good: Scores, bad: Scores) -> None:
        self._order = np.argsort(good, kind="stable")
        in_order = good[self._order]
        # how many good scores lie below each bad one, ties half: its mean over good and bad is the AUROC
        self._below = np.searchsorted(in_order, bad, "left"), np.searchsorted(in_order, bad, "right")

    def areas(self, good: Weights, bad: Weights) -> Scores:
        """(repeats,) from how often each good image (repeats, good) and each bad one (repeats, bad) was drawn."""
        cumulated = np.zeros((len(good), good.shape[1] + 1))
        np.cumsum(good[:, self._order], axis=1, out=cumulated[:, 1:])
        wins = (cumulated[:, self._below[0]] + cumulated[:, self._below[1]]) / 2  # (repeats, bad)
        found: Scores = (wins * bad).sum(axis=1) / (good.sum(axis=1) * bad.sum(axis=1))
        return found

    def area(self) -> float:
        """Of each image once."""
        ones = [np.ones((1, len(part)), np.int64) for part in (self._order, self._below[0])]
        return float(self.areas(*ones)[0])
