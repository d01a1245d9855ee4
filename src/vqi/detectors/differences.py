"""Whether some good images score systematically otherwise than others: another day, another camera; no label is used.

Held-out scores of training images are no measure for that: each is of another model, these have seen fewer images than
the final one, and they are much alike, so that a test of such scores cries wolf in up to one of ten runs where it
promises one of a thousand. So a detector is fitted to half of the others, and the scores that it gives to the other
half, and to the images in question, are compared: where all are alike, it has seen as much of these as of those. That
makes the two-sided Mann-Whitney test exact, for any detector and any number of images.

Photographs of one part count as one, with their mean score, for they say the same. Where there are enough groups on
both sides (shifts, days), each group counts as one, so that differences such as those between any two days are none.

It is said only where it is both certain (p < ``SIGNIFICANT``, over all comparisons of one run) and worth saying: one
side scores higher in at least ``NOTICEABLE`` of all pairs. For scores that are normally distributed that is a shift by
0.54 standard deviations, by which 13 % of good parts are flagged where 5 % were promised.

Source: Mann, Whitney, "On a test of whether one of two random variables is stochastically larger than the other", Ann.
Math. Statist. 18 (1947). The split is that of inductive conformal prediction: Vovk, Gammerman, Shafer, "Algorithmic
Learning in a Random World" (2005), chapter 4.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vqi.artifacts.features import FeatureMaps
from vqi.artifacts.grouped import Groups, means
from vqi.config import PcaFit
from vqi.detectors.aggregate import image_scores
from vqi.detectors.interface import Detector, DoubleArray, Rows

SIGNIFICANT = 0.001
NOTICEABLE = 0.65
LEAST = 10  # parts to compare with: half of them are fitted
FEWEST = 5  # parts of a group that is compared with the others
GROUPS = (5, 20)  # from how many on, of the images in question and of the others, a group is one unit
WHOLE = 4  # groups from which on none is divided into halves


class Sample(NamedTuple):
    """Good images."""

    maps: FeatureMaps  # of N images
    parts: Groups  # (N,), equal for images that show one part
    groups: Groups  # (N,), equal for images that belong together

    def rows(self, rows: Rows) -> Sample:
        """Some of them."""
        return Sample(self.maps.rows(rows), self.parts[rows], self.groups[rows])


class Comparison(NamedTuple):
    """What the scores of some good images say beside those of others."""

    units: int  # parts or groups on this side
    others: int
    p_value: float
    higher: float  # share of pairs in which one of these scores higher than one of the others

    @property
    def differs(self) -> bool:
        """Whether that is certain, and worth saying."""
        return self.p_value < SIGNIFICANT and max(self.higher, 1 - self.higher) >= NOTICEABLE


def compare(kind: type[Detector], settings: PcaFit, these: Sample, others: Sample) -> Comparison | None:
    """Good images beside others; None where the others are too few to say anything.

    Args:
        kind: The detector that scores them.
        settings: Of the step, with the seed of the halves.
        these: The images in question.
        others: Half of which are fitted.
    """
    if len(np.unique(others.parts)) < LEAST:
        return None
    half = _half(others, settings.seed)
    model = kind.fit(others.maps.rows(np.flatnonzero(half)), settings).detector
    rest = others.rows(np.flatnonzero(~half))
    ours, theirs = (image_scores(model.anomaly_maps(one.maps), settings.aggregate) for one in (these, rest))
    least = zip((these.groups, others.groups), GROUPS, strict=True)
    if all(len(np.unique(groups)) >= few for groups, few in least):
        return _tested(means(ours, these.groups), means(theirs, rest.groups))
    return _tested(means(ours, these.parts), means(theirs, rest.parts))


def among(
    kind: type[Detector], settings: PcaFit, train: Sample, held_out: npt.NDArray[np.floating]
) -> Iterator[tuple[int, Comparison]]:
    """The groups of training images that score systematically higher than the others.

    Groups of one part are none: parts differ. Of two groups, each is odd to a model of the other one. What the held-out
    scores (N,) do not show is not looked at further, for each comparison takes a fit.
    """
    once = np.unique(np.stack([train.groups, train.parts]), axis=1)[0]  # (parts,), the group of each
    sizes = {int(group): int(size) for group, size in zip(*np.unique(once, return_counts=True), strict=True)}
    whole = len(once)
    compared = [group for group, size in sizes.items() if size >= FEWEST and whole - size >= LEAST]
    if sum(size > 1 for size in sizes.values()) < 3:
        return
    for group in compared:
        of = train.groups == group
        seen = _tested(means(held_out[of], train.parts[of]), means(held_out[~of], train.parts[~of]))
        if not (seen.differs and seen.higher > 0.5):
            continue
        found = compare(kind, settings, train.rows(np.flatnonzero(of)), train.rows(np.flatnonzero(~of)))
        if found is not None:
            found = found._replace(p_value=min(1.0, len(compared) * found.p_value))
            if found.differs and found.higher > 0.5:
                yield group, found


def _half(sample: Sample, seed: int) -> npt.NDArray[np.bool_]:
    """Which images are in one half: whole groups, or whole parts where there are few groups."""
    members = sample.groups if len(np.unique(sample.groups)) >= WHOLE else sample.parts
    _, places, sizes = np.unique(members, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(sizes))
    before = np.cumsum(sizes[order]) - sizes[order]
    chosen = np.zeros(len(sizes), np.bool_)
    chosen[order[2 * before < len(members)]] = True
    chosen[order[-1]] = False  # one very large group must not leave nothing
    half: npt.NDArray[np.bool_] = chosen[places]
    return half


def _tested(first: DoubleArray, others: DoubleArray) -> Comparison:
    """The Mann-Whitney test of mean scores, (n,) and (m,)."""
    from scipy.stats import mannwhitneyu  # it takes half a second to import, which most fits do not need

    found = mannwhitneyu(first, others, alternative="two-sided")
    share = float(found.statistic) / (len(first) * len(others))
    return Comparison(len(first), len(others), float(found.pvalue), share)
