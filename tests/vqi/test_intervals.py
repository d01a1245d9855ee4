"""The interval of the AUROC: it holds its coverage with few images and near 1, and is no wider than it must be."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import beta, norm

from tests.fuzz import fuzz_cases
from vqi.intervals import auroc_interval, least_number, proportion_interval
from vqi.metrics import bootstrap_interval, image_auroc

REPEATS = 40  # of the bootstrap: for its variance that is plenty
COUNTS = [(1, 1), (3, 3), (10, 10), (30, 30), (100, 100), (20, 200)]
Draw = Callable[[np.random.Generator, int], np.ndarray]


def normal(auroc: float) -> tuple[Draw, Draw]:
    """Good and defective scores that are normal, with equal spread."""
    shift = norm.ppf(auroc) * np.sqrt(2)
    return lambda r, n: r.normal(size=n), lambda r, n: r.normal(size=n) + shift


def wide(auroc: float) -> tuple[Draw, Draw]:
    """Defects that differ more than good parts do."""
    shift = norm.ppf(auroc) * np.sqrt(10)
    return lambda r, n: r.normal(size=n), lambda r, n: 3 * r.normal(size=n) + shift


def invisible(auroc: float) -> tuple[Draw, Draw]:
    """Some defects look like good parts, the others are far away."""
    share = 2 * (1 - auroc)
    return lambda r, n: r.normal(size=n), lambda r, n: r.normal(size=n) + np.where(r.random(n) < share, 0, 20)


def odd_good(auroc: float) -> tuple[Draw, Draw]:
    """Some good parts look like defects."""
    share = 2 * (1 - auroc)
    return lambda r, n: r.normal(size=n) + np.where(r.random(n) < share, 20, 0), lambda r, n: r.normal(size=n) + 20


def beyond(auroc: float) -> tuple[Draw, Draw]:
    """Some defects score below all good parts: a sample without one of them does not show it."""
    return lambda r, n: r.normal(size=n), lambda r, n: r.normal(size=n) + np.where(r.random(n) < 1 - auroc, -20, 20)


def good_beyond(auroc: float) -> tuple[Draw, Draw]:
    """Some good parts score above all defects."""
    return lambda r, n: r.normal(size=n) + np.where(r.random(n) < 1 - auroc, 40, 0), lambda r, n: r.normal(size=n) + 20


def apart() -> tuple[Draw, Draw]:
    """Told apart without a mistake."""
    return lambda r, n: r.random(n), lambda r, n: 2 + r.random(n)


@pytest.mark.parametrize("law", [normal, beyond, invisible, wide, odd_good, good_beyond][: fuzz_cases(2, 6)])
@pytest.mark.parametrize(("good", "bad"), COUNTS)
def test_coverage(good: int, bad: int, law: Callable[[float], tuple[Draw, Draw]]) -> None:
    """Of 95 %, less what chance explains of so many tries."""
    tries = fuzz_cases(30, 1000)
    labels = np.repeat([0, 1], [good, bad])
    random = np.random.default_rng([good, bad])
    for auroc in (0.6, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0):
        draw_good, draw_bad = law(auroc) if auroc < 1 else apart()
        held = 0
        for seed in range(tries):
            scores = np.concatenate([draw_good(random, good), draw_bad(random, bad)])
            low, high = bootstrap_interval(labels, scores, seed, REPEATS) or (1, 0)
            held += low <= auroc <= high
        assert held >= norm.ppf(1e-4, tries * 0.945, np.sqrt(tries * 0.95 * 0.05)), (auroc, held / tries)


def test_two_images_prove_little() -> None:
    low, high = bootstrap_interval(np.array([0, 1]), np.array([1.0, 2.0]), 0, 1000) or (1, 0)
    assert (low, high) == (pytest.approx(0.025), 1)  # as of a proportion that was seen once of once


@pytest.mark.parametrize("images", [3, 30, 100, 500])
def test_what_a_sample_cannot_show_is_allowed_for(images: int) -> None:
    """Told apart without a mistake: a share that hides in one sample of 20 is not excluded; the rule of three."""
    low, high = auroc_interval(1.0, 0.0, images, 5 * images)
    assert low**images <= 0.05 + 1e-9
    assert high == 1
    assert images < 30 or low == pytest.approx(1 - 3 / images, abs=0.005)


def test_it_is_that_of_a_proportion_where_one_image_of_a_class_decides() -> None:
    """Against a single good image the AUROC is the share of defective ones above it, at worst as variable as one."""
    low, _ = auroc_interval(1.0, 0.0, 1, 1)
    assert low == pytest.approx(beta.ppf(0.025, 1, 1))


@pytest.mark.parametrize(("good", "bad"), COUNTS)
def test_its_shape(good: int, bad: int) -> None:
    for auroc in np.linspace(0, 1, 21):
        low, high = auroc_interval(float(auroc), 0.0, good, bad)
        assert 0 <= low <= auroc <= high <= 1
        mirrored = auroc_interval(1 - float(auroc), 0.0, good, bad)
        assert mirrored == (pytest.approx(1 - high), pytest.approx(1 - low))
        more = auroc_interval(float(auroc), 0.0, 10 * good, 10 * bad)
        assert more[1] - more[0] < high - low
        spread = auroc_interval(float(auroc), 0.2 / min(good, bad), good, bad)
        assert spread[1] - spread[0] >= high - low


def test_many_images_give_the_interval_of_the_normal_law() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], 2000)
    scores = np.concatenate([random.normal(size=2000), 3 * random.normal(size=2000) + 3])
    auroc = image_auroc(labels, scores)
    low, high = bootstrap_interval(labels, scores, 0, 400) or (1, 0)
    goods, bads = np.sort(scores[:2000]), np.sort(scores[2000:])
    wins, losses = np.searchsorted(goods, bads) / 2000, 1 - np.searchsorted(bads, goods) / 2000
    error = np.sqrt(wins.var() / 2000 + losses.var() / 2000)  # DeLong's
    assert auroc is not None
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert low < auroc < high


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [
        (0, 10, 0.0, 0.30850),  # 1 - 0.025 ** (1 / 10)
        (10, 10, 0.69150, 1.0),
        (1, 3, 0.00840, 0.90570),
        (5, 100, 0.01643, 0.11283),  # as R's binom.test has it
    ],
)
def test_a_proportion(hits: int, of: int, low: float, high: float) -> None:
    assert proportion_interval(hits, of) == (pytest.approx(low, abs=1e-5), pytest.approx(high, abs=1e-5))


@pytest.mark.parametrize(("hits", "share"), [(1, 0.02), (3, 0.05), (251, 0.02), (7, 0.999)])
def test_the_least_number_is_where_the_interval_begins_to_reach_the_share(hits: int, share: float) -> None:
    found = least_number(hits, share)
    assert proportion_interval(hits, found)[0] <= share
    assert found == hits or proportion_interval(hits, found - 1)[0] > share


def test_nothing_that_was_seen_needs_no_trial() -> None:
    assert least_number(0, 0.05) == 0
