"""The threshold from good images only."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats

from tests.benchmarks.false_alarms import kept
from vqi.artifacts.threshold import FEWEST_ABOVE, Threshold
from vqi.detectors.calibration import (
    RATES,
    conformal_threshold,
    expected_false_alarms,
    fitted_tail,
    operating_points,
    threshold_of,
)
from vqi.errors import VqiError


def test_rank_has_no_rounding_error() -> None:
    # (19 + 1)(1 - 0.05) is exactly 19, in floating point it is 19.0 or slightly more
    threshold = conformal_threshold(np.arange(1.0, 20.0), 0.05)
    assert (threshold.rank, threshold.value, threshold.enough) == (19, 19.0, True)
    assert threshold.guaranteed_fpr == pytest.approx(0.05)
    assert threshold.needed == 19


def test_by_hand() -> None:
    # n = 9, alpha = 0.25: ceil(10 * 0.75) = 8
    threshold = conformal_threshold(np.array([5, 1, 9, 3, 7, 2, 8, 4, 6.0]), 0.25)
    assert (threshold.rank, threshold.value) == (8, 8.0)
    assert threshold.guaranteed_fpr == pytest.approx(0.2)


def test_too_few_images() -> None:
    threshold = conformal_threshold(np.array([3.0, 1.0, 2.0]), 0.05)
    assert (threshold.value, threshold.enough, threshold.needed) == (3.0, False, 19)
    assert threshold.guaranteed_fpr == pytest.approx(1 / 4)


@pytest.mark.parametrize("scores", [np.array([]), np.array([1.0, np.nan])])
def test_refused(scores: np.ndarray) -> None:
    with pytest.raises(VqiError, match="calibrat"):
        conformal_threshold(scores, 0.05)


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, float("nan")])
def test_rate_out_of_range(rate: float) -> None:
    with pytest.raises(VqiError, match="target_fpr"):
        conformal_threshold(np.arange(5.0), rate)


@given(st.integers(1, 5000), st.integers(1, 999))
@example(9, 300)  # 0.3 is a little less than 3/10 in floating point
@example(19, 50)
@example(99, 70)
def test_rank_is_exact_for_any_rate(n: int, thousandths: int) -> None:
    # in whole numbers: ceil((n + 1)(1000 - t) / 1000)
    rank = -((n + 1) * (thousandths - 1000) // 1000)
    threshold = conformal_threshold(np.arange(float(n)), thousandths / 1000)
    assert threshold.rank == min(rank, n)
    assert threshold.enough == (rank <= n)
    assert threshold.value == threshold.rank - 1


@given(st.lists(st.integers(0, 5).map(float), min_size=1, max_size=60), st.floats(0.01, 0.9))
def test_no_more_calibration_scores_are_above_than_promised(scores: list[float], alpha: float) -> None:
    threshold = conformal_threshold(np.array(scores), alpha)
    assert sum(score > threshold.value for score in scores) <= threshold.n - threshold.rank


def test_expected_false_alarms_by_hand() -> None:
    # one calibration score, one new image: above it half of the time
    assert expected_false_alarms(1, 1, 1) == (0.5, 0, 1)
    # Polya's urn with 1 and 1: the number of false alarms is uniform over 0..9
    mean, low, high = expected_false_alarms(1, 1, 9)
    assert (mean, low, high) == pytest.approx((0.5, 0, 1))
    for n, rank, m in [(9, 0, 5), (9, 10, 5), (9, 5, 0)]:
        with pytest.raises(VqiError, match="false alarms"):
            expected_false_alarms(n, rank, m)


@given(st.integers(1, 400), st.sampled_from([0.01, 0.05, 0.1, 0.3, 0.5]))
def test_needed_is_the_smallest_that_is_enough(n: int, alpha: float) -> None:
    threshold = conformal_threshold(np.arange(float(n)), alpha)
    assert threshold.enough == (n >= threshold.needed)
    if threshold.enough:
        assert threshold.guaranteed_fpr <= alpha + 1e-12
        assert threshold.guaranteed_fpr > alpha - 1 / (n + 1) - 1e-12


def test_coverage_on_exchangeable_scores() -> None:
    random = np.random.default_rng(0)
    rates = []
    for _ in range(2000):
        scores = random.normal(size=150)
        rates.append((scores[50:] > conformal_threshold(scores[:50], 0.1).value).mean())
    mean, low, high = expected_false_alarms(50, conformal_threshold(np.arange(50.0), 0.1).rank, 100)
    assert np.mean(rates) == pytest.approx(mean, abs=0.005)
    inside = np.mean([(low <= rate <= high) for rate in rates])
    assert 0.94 < inside < 0.98


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(0, 9)), min_size=1, max_size=60), st.floats(0.01, 0.9))
def test_a_group_counts_once(pairs: list[tuple[float, int]], alpha: float) -> None:
    scores, groups = np.array([one for one, _ in pairs]), np.array([one for _, one in pairs])
    threshold = conformal_threshold(scores, alpha, groups)
    above = sum(float((scores[groups == one] > threshold.value).mean()) for one in np.unique(groups))
    assert above <= threshold.n - threshold.rank + 1e-6
    assert (threshold.n, threshold.images) == (len(np.unique(groups)), len(scores))
    copies = np.concatenate([scores, scores[groups == groups[0]]])  # each photograph of a part once more
    again = conformal_threshold(copies, alpha, np.concatenate([groups, groups[groups == groups[0]]]))
    assert (again.value, again.rank) == (threshold.value, threshold.rank), "copies change nothing"


def test_a_part_is_not_calibrated_on_its_own_twins() -> None:
    """30 parts photographed three times each: taken for 90 parts, nearly every new one is a false alarm."""
    found = [kept(30, 3, seed) for seed in range(3)]
    together, alone = ([pair[place].rate for pair in found] for place in (0, 1))
    assert max(together) < 0.2
    assert min(alone) > 0.8


# --------------------------------------------------------------------------------------------------------- fitted tail


@pytest.mark.parametrize("n", [5, 31, 59, 600])
@pytest.mark.parametrize("rate", [0.005, 0.05, 0.3])
def test_the_tail_is_the_prediction_limit_of_the_logarithms(n: int, rate: float) -> None:
    scores = np.exp(np.random.default_rng(n).normal(2, 0.3, n))
    found = fitted_tail(scores, rate, np.arange(n))
    assert found is not None
    logs = np.log(scores)
    mean, spread = logs.mean(), logs.std(ddof=1)
    assert np.log(found.value) == pytest.approx(mean + spread * np.sqrt(1 + 1 / n) * stats.t.ppf(1 - rate, n - 1))
    noncentral = stats.nct(n - 1, stats.norm.ppf(1 - rate) * np.sqrt(n))
    limits = [mean + spread * noncentral.ppf(p) / np.sqrt(n) for p in (0.05, 0.95)]
    assert np.log([found.low, found.high]) == pytest.approx(limits, rel=1e-6)


def test_the_tail_keeps_its_rate_where_few_images_cannot_promise_it() -> None:
    """12 good images promise 7.7 % at best; of log-normal scores the tail keeps 2 %, and its interval 90 %."""
    random = np.random.default_rng(0)
    found = [fitted_tail(np.exp(random.normal(size=12)), 0.02, np.arange(12)) for _ in range(4000)]
    tails = [one for one in found if one is not None]
    new = random.normal(size=len(tails))
    assert np.mean(np.exp(new) > [one.value for one in tails]) == pytest.approx(0.02, abs=0.006)
    quantile = np.exp(stats.norm.ppf(0.98))
    assert np.mean([one.low <= quantile <= one.high for one in tails]) == pytest.approx(0.9, abs=0.015)


def test_a_group_counts_once_in_the_tail() -> None:
    scores = np.exp(np.random.default_rng(1).normal(size=20))
    alone = fitted_tail(scores, 0.05, np.arange(20))
    tripled = fitted_tail(np.repeat(scores, 3), 0.05, np.repeat(np.arange(20), 3))
    assert alone is not None
    assert tripled is not None
    assert (tripled.value, tripled.low, tripled.high) == pytest.approx((alone.value, alone.low, alone.high))


@pytest.mark.parametrize("scores", [[1, 2, 3, 4.0], [0, 1, 2, 3, 4.0], [2, 2, 2, 2, 2.0]])
def test_nothing_is_fitted_to_too_little(scores: list[float]) -> None:
    assert fitted_tail(np.array(scores), 0.05, np.arange(len(scores))) is None
    threshold = threshold_of(np.array(scores), 0.05)
    assert (threshold.method, threshold.value, threshold.fitted) == ("order statistic", max(scores), None)


@given(st.integers(5, 200), st.sampled_from([0.01, 0.05, 0.2]), st.integers(0, 9))
def test_the_tail_is_taken_where_one_or_two_images_would_decide(n: int, rate: float, seed: int) -> None:
    scores = np.exp(np.random.default_rng(seed).normal(size=n))
    plain, chosen = conformal_threshold(scores, rate), threshold_of(scores, rate)
    few = n + 1 - plain.rank < FEWEST_ABOVE and fits(scores)
    assert chosen.method == ("fitted tail" if few else "order statistic")
    assert chosen.fitted is not None
    assert chosen.value == (chosen.fitted.value if few else plain.value)
    assert chosen.rank == (scores <= chosen.value).sum() if few else chosen.rank == plain.rank
    assert chosen.order_statistic == plain.value


def fits(scores: npt.NDArray[np.float64]) -> bool:
    """Whether the curve's interval, at the rate of the third highest score, reaches that score."""
    tail = fitted_tail(scores, FEWEST_ABOVE / (len(scores) + 1), np.arange(len(scores)))
    return tail is not None and tail.high >= np.sort(scores)[-FEWEST_ABOVE]


