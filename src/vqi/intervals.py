"""A confidence interval of the AUROC that holds its coverage with few images and near 1, too.

The exact (Clopper-Pearson) interval of a proportion that was seen on k images, with the k whose variance is that of the
AUROC. Near 1 the variance that a sample shows says nothing (where it is told apart without a mistake, it is 0), so it
is taken from a model at each candidate for the true AUROC, and enlarged by as much as the sample's exceeds it.

Seen in simulations of 1 + 1 to 500 + 5 images with an AUROC of 0.8 to 1 (scores that are normal with equal and unequal
spread, exponential, and where a share of either class looks like the other): at least 95 % of the intervals hold the
AUROC. The exception is a class of which a small share scores beyond all of the other class: a sample without one of
them cannot show that, and coverage falls to 85 %.

Source: Clopper, Pearson, Biometrika 26 (1934); Hanley, McNeil, "The meaning and use of the area under a ROC curve",
Radiology 143 (1982), for the variance; Newcombe, "Confidence intervals for an effect size measure based on the
Mann-Whitney statistic", part 2, Stat. Med. 25 (2006), for taking it at the candidate.
"""

from __future__ import annotations

from collections.abc import Callable

COVERAGE = 0.95
_STEPS = 60  # of a bisection: more than a float has bits


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

    return _low(auroc, images), 1 - _low(1 - auroc, lambda candidate: images(1 - candidate))


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
