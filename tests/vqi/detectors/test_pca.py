"""PCA against scikit-learn, as the reference, in all three shapes of the problem."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from vqi.detectors import pca
from vqi.errors import VqiError

SHAPES = [(30, 200), (200, 30), (40, 40)]


def features(n: int, d: int, seed: int = 0, rank: int = 12) -> np.ndarray:
    random = np.random.default_rng(seed)
    strong = random.normal(size=(n, rank)) @ random.normal(size=(rank, d)) * 3
    return (strong + random.normal(size=(n, d)) * 0.3 + random.normal(size=d) * 5).astype(np.float32)


def reference_scores(model: PCA, x: np.ndarray) -> np.ndarray:
    return np.linalg.norm(x - model.inverse_transform(model.transform(x)), axis=1)


@pytest.mark.parametrize(("n", "d"), SHAPES)
@pytest.mark.parametrize("variance", [0.5, 0.9, 0.99])
def test_as_sklearn(n: int, d: int, variance: float) -> None:
    x, new = features(n, d), features(20, d, seed=1)
    before = x.copy()
    model = pca.fit(x, variance)
    reference = PCA(variance, svd_solver="full").fit(x.astype(np.float64))
    assert len(model.components) == reference.n_components_
    np.testing.assert_allclose(model.explained_variance, reference.explained_variance_, rtol=1e-4)
    np.testing.assert_allclose(model.mean, reference.mean_, rtol=1e-5)
    np.testing.assert_allclose(pca.score(new, model), reference_scores(reference, new), rtol=1e-4)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_components_are_orthonormal(n: int, d: int) -> None:
    components = pca.fit(features(n, d), 0.95).components
    np.testing.assert_allclose(components @ components.T, np.eye(len(components)), atol=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.integers(3, 25), st.integers(2, 40), st.integers(0, 1000), st.floats(0.3, 0.995))
def test_fewest_components_that_reach_the_variance(n: int, d: int, seed: int, variance: float) -> None:
    x = features(n, d, seed, rank=3)
    model = pca.fit(x, variance)
    total = x.astype(np.float64).var(axis=0, ddof=1).sum()
    kept = np.cumsum(model.explained_variance.astype(np.float64)) / total
    assert kept[-1] >= variance - 1e-4
    assert len(kept) == 1 or kept[-2] < variance + 1e-4


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(-50, 50))
def test_a_shift_of_everything_changes_no_score(seed: int, shift: float) -> None:
    x, new = features(20, 50, seed), features(5, 50, seed + 1)
    moved = np.float32(shift)
    expected = pca.score(new, pca.fit(x, 0.9))
    np.testing.assert_allclose(pca.score(new + moved, pca.fit(x + moved, 0.9)), expected, rtol=2e-3)


def test_what_lies_in_the_subspace_scores_zero() -> None:
    model = pca.fit(features(30, 200), 0.9)
    inside = model.mean + np.float32([[3, -2]]) @ model.components[:2]
    outside = inside + 1
    assert pca.score(inside, model)[0] < 0.02 * pca.score(outside, model)[0]


def test_maps_hold_the_squared_score() -> None:
    x = features(30, 2 * 4 * 3)
    model = pca.fit(x, 0.8)
    maps = pca.anomaly_maps(x, model, (2, 4, 3))
    assert maps.shape == (30, 4, 3)
    np.testing.assert_allclose(np.sqrt(maps.sum(axis=(1, 2))), pca.score(x, model), rtol=1e-3)
    one = x[:1].copy()
    one.reshape(2, 4, 3)[:, 1, 2] += 100  # what changes in one place shows there
    assert np.unravel_index(pca.anomaly_maps(one, model, (2, 4, 3))[0].argmax(), (4, 3)) == (1, 2)


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_held_out_scores_are_those_of_models_that_did_not_see_them(n: int, d: int) -> None:
    x = features(n, d)
    got = pca.held_out_scores(x, 0.9, folds=5, seed=7)
    for part in np.array_split(np.random.default_rng(7).permutation(n), 5):
        model = PCA(0.9, svd_solver="full").fit(np.delete(x, part, axis=0).astype(np.float64))
        np.testing.assert_allclose(got[part], reference_scores(model, x[part]), rtol=1e-3)


def test_blocks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    x = features(30, 200)
    whole = pca.score(x, pca.fit(x, 0.9))
    monkeypatch.setattr(pca, "_BLOCK_BYTES", 1000)
    np.testing.assert_allclose(pca.score(x, pca.fit(x, 0.9)), whole, rtol=1e-4)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (features(1, 10), "at least 2 good training images, got 1"),
        (np.ones((5, 10), np.float32), "all 5 good training images give the same features"),
        (np.ones((50, 10), np.float32), "the same features"),
        (np.full((5, 10), np.nan, np.float32), "NaN"),
    ],
)
def test_refused(x: np.ndarray, message: str) -> None:
    with pytest.raises(VqiError, match=message):
        pca.fit(x, 0.9)
    with pytest.raises(VqiError):
        pca.held_out_scores(x[:2], 0.9, 2, 0)
