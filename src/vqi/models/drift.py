"""Whether new good parts are, under a model, as good ones should be: their conformal p-values would be uniform.

They are compared with the held-out scores that set the model's threshold, in one direction: parts that score lower than
good ones are no reason for anything, and the final model has seen more images than those that held the others out. A
test of the p-values against the uniform distribution itself would take the threshold's sample for the truth, and cry
wolf the more often the more new parts there are; the two-sample test of Kolmogorov and Smirnov is the same test with
the chance of that sample in it. Beside it stands the test of Mann and Whitney, which sees a small shift of all parts
sooner.

Photographs of one part count as one, with their mean score.

Source: Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World" (2005), chapters 2 and 7; Smirnov, "Table for
estimating the goodness of fit of empirical distributions", Ann. Math. Statist. 19 (1948).
"""

from __future__ import annotations

import numpy as np

from vqi.artifacts.drift import Drift
from vqi.artifacts.grouped import Groups, means, p_values
from vqi.artifacts.metrics import HeldOut
from vqi.detectors.differences import NOTICEABLE, SIGNIFICANT
from vqi.detectors.interface import DoubleArray

GAP = 0.2  # the share of new parts beyond where good ones should be, from which on that is worth saying


def drift_of(
    new: DoubleArray, parts: Groups, good: HeldOut, threshold: float, target: float, version: int = 0
) -> Drift:
    """New good images beside those that set a model's threshold.

    Args:
        new: (N,) scores of images that the model did not see.
        parts: (N,), equal for images that show one part.
        good: Those that set the threshold.
        threshold: Of the model.
        target: The false-alarm rate that it was set for.
        version: Of the model.
    """
    from scipy.stats import ks_2samp, mannwhitneyu  # they take half a second to import

    ours, theirs = means(new, parts), means(np.array(good.scores), np.array(good.parts, np.int64))
    uniform = ks_2samp(ours, theirs, alternative="less")  # the distribution function of ours is the lower one
    ranks = mannwhitneyu(ours, theirs, alternative="greater")
    numbers = p_values(ours, theirs, np.arange(len(theirs)))
    certain = min(1.0, 2 * min(float(uniform.pvalue), float(ranks.pvalue)))
    higher, gap = float(ranks.statistic) / (len(ours) * len(theirs)), max(0.0, float(uniform.statistic))
    return Drift(
        version=version,
        parts=len(ours),
        others=len(theirs),
        flagged=int((ours > threshold).sum()),
        target=target,
        p_value=certain,
        higher=higher,
        gap=gap,
        drifted=certain < SIGNIFICANT and (higher >= NOTICEABLE or gap >= GAP),
        p_values=tuple(sorted(float(one) for one in numbers)),
    )
