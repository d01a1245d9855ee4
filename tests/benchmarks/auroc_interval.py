"""How often intervals of the AUROC hold it, and how long they are: simulated samples of known laws.

The interval of ``vqi.intervals`` and others, on a grid of numbers of images, true AUROCs and laws of the scores.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from tests.benchmarks.measure import table
from vqi import intervals

Array = npt.NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Array]
Interval = Callable[["Sample"], tuple[float, float]]

TRIES = 1000  # per cell: 95 % are known to 0.7 %
AUROCS = (0.6, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999)
COUNTS = ((1, 1), (3, 3), (10, 10), (30, 30), (100, 100), (500, 500), (20, 200), (200, 20), (500, 5), (5, 500))
FAR = 40.0


def _normal(auroc: float, spread: float = 1.0, share: float = 0.0) -> tuple[Draw, Draw]:
    """Normal scores; those of defects differ ``spread`` times as much, and a ``share`` of them is below all good."""
    shift = norm.ppf(auroc / (1 - share)) * math.hypot(1, spread) if auroc < 1 - share else FAR
    return (
        lambda random, n: random.normal(size=n),
        lambda random, n: np.where(random.random(n) < share, -FAR, spread * random.normal(size=n) + shift),
    )


def _exponential(auroc: float) -> tuple[Draw, Draw]:
    return (
        lambda random, n: random.exponential(size=n),
        lambda random, n: auroc / (1 - auroc) * random.exponential(size=n),
    )


def _alike(auroc: float) -> tuple[Draw, Draw]:
    """A share of the defects looks like good parts, the others are far away."""
    return (
        lambda random, n: random.normal(size=n),
        lambda random, n: random.normal(size=n) + np.where(random.random(n) < 2 * (1 - auroc), 0, FAR),
    )


LAWS: dict[str, Callable[[float], tuple[Draw, Draw]]] = {
    "normal": _normal,
    "normal, defects three times as wide": lambda auroc: _normal(auroc, 3.0),
    "exponential": _exponential,
    "some defects like good parts": _alike,
    "some defects below all good parts": lambda auroc: _normal(auroc, share=1 - auroc),
    "half of the loss so, half normal": lambda auroc: _normal(auroc, share=(1 - auroc) / 2),
}


@dataclass(frozen=True)
class Sample:
    """What an interval is made from."""

    auroc: float
    variance: float  # as the bootstrap gives it after infinitely many repeats
    delong: float  # DeLong's variance
    good: int
    bad: int


def main() -> None:
    """Coverage of ours by law and counts, then ours against others."""
    random = np.random.default_rng(0)
    cells = {
        (law, counts, auroc): list(_samples(random, LAWS[law](auroc), *counts))
        for law in LAWS
        for counts in COUNTS
        for auroc in AUROCS
    }
    tried = {name: {cell: _tried(made, cell[2], one) for cell, made in cells.items()} for name, one in METHODS.items()}
    ours = tried[OURS]
    table(
        f"Coverage of a 95 % interval: the lowest of the AUROCs {', '.join(map(str, AUROCS))}; {TRIES} samples each",
        ["good + defective", *LAWS],
        [
            [f"{good} + {bad}", *(_percent(min(ours[law, (good, bad), auroc][0] for auroc in AUROCS)) for law in LAWS)]
            for good, bad in COUNTS
        ],
    )
    shown = [((10, 10), 0.9), ((100, 100), 0.9), ((100, 100), 0.99), ((20, 200), 0.9), ((500, 500), 0.99)]
    table(
        f"Intervals: lowest coverage of {len(cells)} cells, cells below 93 %, mean length with normal scores",
        ["interval", "lowest", "below 93 %", *(f"{good} + {bad}, {auroc}" for (good, bad), auroc in shown)],
        [
            [
                name,
                _percent(min(coverage for coverage, _ in found.values())),
                sum(coverage < 0.93 for coverage, _ in found.values()),
                *(f"{found['normal', counts, auroc][1]:.3f}" for counts, auroc in shown),
            ]
            for name, found in tried.items()
        ],
    )


def _samples(random: np.random.Generator, law: tuple[Draw, Draw], good: int, bad: int) -> Iterator[Sample]:
    for _ in range(TRIES):
        goods, bads = np.sort(law[0](random, good)), np.sort(law[1](random, bad))
        wins, losses = np.searchsorted(goods, bads) / good, 1 - np.searchsorted(bads, goods) / bad
        auroc = float(wins.mean())
        once = auroc * (1 - auroc) + (good - 1) * wins.var() + (bad - 1) * losses.var()
        delong = wins.var() / max(bad - 1, 1) + losses.var() / max(good - 1, 1)
        yield Sample(auroc, float(once / good / bad), float(delong), good, bad)


def _tried(samples: list[Sample], auroc: float, interval: Interval) -> tuple[float, float]:
    """The share of the intervals that hold the AUROC, and their mean length."""
    ends = np.array([interval(sample) for sample in samples])
    held = (ends[:, 0] <= auroc) & (auroc <= ends[:, 1])
    return float(held.mean()), float((ends[:, 1] - ends[:, 0]).mean())


def _ours(sample: Sample) -> tuple[float, float]:
    return intervals.auroc_interval(sample.auroc, sample.variance, sample.good, sample.bad)


def _all_seen(sample: Sample) -> tuple[float, float]:
    with patch.object(intervals, "UNSEEN", 1.0):
        return _ours(sample)


def _logit(sample: Sample) -> tuple[float, float]:
    """DeLong's variance on the scale of the logit."""
    if not 0 < sample.auroc < 1:
        return sample.auroc, sample.auroc
    middle = math.log(sample.auroc / (1 - sample.auroc))
    half = 1.96 * math.sqrt(sample.delong) / sample.auroc / (1 - sample.auroc)
    return 1 / (1 + math.exp(min(half - middle, 700))), 1 / (1 + math.exp(max(-half - middle, -700)))


def _hanley_mcneil(sample: Sample) -> tuple[float, float]:
    """Newcombe's method 5: the ends are those AUROCs whose own standard error reaches to the one that was seen."""
    images = (sample.good + sample.bad) / 2 - 1

    def error(a: float) -> float:
        more = images * ((1 - a) / (2 - a) + a / (1 + a))
        return 1.96 * math.sqrt(max(a * (1 - a) * (1 + more), 0) / sample.good / sample.bad)

    def end(outside: float) -> float:
        inside = sample.auroc
        for _ in range(40):
            middle = (inside + outside) / 2
            reaches = abs(middle - sample.auroc) <= error(middle)
            inside, outside = (middle, outside) if reaches else (inside, middle)
        return inside

    return end(0.0), end(1.0)


def _few(sample: Sample) -> tuple[float, float]:
    """The exact one of a proportion of the smaller class: the largest variance that an AUROC can have."""
    worst = sample.auroc * (1 - sample.auroc) / min(sample.good, sample.bad)
    return intervals.auroc_interval(sample.auroc, worst, sample.good, sample.bad)


OURS = "ours"
METHODS: dict[str, Interval] = {
    OURS: _ours,
    "ours without what is not seen": _all_seen,
    "Clopper-Pearson of the smaller class": _few,
    "Newcombe's method 5": _hanley_mcneil,
    "DeLong on the logit scale": _logit,
}


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
