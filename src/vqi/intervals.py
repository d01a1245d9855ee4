"""Confidence intervals: of a proportion, and of the AUROC, which hold their coverage with few images and near 1, too.

That of the AUROC is the exact (Clopper-Pearson) interval of a proportion that was seen on k images, with the k whose
variance is that of the AUROC. Near 1 the variance that a sample shows says nothing (where it is told apart without a
mistake, it is 0), so it is taken from a model at each candidate for the true AUROC, and enlarged by as much as the
sample's exceeds it.

What a sample cannot show at all is a small share of a class that scores beyond all of the other class and of which no
image is in the sample. So the interval reaches to where the AUROC would be with the largest such share that still
hides from the smaller class with a probability of ``UNSEEN`` (with 100 images 3 %: the rule of three).

Coverage, simulated: docs/decisions/0014-auroc-interval.md.

Source: Clopper, Pearson, Biometrika 26 (1934); Hanley, McNeil, "The meaning and use of the area under a ROC curve",
Radiology 143 (1982), for the variance; Newcombe, "Confidence intervals for an effect size measure based on the
Mann-Whitney statistic", part 2, Stat. Med. 25 (2006), for taking it at the candidate; Hanley, Lippman-Hand, "If nothing
goes wrong, is everything all right?", JAMA 249 (1983), for what is not seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable

COVERAGE = 0.95
UNSEEN = 0.05
_STEPS = 60  # of a bisection: more than a float has bits


def proportion_interval(hits: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a proportion, Clopper and Pearson's.

    Args:
        hits: How many were seen.
        of: Among how many, at least 1.

    Returns:
        (low, high), with ``hits / of`` between them.
    """
    from scipy.special import betaincinv

    beyond = (1 - COVERAGE) / 2
    low = float(betaincinv(hits, of - hits + 1, beyond)) if hits else 0.0
    high = float(betaincinv(hits + 1, of - hits, 1 - beyond)) if hits < of else 1.0
    return low, high


def least_number(hits: int, share: float) -> int:
    """The least number of trials in which ``hits`` are no more than chance makes of a proportion: where the interval
    above reaches down to it.

    Args:
        hits: How many were seen.
        share: The proportion, above 0.
    """
    few, enough = hits, max(hits, math.ceil(hits / share))  # where the share that was seen is at most that one
    while few < enough:
        middle = (few + enough) // 2
        if proportion_interval(hits, middle)[0] <= share:
            enough = middle
        else:
            few = middle + 1
    return enough


def auroc_interval(auroc: float, variance: float, good: int, bad: int) -> tuple[float, float]:
    """The 95 % interval of an AUROC.

    Args:
        auroc: As it was measured, in [0, 1].
        variance: Of it, as the sample shows it.
        good: Good images, at least 1.
        bad: Defective ones, at least 1.

    Returns:
        (low, high), with the AUROC between them.
    """
    if auroc < 0.5:
        low, high = auroc_interval(1 - auroc, variance, good, bad)
        return 1 - high, 1 - low
    spread = auroc * (1 - auroc)
    excess = max(variance / spread / _per_spread(auroc, good, bad), 1.0) if spread else 1.0

    def images(candidate: float) -> float:
        """How many images of a proportion have the variance of an AUROC."""
        return max(1 / (excess * _per_spread(candidate, good, bad)), min(good, bad))

    seen = UNSEEN ** (1 / min(good, bad))  # the share of a class that is not beyond the other, at least
    low = min(_low(auroc, images), auroc * seen)
    high = max(1 - _low(1 - auroc, lambda candidate: images(1 - candidate)), 1 - (1 - auroc) * seen)
    return low, high


def _per_spread(auroc: float, good: int, bad: int) -> float:
    """The variance of an AUROC as a share of auroc (1 - auroc), for exponential scores.

    There, one class varies more than the other; which one is not known, so it is the one with fewer images.
    """
    few, many = sorted((good, bad))
    a = max(auroc, 1 - auroc)
    return (1 + (many - 1) * a / (1 + a) + (few - 1) * (1 - a) / (2 - a)) / (few * many)


def _low(share: float, images: Callable[[float], float]) -> float:
    """The smallest proportion under which ``share`` or more is not too rare, for a number of images that depends on
    it."""
    from scipy.special import betainc

    if share <= 0:
        return 0.0
    low, high = 0.0, share
    for _ in range(_STEPS):
        middle = (low + high) / 2
        k = images(middle)
        rare = betainc(k * share, k * (1 - share) + 1, middle) < (1 - COVERAGE) / 2
        low, high = (middle, high) if rare else (low, middle)
    return low
