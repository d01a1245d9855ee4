"""A threshold of anomaly scores, as a detector keeps it, and what it can promise."""

from __future__ import annotations

import math
from fractions import Fraction

from pydantic import Field, model_validator

from vqi.records import Record

# What a threshold was set from.
CROSS = "cross-conformal, good training images only"
SPLIT = "split-conformal, good images that did not train (calibration/good)"


class Threshold(Record):
    """A threshold; a score above it is anomalous. What it promises counts groups: photographs of one part are one."""

    value: float
    source: str  # what it was set from, in words
    n: int = Field(ge=1)  # groups of good images that it was calibrated on
    images: int = Field(ge=1)  # good images in them
    rank: int = Field(ge=1)  # of the calibration score that it is, from the lowest, 1-based, counted in groups
    target_fpr: float = Field(gt=0, lt=1)

    @model_validator(mode="after")
    def _numbers_fit(self) -> Threshold:
        if self.rank > self.n:
            raise ValueError(f"rank: expected at most {self.n}, the groups of calibration scores, got {self.rank}")
        if self.n > self.images:
            raise ValueError(f"n: expected at most {self.images}, the good images, got {self.n} groups")
        return self

    @property
    def guaranteed_fpr(self) -> float:
        """(n + 1 - rank) / (n + 1), for exchangeable groups and scores of one model."""
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
    def enough(self) -> bool:
        """Whether there were that many."""
        return self.n >= self.needed


def good_images_needed(target_fpr: float) -> int:
    """The fewest good images, each of another part, whose threshold can promise a false-alarm rate in (0, 1)."""
    return math.ceil(1 / exact(target_fpr)) - 1


def smallest_rate(good_images: int) -> float:
    """The lowest false-alarm rate that so many good images, each of another part, can promise."""
    return 1 / (good_images + 1)


def exact(rate: float) -> Fraction:
    """A rate as it is written, so that (n + 1)(1 - 0.05) has no rounding error."""
    return Fraction(repr(float(rate)))
