"""Whether a new model may take the champion's place: a rule on what both said of the same test images.

It is made for two errors: a model that is worse by twice ``max_regression`` is promoted in fewer than 5 % of cases, and
one that is as good is stopped in fewer than 10 %. With few test images both cannot hold: then a person decides. The
figures are in docs/decisions/0024-registry.md.

Source: Efron, Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13, for the percentile bounds; Vovk,
"Conditional validity of inductive conformal predictors" (2012), for the distribution of a threshold's false-alarm rate.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vqi.artifacts.decision import Verdict
from vqi.artifacts.drift import Drift
from vqi.artifacts.metrics import Metrics
from vqi.formatting import count, percent, short_percent
from vqi.models.paired import Said, drawn_again

CONFIDENCE = 0.95  # of the bounds, one-sided
ODD = 0.01  # the chance at which so many false alarms are no chance
_WORST_FIRST: tuple[Verdict, ...] = ("rejected", "held", "promoted")

Labels = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """What a model said of test images, which are in the order of their digests."""

    images: str  # digest of the images and their labels
    labels: Labels  # (N,) 0 normal, 1 anomalous
    scores: Scores  # (N,)
    threshold: float
    target: float  # the share of good parts that the user asked for
    promised: float  # the share of good parts that it may flag
    parts: int  # good ones that it was set from
    anew: str = ""  # how it was scored now, where it was not measured on these images when it was made
    trained: npt.NDArray[np.bool_] | None = None  # (N,) of one that was scored now, whether it was trained on an image

    @property
    def good(self) -> int:
        """How many images are of good parts."""
        return int((self.labels == 0).sum())

    @property
    def defective(self) -> int:
        """How many are not."""
        return int((self.labels == 1).sum())

    @property
    def flagged(self) -> npt.NDArray[np.bool_]:
        """(N,) whether each image is above the threshold."""
        return self.scores > self.threshold

    @property
    def said(self) -> Said:
        """Of each image."""
        return Said(self.scores, self.flagged)


class Opinion(NamedTuple):
    """What the gate says of a model, or of one figure of it."""

    verdict: Verdict
    reasons: tuple[str, ...]
    drift: Drift | None = None  # of new good parts, where the champion was asked about them


def measured_of(metrics: Metrics) -> Measured | None:
    """What a version was measured at when it was made; None where an earlier vqi made it, which kept no scores."""
    scored = metrics.scored
    if scored is None:
        return None
    points = [one for one in metrics.operating_points if one.target_fpr == metrics.target_fpr]
    return Measured(
        scored.images,
        np.array([int(label) for label in scored.labels], dtype=np.int64),
        np.array(scored.scores, dtype=np.float64),
        metrics.threshold,
        metrics.target_fpr,
        max(metrics.target_fpr, metrics.guaranteed_fpr),
        points[0].calibration_groups if points else 1,
    )


def judge_first(image_auroc: float | None, min_auroc: float) -> Opinion:
    """Of a model where there is no champion yet."""
    if min_auroc <= 0:
        return Opinion("promoted", ("it is the first one",))
    if image_auroc is None:
        why = (
            f"an image AUROC of {min_auroc:g} is expected of the first one, and no labelled test images say what it has"
        )
        return Opinion("held", (why,))
    verdict: Verdict = "promoted" if image_auroc >= min_auroc else "rejected"
    return Opinion(verdict, (f"image AUROC {image_auroc:.3f}, of the first one {min_auroc:g} is expected",))


def judge(challenger: Measured | None, champion: Measured | None, max_regression: float) -> Opinion:
    """Of a model against the champion.

    Args:
        challenger: What the new model said; None where that is not known.
        champion: What the champion said.
        max_regression: By how much AUROC and recall may be worse, in [0, 1].
    """
    if challenger is None or champion is None:
        whose = "the new model's" if challenger is None else "the champion's"
        return Opinion("held", (f"{whose} scores of its test images were not kept by the vqi that made it",))
    if challenger.images != champion.images:
        told = " and ".join(count(len(one.labels), "test image") for one in (challenger, champion))
        return Opinion("held", (f"it and the champion were measured on different images ({told})",))
    challenger, champion, about = _unseen(challenger, champion)
    if not challenger.good:
        return Opinion("held", ("there are no test images of good parts: nothing says how it compares", *about))
    found = [_false_alarms(challenger, champion)]
    if challenger.defective:
        found = [*_against(challenger, champion, max_regression), *found]
    else:
        found.append(_agreement(challenger, champion))
    measured = "scored anew" if champion.anew else "measured"
    told = f"the champion was {measured} on the same {count(len(challenger.labels), 'test image')}"
    told += f" ({champion.anew})" if champion.anew else ""
    verdict, reasons, _ = together(found)
    return Opinion(verdict, (*reasons, told, *about))


def together(found: Iterable[Opinion]) -> Opinion:
    """Opinions of several figures as one: the worst of them, whose reasons come first."""
    in_order = sorted(found, key=lambda opinion: _WORST_FIRST.index(opinion.verdict))
    drift = next((opinion.drift for opinion in in_order if opinion.drift is not None), None)
    return Opinion(in_order[0].verdict, tuple(reason for opinion in in_order for reason in opinion.reasons), drift)


def _unseen(challenger: Measured, champion: Measured) -> tuple[Measured, Measured, tuple[str, ...]]:
    """Both on the images that the champion was not trained on, of which it knows the answers; and what is left out."""
    if not champion.anew:
        return challenger, champion, ()
    if champion.trained is None:
        return challenger, champion, ("it is not known whether the champion was trained on some of them",)
    if not champion.trained.any():
        return challenger, champion, ()
    kept = ~champion.trained
    parts = [replace(one, labels=one.labels[kept], scores=one.scores[kept]) for one in (challenger, champion)]
    told = f"left out: {count(int(champion.trained.sum()), 'test image')} that the champion was trained on"
    return parts[0], parts[1], (told,)


def _against(challenger: Measured, champion: Measured, allowed: float) -> tuple[Opinion, Opinion]:
    """AUROC and recall of both, with bounds from test images drawn again, the same ones for both."""
    bad = challenger.labels == 1
    pair = drawn_again(challenger.labels, challenger.said, champion.said)
    low = float(np.quantile(pair.areas, 1 - CONFIDENCE))
    high = float(np.quantile(pair.recalls, CONFIDENCE))
    area = _area(pair.area, pair.area_before, low, allowed)
    if challenger.target != champion.target:
        rates = (f"{percent(one.flagged[bad].mean())} at {short_percent(one.target)}" for one in (challenger, champion))
        told = ", the champion's ".join(rates)
        return area, Opinion("promoted", (f"recall {told}: not compared, as their promised rates differ",))
    chance = _chance_of_recall(challenger)
    found, before = (float(one.flagged[bad].mean()) for one in (challenger, champion))
    return area, _recall(found, before, high + chance, allowed)


def _area(new: float, old: float, low: float, allowed: float) -> Opinion:
    change = new - old
    told = f"image AUROC {new:.3f}, the champion's {old:.3f}"
    if change < -allowed:
        return Opinion("rejected", (f"{told}: worse by more than the {allowed:g} that is allowed",))
    if low < -2 * allowed:
        why = f"with so few test images it may be worse by {-low:.3f}, at most twice the allowed {allowed:g} would do"
        return Opinion("held", (f"{told}: {why}",))
    return Opinion("promoted", (f"{told}: not worse by more than the {allowed:g} that is allowed",))


def _recall(new: float, old: float, high: float, allowed: float) -> Opinion:
    told = f"recall {percent(new)}, the champion's {percent(old)}, each at its own threshold"
    if high < -allowed:
        why = f"{told}: worse by more than the {allowed:g} that is allowed and what chance makes of a threshold"
        return Opinion("rejected", (why,))
    return Opinion("promoted", (told,))


def _chance_of_recall(measured: Measured) -> float:
    """By how much recall is lower where the threshold is higher by chance, as that of few parts may be: by one standard
    deviation of its false-alarm rate."""
    rate = measured.promised
    lower = max(rate - math.sqrt(rate * (1 - rate) / (measured.parts + 2)), 0.0)
    at = np.quantile(measured.scores[measured.labels == 0], [1 - rate, 1 - lower])
    bad = measured.scores[measured.labels == 1]
    return float((bad > at[0]).mean() - (bad > at[1]).mean())


def _false_alarms(challenger: Measured, champion: Measured) -> Opinion:
    """Of the good test images: no more than chance allows, or than the champion has."""
    good = challenger.labels == 0
    new, old = (int(one.flagged[good].sum()) for one in (challenger, champion))
    told = (
        f"{new} of {count(challenger.good, 'good test image')} flagged, {old} by the champion, "
        f"{short_percent(challenger.promised)} promised"
    )
    if new > old and _chance_of(new, challenger) < ODD:
        return Opinion("rejected", (f"{told}: more than chance allows",))
    return Opinion("promoted", (told,))


def _chance_of(flagged: int, measured: Measured) -> float:
    """The probability that so many good images or more are flagged.

    The rate of a threshold that was set from n parts has a beta distribution, so their number is beta-binomial.
    """
    from scipy.stats import betabinom

    a = (measured.parts + 1) * measured.promised
    return float(betabinom.sf(flagged - 1, measured.good, a, measured.parts + 1 - a))


def _agreement(challenger: Measured, champion: Measured) -> Opinion:
    same = float((challenger.flagged == champion.flagged).mean())
    return Opinion("promoted", (f"both judge {percent(same)} of the good test images equally",))
