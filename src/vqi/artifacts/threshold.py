"""A threshold of anomaly scores, as a detector keeps it, and what it can promise."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Literal

from pydantic import Field, model_validator

from vqi.records import Record

# What a threshold was set from.
CROSS = "cross-conformal, good training images only"
SPLIT = "split-conformal, good images that did not train (calibration/good)"
# Where fewer groups than this lie at or above an order statistic, it is the score of one or two odd good images.
FEWEST_ABOVE = 3

Method = Literal["order statistic", "fitted tail"]


class FittedTail(Record):
    """What a curve fitted to the same scores says: the threshold, and how far it may be off."""

    value: float  # above it one more good part lies with a probability of the rate, if the curve is right
    low: float  # the 90 % confidence interval of the score above which that share of all good parts lies
    high: float


class Threshold(Record):
    """A threshold; a score above it is anomalous. What it promises counts groups: photographs of one part are one."""

    value: float
    method: Method  # which of the next two it is
    order_statistic: float  # the calibration score of the rank that the rate asks for
    fitted: FittedTail | None  # None where nothing can be fitted
    source: str  # what it was set from, in words
    n: int = Field(ge=1)  # groups of good images that it was calibrated on
    images: int = Field(ge=1)  # good images in them
    rank: int = Field(ge=1)  # calibration scores at or below it, counted in groups
    target_fpr: float = Field(gt=0, lt=1)

    @model_validator(mode="after")
    def _numbers_fit(self) -> Threshold:
        if self.rank > self.n:
            raise ValueError(f"rank: expected at most {self.n}, the groups of calibration scores, got {self.rank}")
        if self.n > self.images:
            raise ValueError(f"n: expected at most {self.images}, the good images, got {self.n} groups")
        expected = self.order_statistic if self.method == "order statistic" else self.fitted and self.fitted.value
        if self.value != expected:
            raise ValueError(f"value: expected the {self.method}, {expected}, got {self.value}")
        return self

    @property
    def guaranteed_fpr(self) -> float:
        """(n + 1 - rank) / (n + 1): for exchangeable groups and scores of one model, whatever their distribution.

        Of a fitted tail, whose rank depends on the scores themselves, it is what these scores alone would promise.
        """
        return (self.n + 1 - self.rank) / (self.n + 1)

    @property
    def is_split(self) -> bool:
        """Whether the scores are of the one model in use, on images that it did not see: then the bound is exact."""
        return self.source == SPLIT

    @property
    def needed(self) -> int:
        """The fewest groups that can promise ``target_fpr``."""
        return good_images_needed(self.target_fpr)

    @property
    def steady(self) -> int:
        """The fewest groups with which the threshold of ``target_fpr`` does not hang on one or two scores."""
        return math.ceil(FEWEST_ABOVE / self.target_fpr) - 1

    @property
    def enough(self) -> bool:
        """Whether there were that many."""
        return self.n >= self.needed


def is_fitted(n: int, target_fpr: float) -> bool:
    """Whether so few groups are at or above the order statistic of a rate that a fitted tail takes its place."""
    return n + 1 - wanted_rank(n, target_fpr) < FEWEST_ABOVE


def wanted_rank(n: int, target_fpr: float) -> int:
    """ceil((n + 1)(1 - target_fpr)), the rank among n groups that promises a rate; at most n."""
    return min(math.ceil((n + 1) * (1 - exact(target_fpr))), n)


def good_images_needed(target_fpr: float) -> int:
    """The fewest good images, each of another part, whose threshold can promise a false-alarm rate in (0, 1)."""
    return math.ceil(1 / exact(target_fpr)) - 1


def smallest_rate(good_images: int) -> float:
    """The lowest false-alarm rate that so many good images, each of another part, can promise."""
    return 1 / (good_images + 1)


def exact(rate: float) -> Fraction:
    """A rate as it is written, so that (n + 1)(1 - 0.05) has no rounding error."""
    return Fraction(repr(float(rate)))
