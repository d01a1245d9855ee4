"""The threshold from good images only, at a false-alarm rate that the user names.

The threshold is an order statistic of held-out scores; where it would rest on one or two images, the tail of a curve
that is fitted to all of them (`fitted_tail`). Photographs that belong together (of one part, near-duplicates,
copies) are a group: they are held out together, and the rank is taken over groups (``vqi.artifacts.grouped``). A part
must not be calibrated on its own twin: its held-out score would say how well the model remembers it. What is
guaranteed, and what is not:

- Where the scores come from one fixed model, on images it did not see, exchangeable with the images to come, a new good
  image is flagged with a probability of at most (n + 1 - rank) / (n + 1), on average over calibration sets; that is at
  most ``target_fpr`` where n is enough. One calibration set gives a rate that varies around it
  (`expected_false_alarms`).
  This is so where there are good images in ``calibration/good`` (split-conformal). A copy of a training image there, or
  a photograph of a part that trains, is none that the model did not see, and does not take part.
- Else the scores are pooled over K folds (cross-conformal), and the model in use is fitted to all images. For that no
  finite-sample bound at ``target_fpr`` is proved: CV+, which also scores a new image with the K fold models, is within
  twice the rate (plus a term that falls with n). In practice each fold's model has seen less than the final one, so
  its held-out scores are rather larger, and the threshold rather cautious.
- A fitted tail promises its rate where the logarithms of good parts' scores are normally distributed, which no set is
  large enough to show where it is used. It is less at the mercy of one odd image, and can say what a rate needs that is
  lower than so few images can promise. `make bench ARGS=small_sets` shows what both keep on photographs.
- Good images that differ from the training images (another camera, another batch) are outside all of this.

Source: Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World" (2005), chapter 2, for the rank; Vovk,
"Cross-conformal predictors", Ann. Math. Artif. Intell. 74 (2015); Barber, Candes, Ramdas, Tibshirani, "Predictive
inference with the jackknife+", Ann. Statist. 49 (2021), section 3 (CV+ and its bound); Meeker, Hahn, Escobar,
"Statistical Intervals" (2nd ed., 2017), sections 4.4 (confidence limits of a quantile) and 4.6 (prediction limit).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from vqi.artifacts.grouped import Groups, rank_of, score_of_rank, weights
from vqi.artifacts.threshold import CROSS, FEWEST_ABOVE, FittedTail, Threshold, is_fitted, wanted_rank
from vqi.errors import VqiError

RATES = (0.005, 0.01, 0.02, 0.05, 0.1)  # of the operating points, beside the one that the user names
_BAND = 0.95  # of the expected number of false alarms
_CONFIDENCE = 0.9  # of the interval of a fitted tail
_FEWEST_TO_FIT = 5  # groups: of fewer, a spread is hardly known


def operating_points(
    scores: npt.NDArray[np.floating], target_fpr: float, groups: Groups | None = None, source: str = CROSS
) -> tuple[Threshold, ...]:
    """The thresholds of several false-alarm rates, ``target_fpr`` among them, the lowest rate first.

    Args:
        scores: (m,) held-out scores of good images, higher = more anomalous.
        target_fpr: Share of good images that may be flagged, in (0, 1).
        groups: (m,), equal for images that belong together; each image is a group by itself where None.
        source: What the scores are from, in words.

    Raises:
        VqiError: No scores, scores that are not finite, or a rate out of range.
    """
    return tuple(threshold_of(scores, rate, groups, source) for rate in sorted({*RATES, float(target_fpr)}))


def threshold_of(
    scores: npt.NDArray[np.floating], target_fpr: float, groups: Groups | None = None, source: str = CROSS
) -> Threshold:
    """The threshold of one rate: the order statistic, or a fitted tail where that would rest on one or two groups.

    The tail is never below the score that three groups reach. Where that is above the confidence interval of the curve
    there, the curve does not fit these scores, and the order statistic stands.

    Args:
        scores: (m,) held-out scores of good images.
        target_fpr: In (0, 1).
        groups: (m,), as for `operating_points`.
        source: As for `operating_points`.

    Raises:
        VqiError: As for `operating_points`.
    """
    found = conformal_threshold(scores, target_fpr, groups, source)
    groups = np.arange(len(scores)) if groups is None else groups
    fitted = fitted_tail(scores, found.target_fpr, groups)
    if fitted is None or not is_fitted(found.n, found.target_fpr):
        return found.model_copy(update={"fitted": fitted})
    reached = score_of_rank(scores, groups, found.n + 1 - FEWEST_ABOVE)
    there = fitted_tail(scores, FEWEST_ABOVE / (found.n + 1), groups)
    if there is None or there.high < reached:
        return found.model_copy(update={"fitted": fitted})
    fitted = fitted.model_copy(update={"value": max(fitted.value, reached), "high": max(fitted.high, reached)})
    rank = rank_of(scores, groups, fitted.value)
    return Threshold(**{**dict(found), "value": fitted.value, "method": "fitted tail", "fitted": fitted, "rank": rank})


def conformal_threshold(
    scores: npt.NDArray[np.floating], target_fpr: float, groups: Groups | None = None, source: str = CROSS
) -> Threshold:
    """The score of rank ceil((n + 1)(1 - target_fpr)) among n groups of good scores; the highest where n is too small.

    Args:
        scores: (m,) held-out scores of good images.
        target_fpr: In (0, 1).
        groups: (m,), as for `operating_points`.
        source: As for `operating_points`.

    Raises:
        VqiError: As for `operating_points`.
    """
    groups = np.arange(len(scores)) if groups is None else groups
    if not 0 < target_fpr < 1:
        raise VqiError(f"target_fpr: expected a rate between 0 and 1, got {target_fpr}")
    n = len(np.unique(groups))
    if n == 0:
        raise VqiError("no good images to calibrate the threshold on: add images to train/good")
    if not np.isfinite(scores).all():
        raise VqiError("the calibration scores hold NaN or infinity: fit the detector again")
    rank = wanted_rank(n, target_fpr)
    value = score_of_rank(scores, groups, rank)
    return Threshold(
        value=value,
        method="order statistic",
        order_statistic=value,
        fitted=None,
        source=source,
        n=n,
        images=len(scores),
        rank=rank,
        target_fpr=float(target_fpr),
    )


def fitted_tail(scores: npt.NDArray[np.floating], target_fpr: float, groups: Groups) -> FittedTail | None:
    """The upper prediction limit of a log-normal distribution for one more good part.

    exp(m + t s sqrt(1 + 1/n)), m and s the mean and the standard deviation of the logarithms over n groups, t Student's
    quantile at 1 - target_fpr with n - 1 degrees of freedom; the confidence limits of the quantile itself are those of
    the noncentral t distribution.

    Args:
        scores: (m,) held-out scores of good images.
        target_fpr: In (0, 1).
        groups: (m,), equal for images that belong together: each group counts once.

    Returns:
        None where there are fewer than five groups, or scores of 0 or all the same.
    """
    from scipy.special import nctdtrit, ndtri, stdtrit

    shares = weights(groups)
    n = round(float(shares.sum()))
    if n < _FEWEST_TO_FIT or not scores.min() > 0:
        return None
    logs = np.log(scores)
    mean = float(shares @ logs) / n
    spread = math.sqrt(float(shares @ np.square(logs - mean)) / (n - 1))
    if not spread > 0:
        return None
    limit = float(stdtrit(n - 1, 1 - target_fpr)) * math.sqrt(1 + 1 / n)
    tail, shift = (1 - _CONFIDENCE) / 2, float(ndtri(1 - target_fpr)) * math.sqrt(n)
    ends = [float(nctdtrit(n - 1, shift, at)) / math.sqrt(n) for at in (tail, 1 - tail)]
    value, low, high = (math.exp(mean + spread * factor) for factor in (limit, *ends))
    return FittedTail(value=value, low=low, high=high)


def expected_false_alarms(n_calibration: int, rank: int, m: int) -> tuple[float, float, float]:
    """What chance alone gives on m new good images: the number of their false alarms is beta-binomial.

    Args:
        n_calibration: Calibration scores, each of another group.
        rank: Of the threshold among them, from the lowest, 1-based.
        m: New good images, each of another group, at least 1.

    Returns:
        The mean false-alarm rate and the ends of its 95 % band.

    Raises:
        VqiError: No new images, or a rank that is not among the calibration scores.

    Source: Vovk, "Conditional validity of inductive conformal predictors", Mach. Learn. 92 (2013): given the
    calibration set the rate is Beta(n + 1 - rank, rank) distributed.
    """
    if m < 1 or not 1 <= rank <= n_calibration:
        raise VqiError(f"false alarms: expected m >= 1 and 1 <= rank <= {n_calibration}, got m = {m}, rank = {rank}")
    from scipy.stats import betabinom  # it takes half a second to import, which fitting does not need

    law = betabinom(m, n_calibration + 1 - rank, rank)
    low, high = law.interval(_BAND)
    return float(law.mean()) / m, float(low) / m, float(high) / m
