"""Farthest-first selection against the plain loop."""

import numpy as np
import pytest

from vqi.detectors import farthest, subspace
from vqi.detectors.farthest import chosen_without, farthest_first, half_norms, nearest_distances


def vectors(n: int, seed: int = 0, d: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def squared(x: np.ndarray, bank: np.ndarray) -> np.ndarray:
    return np.square(x[:, None].astype(np.float64) - bank[None]).sum(axis=2)


def plain(x: np.ndarray, count: int, rows: list[int]) -> list[int]:
    """One after the other, always the one that is farthest from those before it."""
    rows = list(rows)
    while len(rows) < count:
        rows.append(int(squared(x, x[rows]).min(axis=1).argmax()))
    return rows


@pytest.mark.parametrize("candidates", [1, 7, 512])
def test_as_the_plain_loop(candidates: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(farthest, "_CANDIDATES", candidates)
    x = vectors(300)
    first = int(np.square(x - x.mean(axis=0)).sum(axis=1).argmin())
    found = farthest_first(x, 60)
    assert found.rows.tolist() == plain(x, 60, [first])
    distances = squared(x, x[found.rows])
    np.testing.assert_array_equal(found.nearest, distances.argmin(axis=1))
    np.testing.assert_allclose(found.distances, distances.min(axis=1), atol=1e-4)


def test_most_distances_are_not_computed_one_vector_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    updates = []
    whole = farthest._update
    monkeypatch.setattr(farthest, "_update", lambda *given: updates.append(len(given[2])) or whole(*given))
    farthest_first(vectors(3000, d=30), 300)
    assert sum(updates) == 300
    assert len(updates) < 60


def test_what_was_chosen_before_counts() -> None:
    x = vectors(100)
    bank = x[:3]
    found = farthest_first(x, 4, nearest_distances(x, bank))
    assert found.rows.tolist() == plain(x, 7, [0, 1, 2])[3:]


def test_copies_are_chosen_once() -> None:
    x = np.repeat(vectors(4), 5, axis=0)
    assert sorted((farthest_first(x, 10).rows // 5).tolist()) == [0, 1, 2, 3]
    assert farthest_first(x[:0], 10).rows.tolist() == []


def test_without_some_the_gap_is_filled_by_their_neighbours() -> None:
    clusters = 20 * vectors(6, d=8)
    x = np.repeat(clusters, 10, axis=0) + vectors(60, 1, d=8)
    chosen = farthest_first(x, 6)
    assert sorted((chosen.rows // 10).tolist()) == [0, 1, 2, 3, 4, 5]
    gone = np.zeros(60, bool)
    gone[chosen.rows[2]] = gone[(chosen.rows[2] // 10) * 10] = True
    rows = chosen_without(chosen, x, gone)
    assert not gone[rows].any()
    assert sorted((rows // 10).tolist()) == [0, 1, 2, 3, 4, 5], "no cluster is left without one"
    assert set(np.delete(chosen.rows, 2)) <= set(rows), "the others stay"
    assert nearest_distances(x[~gone], x[rows]).max() < 4 * nearest_distances(x, x[chosen.rows]).max() + 1e-3


def test_without_all_that_were_chosen_it_is_chosen_anew() -> None:
    x = vectors(20)
    chosen = farthest_first(x, 1)
    gone = np.arange(20) == chosen.rows[0]
    (row,) = chosen_without(chosen, x, gone)
    assert not gone[row]


def test_nearest_distances_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    x, bank = vectors(50) + 100, vectors(9, 1) + 100
    whole = nearest_distances(x, bank)
    np.testing.assert_allclose(whole, squared(x, bank).min(axis=1), rtol=1e-4)
    assert nearest_distances(bank, bank).tolist() == [0] * 9
    assert nearest_distances(x, bank, half_norms(bank)).tolist() == whole.tolist()
    monkeypatch.setattr(subspace, "_BLOCK_BYTES", 100)
    np.testing.assert_allclose(nearest_distances(x, bank), whole, rtol=1e-4)
