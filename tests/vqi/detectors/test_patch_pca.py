"""PCA per position against a plain implementation; what it is for: a small defect, wherever it is."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from vqi.artifacts.features import FeatureMaps
from vqi.config import PcaFit
from vqi.detectors import subspace
from vqi.detectors.aggregate import image_scores
from vqi.detectors.patch_pca import PatchPca
from vqi.detectors.pca import Pca
from vqi.errors import VqiError
from vqi.metrics import image_auroc

C, SIDE = 12, 6
SETTINGS = PcaFit(kind="patch_pca", variance=0.95, scaling="raw")


def parts(n: int, seed: int = 0) -> np.ndarray:
    """Each position lies near one plane of 3 dimensions, the same everywhere, (n, C, SIDE, SIDE)."""
    basis = np.random.default_rng(99).normal(size=(3, C))
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(n, SIDE, SIDE, 3)) @ basis + 0.05 * random.normal(size=(n, SIDE, SIDE, C)) + 2
    return np.ascontiguousarray(vectors.transpose(0, 3, 1, 2)).astype(np.float32)


def plain(train: np.ndarray, new: np.ndarray, variance: float) -> np.ndarray:
    """The squared residual of each position, (n, SIDE, SIDE), by scikit-learn."""
    flat = train.transpose(0, 2, 3, 1).reshape(-1, C).astype(np.float64)
    model = PCA(variance, svd_solver="full").fit(flat)
    vectors = new.transpose(0, 2, 3, 1).reshape(-1, C)
    residual = vectors - model.inverse_transform(model.transform(vectors))
    return (residual**2).sum(axis=1).reshape(len(new), SIDE, SIDE)


def test_as_a_plain_implementation() -> None:
    train, new = parts(20), parts(5, 1)
    new[:, :, 2, 3] += 1
    folds = np.array_split(np.random.default_rng(0).permutation(20), 4)
    fitted = PatchPca.fit(FeatureMaps((train,)), SETTINGS, folds)
    expected = plain(train, new, 0.95)
    np.testing.assert_allclose(fitted.detector.anomaly_maps(FeatureMaps((new,))), expected, rtol=2e-3, atol=1e-5)
    about_mean = np.square(new - train.mean(axis=(0, 2, 3))[:, None, None]).sum()
    assert fitted.detector.unexplained(FeatureMaps((new,))) == pytest.approx(expected.sum() / about_mean, rel=1e-3)
    for fold in folds:
        maps = plain(np.delete(train, fold, axis=0), train[fold], 0.95)
        np.testing.assert_allclose(fitted.held_out[fold], maps, rtol=1e-3, atol=1e-5)


def test_a_defect_of_one_position_is_seen_where_the_whole_map_as_one_vector_drowns_it() -> None:
    train, new = parts(24), parts(60, 1)
    random = np.random.default_rng(2)
    labels = np.repeat([0, 1], 30)
    for image in new[30:]:
        image[:, random.integers(SIDE), random.integers(SIDE)] += random.normal(0, 0.6, C).astype(np.float32)
    maps = FeatureMaps((new,))
    found = []
    for kind, share in ((PatchPca, 0.1), (Pca, 1)):
        model = kind.fit(FeatureMaps((train,)), SETTINGS).detector
        found.append(image_auroc(labels, image_scores(model.anomaly_maps(maps), share)))
    assert found[0] > 0.95 > 0.8 > found[1]


def test_several_layers_stand_on_the_coarsest_grid() -> None:
    coarse = np.random.default_rng(3).normal(size=(20, 4, 3, 3)).astype(np.float32)
    both = FeatureMaps((parts(20), coarse))
    model = PatchPca.fit(both, SETTINGS).detector
    assert model.subspace.mean.shape == (C + 4,)
    assert model.anomaly_maps(both).shape == (20, 3, 3)
    again = PatchPca.from_arrays(model.arrays(), both.shapes, SETTINGS)
    np.testing.assert_array_equal(again.anomaly_maps(both), model.anomaly_maps(both))


def test_blocks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    maps = FeatureMaps((parts(20),))
    whole = PatchPca.fit(maps, SETTINGS).detector.anomaly_maps(maps)
    monkeypatch.setattr(subspace, "_BLOCK_BYTES", 5000)
    again = PatchPca.fit(maps, SETTINGS).detector.anomaly_maps(maps)
    np.testing.assert_allclose(again, whole, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (parts(1), "at least 2 good training images, got 1"),
        (np.ones((5, C, 2, 2), np.float32), "all 5 good training images give the same features"),
        (np.repeat(parts(1), 5, axis=0), "all 5 good training images give the same features"),
        (np.full((5, C, 2, 2), np.nan, np.float32), "NaN"),
    ],
)
def test_refused(train: np.ndarray, message: str) -> None:
    with pytest.raises(VqiError, match=message):
        PatchPca.fit(FeatureMaps((train,)), SETTINGS)
