"""PCA of the whole map against scikit-learn, as the reference, in all three shapes of the problem."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from tests.vqi.made import maps_of
from vqi.artifacts.features import FeatureMaps
from vqi.config import PcaFit
from vqi.detectors import subspace
from vqi.detectors.aggregate import image_scores
from vqi.detectors.interface import Rows
from vqi.detectors.pca import Pca
from vqi.errors import VqiError

SHAPES = [(30, 200), (200, 30), (40, 40)]


def features(n: int, d: int, seed: int = 0, rank: int = 12) -> np.ndarray:
    random = np.random.default_rng(seed)
    strong = random.normal(size=(n, rank)) @ random.normal(size=(rank, d)) * 3
    return (strong + random.normal(size=(n, d)) * 0.3 + random.normal(size=d) * 5).astype(np.float32)


def raw(variance: float = 0.99) -> PcaFit:
    """The reference's method: channels as they are."""
    return PcaFit(variance=variance, scaling="raw")


def fit(x: np.ndarray, variance: float) -> Pca:
    return Pca.fit(maps_of(x), raw(variance)).detector


def score(x: np.ndarray, model: Pca) -> np.ndarray:
    return image_scores(model.anomaly_maps(maps_of(x)), 1)


def folds(n: int, count: int = 5, seed: int = 7) -> list[Rows]:
    return np.array_split(np.random.default_rng(seed).permutation(n), count)


def reference_scores(model: PCA, x: np.ndarray) -> np.ndarray:
    return np.linalg.norm(x - model.inverse_transform(model.transform(x)), axis=1)


@pytest.mark.parametrize(("n", "d"), SHAPES)
@pytest.mark.parametrize("variance", [0.5, 0.9, 0.99])
def test_as_sklearn(n: int, d: int, variance: float) -> None:
    x, new = features(n, d), features(20, d, seed=1)
    before = x.copy()
    model = fit(x, variance)
    reference = PCA(variance, svd_solver="full").fit(x.astype(np.float64))
    assert model.facts() == {"components kept": reference.n_components_}
    np.testing.assert_allclose(model.subspace.explained_variance, reference.explained_variance_, rtol=1e-4)
    np.testing.assert_allclose(model.subspace.mean, reference.mean_, rtol=1e-5)
    np.testing.assert_allclose(score(new, model), reference_scores(reference, new), rtol=1e-4)
    residual = reference_scores(reference, new) ** 2
    about_mean = ((new - reference.mean_) ** 2).sum()
    assert model.unexplained(maps_of(new)) == pytest.approx(residual.sum() / about_mean, rel=1e-3)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_components_are_orthonormal(n: int, d: int) -> None:
    components = fit(features(n, d), 0.95).subspace.components
    np.testing.assert_allclose(components @ components.T, np.eye(len(components)), atol=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.integers(3, 25), st.integers(2, 40), st.integers(0, 1000), st.floats(0.3, 0.995))
def test_fewest_components_that_reach_the_variance(n: int, d: int, seed: int, variance: float) -> None:
    x = features(n, d, seed, rank=3)
    model = fit(x, variance).subspace
    total = x.astype(np.float64).var(axis=0, ddof=1).sum()
    kept = np.cumsum(model.explained_variance.astype(np.float64)) / total
    assert kept[-1] >= variance - 1e-4
    assert len(kept) == 1 or kept[-2] < variance + 1e-4


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(-50, 50))
def test_a_shift_of_everything_changes_no_score(seed: int, shift: float) -> None:
    x, new = features(20, 50, seed), features(5, 50, seed + 1)
    moved = np.float32(shift)
    expected = score(new, fit(x, 0.9))
    np.testing.assert_allclose(score(new + moved, fit(x + moved, 0.9)), expected, rtol=2e-3)


def test_what_lies_in_the_subspace_scores_zero() -> None:
    model = fit(features(30, 200), 0.9)
    inside = model.subspace.mean + np.float32([[3, -2]]) @ model.subspace.components[:2]
    assert score(inside, model)[0] < 0.02 * score(inside + 1, model)[0]


def test_maps_add_up_to_the_squared_error_of_the_whole_map() -> None:
    x = FeatureMaps((features(30, 2 * 4 * 3).reshape(30, 2, 4, 3),))
    model = Pca.fit(x, raw(0.8)).detector
    maps = model.anomaly_maps(x)
    assert maps.shape == (30, 4, 3)
    flat = x.layers[0].reshape(30, -1)
    reference = PCA(0.8, svd_solver="full").fit(flat.astype(np.float64))
    np.testing.assert_allclose(np.sqrt(maps.sum(axis=(1, 2))), reference_scores(reference, flat), rtol=1e-3)
    one = x.layers[0][:1].copy()
    one[0, :, 1, 2] += 100  # what changes in one place is visible there
    assert np.unravel_index(model.anomaly_maps(FeatureMaps((one,)))[0].argmax(), (4, 3)) == (1, 2)


