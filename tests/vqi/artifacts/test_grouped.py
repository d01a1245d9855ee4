"""Ranks among groups."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqi.artifacts.grouped import p_values, rank_of, score_of_rank, weights


def test_by_hand() -> None:
    scores, groups = np.array([5.0, 1.0, 2.0, 9.0]), np.array([7, 7, 7, 3])
    assert weights(groups).tolist() == [1 / 3, 1 / 3, 1 / 3, 1]
    assert score_of_rank(scores, groups, 1) == 5, "three thirds of the first group"
    assert score_of_rank(scores, groups, 2) == 9


@pytest.mark.parametrize("rank", range(1, 11))
def test_one_image_per_group_is_an_order_statistic(rank: int) -> None:
    scores = np.random.default_rng(0).permutation(10).astype(float)
    assert score_of_rank(scores, np.arange(10), rank) == np.sort(scores)[rank - 1]


def test_p_values_by_hand() -> None:
    scores, groups = np.array([5.0, 1.0, 2.0, 9.0]), np.array([7, 7, 7, 3])
    found = p_values(np.array([0.0, 2.0, 5.0, 6.0, 9.0, 9.5]), scores, groups)
    np.testing.assert_allclose(found, [1, (1 + 2 / 3 + 1) / 3, (1 + 1 / 3 + 1) / 3, 2 / 3, 2 / 3, 1 / 3])


def test_what_is_above_the_threshold_has_a_p_value_of_at_most_the_rate() -> None:
    scores, groups = np.random.default_rng(0).gamma(3, size=60), np.arange(60) // 2
    value = score_of_rank(scores, groups, 27)  # of 30 groups: (30 + 1 - 27) / 31
    at, above = p_values(np.array([value, np.nextafter(value, np.inf)]), scores, groups)
    assert at > 4 / 31 >= above


@given(st.integers(1, 30), st.integers(1, 4), st.integers(0, 9))
def test_a_rank_is_found_again_from_its_score(parts: int, photographs: int, seed: int) -> None:
    groups = np.arange(parts * photographs) // photographs
    scores = groups.astype(float)  # photographs of one part score alike
    order = np.random.default_rng(seed).permutation(len(groups))
    found = [rank_of(scores[order], groups[order], score_of_rank(scores, groups, r)) for r in range(1, parts + 1)]
    assert found == list(range(1, parts + 1))
    assert rank_of(scores, groups, -1.0) == 0
