"""What the gate can tell where no test image shows a defect: from good images alone, and that is said.

The images are those that set the new model's threshold: each has a score of a model that did not see it. The champion's
scores of the same images are the ones that set its own threshold, where they did; of images that are new since it was
trained they are computed now. So neither model knows an image that it is asked about.

A model that sees defects less well may look the same on good parts. What good parts can show is looked at: whether the
two models find the same parts unusual; whether the new one flags fewer of the parts that both know than its threshold
promises, as one does whose training images hold defects; whether the new parts are as good ones should be
(``vqi.models.drift``); and whether the threshold rests on enough parts. In doubt a person decides. The figures are in
docs/decisions/0032-gate-bounds.md.

Source: Bonett, Wright, "Sample size requirements for estimating Pearson, Kendall and Spearman correlations",
Psychometrika 65 (2000), for the bound of the rank correlation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vqi.artifacts.decision import Verdict
from vqi.artifacts.drift import Drift
from vqi.artifacts.grouped import means
from vqi.artifacts.metrics import Metrics, short_digest
from vqi.errors import VqiError
from vqi.formatting import count, short_percent
from vqi.models.category import Category
from vqi.models.drift import drift_of
from vqi.models.gate import ODD, Measured, Opinion, Scores
from vqi.models.rescoring import scores_now
from vqi.models.trained import trained_on

FEWEST = 20  # parts: with fewer nothing is told
AGREE = 0.7  # the rank correlation that two models of the same parts have at least
_ONE_SIDED = 1.645  # standard deviations of a 95 % bound


@dataclass(frozen=True)
class GoodParts:
    """What two models say of the same good parts, which neither of them was trained on when it scored them."""

    new: Scores  # (N,) of the new model
    old: Scores  # (N,) of the champion
    added: npt.NDArray[np.bool_]  # (N,) whether the part is new since the champion was trained
    drift: Drift | None  # of those that are; None where there are none, or nothing is known to compare them with


def judge_good(parts: GoodParts, new: Measured, old: Measured) -> list[Opinion]:
    """What good parts alone say of a model against the champion.

    Args:
        parts: What both say of them.
        new: Of the new model its threshold, and what that promises.
        old: The same of the champion.
    """
    number = len(parts.new)
    told = f"no test image shows a defect: decided on {count(number, 'good part')} that neither model was trained on"
    if number < FEWEST:
        return [Opinion("held", (f"{told}, and {FEWEST} are the fewest that tell anything",))]
    found = [Opinion("promoted", (told,)), _promise(new, old), _order(parts), _quiet(parts, new, old)]
    if parts.drift is not None:
        why = ": the parts changed, or some of them are not good: look at them" if parts.drift.drifted else ""
        verdict: Verdict = "held" if parts.drift.drifted else "promoted"
        found.append(Opinion(verdict, (f"{parts.drift.text}{why}",), parts.drift))
    return found


def _promise(new: Measured, old: Measured) -> Opinion:
    """Whether there are enough good parts for the rate that was asked for."""
    told = f"its threshold, set from {count(new.parts, 'good part')}, promises {short_percent(new.promised)}"
    if new.promised > max(new.target, old.promised):
        return Opinion("held", (f"{told}: more than the {short_percent(new.target)} that was asked for",))
    return Opinion("promoted", (told,))


def _order(parts: GoodParts) -> Opinion:
    """Whether both find the same parts unusual."""
    from scipy.stats import spearmanr

    with np.errstate(all="ignore"):
        found = float(spearmanr(parts.new, parts.old).statistic) if np.ptp(parts.new) and np.ptp(parts.old) else 0.0
    inside = min(max(found, -1 + 1e-9), 1 - 1e-9)
    low = math.tanh(math.atanh(inside) - _ONE_SIDED * math.sqrt((1 + inside**2 / 2) / (len(parts.new) - 3)))
    told = f"rank correlation of both models' scores {found:.2f}"
    if low < AGREE:
        why = f"it may be {low:.2f}, {AGREE:g} is expected: they do not find the same parts unusual"
        return Opinion("held", (f"{told}: {why}",))
    return Opinion("promoted", (told,))


def _quiet(parts: GoodParts, new: Measured, old: Measured) -> Opinion:
    """Whether the new one flags as many of the parts that both know as its threshold promises."""
    from scipy.stats import betabinom

    known = ~parts.added
    flagged, before = int((parts.new[known] > new.threshold).sum()), int((parts.old[known] > old.threshold).sum())
    told = f"{flagged} of {count(int(known.sum()), 'good part')} that both know flagged, {before} by the champion"
    a = (new.parts + 1) * new.target
    chance = float(betabinom.cdf(flagged, int(known.sum()), a, new.parts + 1 - a))
    if flagged < before and chance < ODD:
        why = f"fewer than {short_percent(new.target)} by more than chance: what it was trained on may hold defects"
        return Opinion("held", (f"{told}: {why}",))
    return Opinion("promoted", (told,))


def good_parts(category: Category, champion: int, new: Metrics, old: Metrics, dataset: str) -> GoodParts:
    """What two versions say of the good images that set the threshold of the new one.

    Args:
        category: Of both.
        champion: The number of the champion.
        new: What was measured of the new version.
        old: What was measured of the champion.
        dataset: Uri of the dataset that the new version was made of, whose photographs the champion scores.

    Raises:
        VqiError: Held-out scores were not kept, it is not known what the champion was trained on, or it cannot be
            scored.
    """
    if new.held_out is None:
        raise VqiError("its scores of good images were not kept by the vqi that made it: train the category again")
    mine, theirs = new.held_out, old.held_out
    known = {} if theirs is None else dict(zip(theirs.images, theirs.scores, strict=True))
    added = _added(category, champion, [one for one in mine.images if one not in known])
    if added and not dataset:
        raise VqiError("dataset: expected the uri of the dataset whose photographs the champion scores, got none")
    scored = scores_now(category, champion, dataset, added) if added else {}
    now = {one: found.score for one, found in scored.items()}
    scores = known | now
    asked = np.array([one in scores for one in mine.images], dtype=np.bool_)
    if not asked.any():
        return GoodParts(np.zeros(0), np.zeros(0), np.zeros(0, np.bool_), None)
    images = [one for one in mine.images if one in scores]
    numbers = np.array(mine.parts)[asked]
    before = np.array([scores[one] for one in images])
    fresh = means(np.array([one in now for one in images], dtype=float), numbers) == 1  # (parts,)
    drift = None
    if fresh.any() and theirs is not None:
        of = np.isin(numbers, np.unique(numbers)[fresh])
        drift = drift_of(before[of], numbers[of], theirs, old.threshold, old.target_fpr, champion)
    return GoodParts(means(np.array(mine.scores)[asked], numbers), means(before, numbers), fresh, drift)


def _added(category: Category, champion: int, unknown: list[str]) -> list[str]:
    """Which images, of which the champion has no score, it was not trained on.

    Raises:
        VqiError: That is not known.
    """
    if not unknown:
        return []
    trained = trained_on(category, champion)
    if trained is None:
        raise VqiError(f"it is not known which photographs v{champion} was trained on")
    seen = {short_digest(one) for one in trained}
    return [one for one in unknown if one not in seen]