def test_a_curve_that_does_not_fit_is_not_used() -> None:
    """Four odd good images among 200: the curve would promise 0.5 % where 2 % of these very images lie above it."""
    scores = np.concatenate([np.exp(np.random.default_rng(0).normal(0, 0.1, 196)), [5, 6, 7, 8]])
    points = {one.target_fpr: one for one in operating_points(scores, 0.05)}
    assert not fits(scores)
    assert [points[rate].value for rate in (0.005, 0.01)] == [8.0, 7.0]
    assert {one.method for one in points.values()} == {"order statistic"}
    assert points[0.005].fitted is not None
    assert points[0.005].fitted.value < 5


def test_the_tail_is_not_below_what_three_images_reach() -> None:
    found = [
        threshold_of(scores, 0.02)
        for scores in np.exp(np.random.default_rng(0).normal(size=(200, 100)))
        if fitted_tail(scores, 0.02, np.arange(100)).value < np.sort(scores)[-FEWEST_ABOVE] and fits(scores)  # type: ignore[union-attr]
    ]
    assert len(found) > 20
    assert all(one.method == "fitted tail" and one.rank == 98 for one in found)


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=150), st.floats(0.001, 0.4))
def test_a_lower_rate_has_no_lower_threshold(scores: list[float], rate: float) -> None:
    values = [one.value for one in operating_points(np.array(scores), rate)]
    assert values == sorted(values, reverse=True)


def test_operating_points_are_of_all_rates_and_the_users_own() -> None:
    scores = np.arange(1.0, 1000)
    points = operating_points(scores, 0.03)
    assert [one.target_fpr for one in points] == sorted([*RATES, 0.03])
    assert [one.value for one in points] == sorted([one.value for one in points], reverse=True)
    assert len(operating_points(scores, 0.05)) == len(RATES)


def test_a_threshold_is_the_one_that_it_says() -> None:
    made = dict(threshold_of(np.arange(1.0, 30), 0.05))
    with pytest.raises(ValidationError, match="value: expected the fitted tail"):
        Threshold(**{**made, "value": made["order_statistic"]})
    with pytest.raises(ValidationError, match="value: expected the fitted tail, None"):
        Threshold(**{**made, "fitted": None})