def test_several_layers_are_one_vector_and_one_map() -> None:
    fine, coarse = features(30, 2 * 4 * 4).reshape(30, 2, 4, 4), features(30, 3 * 2 * 2, 1).reshape(30, 3, 2, 2)
    both = FeatureMaps((fine, coarse))
    model = Pca.fit(both, raw(0.8)).detector
    means = fine.reshape(30, 2, 2, 2, 2, 2).mean(axis=(3, 5))  # over 2 x 2 cells
    flat = np.concatenate([means, coarse], axis=1).reshape(30, -1)
    maps = model.anomaly_maps(both)
    assert maps.shape == (30, 2, 2), "on the coarsest grid"
    np.testing.assert_allclose(image_scores(maps, 1), score(flat, fit(flat, 0.8)) / 2, rtol=1e-4)
    changed = FeatureMaps((fine[:1].copy(), coarse[:1]))
    changed.layers[0][0, :, 3, 1] += 100
    assert np.unravel_index(model.anomaly_maps(changed)[0].argmax(), (2, 2)) == (1, 0)


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_held_out_scores_are_those_of_models_that_did_not_see_them(n: int, d: int) -> None:
    x = features(n, d)
    got = Pca.fit(maps_of(x), raw(0.9), folds(n)).held_out
    got = image_scores(got, 1)
    for part in folds(n):
        model = PCA(0.9, svd_solver="full").fit(np.delete(x, part, axis=0).astype(np.float64))
        np.testing.assert_allclose(got[part], reference_scores(model, x[part]), rtol=1e-3)


def test_an_image_of_no_fold_has_no_held_out_score() -> None:
    got = Pca.fit(maps_of(features(10, 30)), PcaFit(), [np.array([1, 4])]).held_out
    assert np.isfinite(got[:, 0, 0]).nonzero()[0].tolist() == [1, 4]


def test_the_inner_products_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    whole = subspace.Gram.__init__

    def counted(self: subspace.Gram, *arguments: np.ndarray) -> None:
        made.append(1)
        whole(self, *arguments)

    monkeypatch.setattr(subspace.Gram, "__init__", counted)
    Pca.fit(maps_of(features(30, 200)), PcaFit(), folds(30))
    assert len(made) == 1


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_blocks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch, n: int, d: int) -> None:
    x = features(n, d)
    whole = score(x, fit(x, 0.9))
    monkeypatch.setattr(subspace, "_BLOCK_BYTES", 1000)
    np.testing.assert_allclose(score(x, fit(x, 0.9)), whole, rtol=1e-4)


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
        fit(x, 0.9)


def test_channels_are_reduced_to_their_main_directions() -> None:
    x = FeatureMaps((features(40, 12 * 3 * 2).reshape(40, 12, 3, 2),))
    settings = PcaFit(variance=0.9, channels=5)
    model = Pca.fit(x, settings).detector
    assert model.subspace.mean.shape == (5 * 6,)
    scaled = model.scaling.apply(x).transpose(0, 2, 3, 1).reshape(-1, 12)
    expected = PCA(5, svd_solver="full").fit(scaled.astype(np.float64)).components_
    np.testing.assert_allclose(np.abs((model.directions @ expected.T).diagonal()), 1, rtol=1e-4)
    again = Pca.from_arrays(model.arrays(), x.shapes, settings)
    np.testing.assert_array_equal(again.anomaly_maps(x), model.anomaly_maps(x))
    for arrays, message in (
        ({**model.arrays(), "channel_directions": model.directions[:4]}, r"expected 5 directions .*, got \(4, 12\)"),
        ({name: one for name, one in model.arrays().items() if name != "channel_directions"}, r"components \(K, 72\)"),
        ({**model.arrays(), "channel_directions": 2 * model.directions}, "directions of channels of length 1"),
    ):
        with pytest.raises(VqiError, match=message):
            Pca.from_arrays(arrays, x.shapes, settings)
    assert Pca.fit(x, PcaFit(variance=0.9, channels=0)).detector.directions is None
    few = Pca.fit(x.rows(slice(19)), settings).detector
    assert few.directions is None, "114 positions do not tell the directions of 12 channels"
