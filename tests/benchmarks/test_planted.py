"""Planted defects: seen, local, and the same again."""

import numpy as np
import pytest

from tests.benchmarks.detectors import MOST_HELD_OUT, held_out_of
from tests.benchmarks.planted import PLANTS, planted


def photographs(n: int) -> np.ndarray:
    """Stripes under noise, (n, 96, 96, 3)."""
    stripes = 120 + 40 * np.sin(np.arange(96) / 3)
    noise = np.random.default_rng(0).normal(0, 6, size=(n, 96, 96, 3))
    return np.clip(stripes[None, None, :, None] + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("kind", PLANTS)
def test_a_defect_changes_a_part_of_the_photograph(kind: str) -> None:
    images = photographs(30)
    before = images.copy()
    found = planted(images, 0)[kind]
    np.testing.assert_array_equal(images, before)
    changed = (found != images).any(axis=3).mean(axis=(1, 2))
    assert (changed > 0).all()
    assert changed.max() < 0.15
    assert changed.max() > 5 * changed.min(), "of several sizes"


def test_a_defect_depends_on_its_place_and_the_seed_alone() -> None:
    images = photographs(6)
    whole, first, other = planted(images, 0), planted(images[:2], 0), planted(images, 1)
    for kind in PLANTS:
        np.testing.assert_array_equal(whole[kind][:2], first[kind])
        assert not np.array_equal(whole[kind], other[kind])


def test_whole_groups_are_held_out() -> None:
    groups = np.repeat(np.arange(40), 8)
    rows = held_out_of(groups)
    assert 0 < len(rows) <= MOST_HELD_OUT + 8
    assert not set(groups[rows]) & set(np.delete(groups, rows))
