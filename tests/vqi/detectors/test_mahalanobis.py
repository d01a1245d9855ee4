"""A Gaussian for each position against a plain implementation; what it is for: variation that is usual in its place."""

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.decomposition import PCA

from vqi.artifacts.features import FeatureMaps
from vqi.config import PcaFit
from vqi.detectors import coordinates, mahalanobis
from vqi.detectors.aggregate import image_scores
from vqi.detectors.mahalanobis import Mahalanobis
from vqi.detectors.patch_pca import PatchPca
from vqi.errors import VqiError
from vqi.metrics import image_auroc

C, H, W = 12, 3, 2
SETTINGS = PcaFit(kind="mahalanobis", scaling="raw", coordinates=8, shrinkage=0.2)


def parts(n: int, seed: int = 0) -> np.ndarray:
    """Each position has a mean and a covariance of its own, (n, C, H, W)."""
    fixed, random = np.random.default_rng(99), np.random.default_rng(seed)
    mixing, means = fixed.normal(size=(H, W, C, C)), fixed.normal(0, 3, size=(H, W, C))
    vectors = np.einsum("hwcd,nhwd->nhwc", mixing, random.normal(size=(n, H, W, C))) + means
    return np.ascontiguousarray(vectors.transpose(0, 3, 1, 2)).astype(np.float32)


def plain(train: np.ndarray, new: np.ndarray, directions: PCA) -> np.ndarray:
    """The squared distance of each position, (n, H, W), position by position."""
    z, x = (directions.transform(one.transpose(0, 2, 3, 1).reshape(-1, C)).reshape(len(one), H, W, -1)
            for one in (train, new))  # fmt: skip
    within = np.mean([np.trace(np.cov(z[:, i, j].T)) for i in range(H) for j in range(W)]) / z.shape[-1]
    found = np.empty((len(new), H, W))
    for i in range(H):
        for j in range(W):
            covariance = 0.8 * np.cov(z[:, i, j].T) + 0.2 * within * np.eye(z.shape[-1])
            centred = x[:, i, j] - z[:, i, j].mean(axis=0)
            found[:, i, j] = np.einsum("nq,qr,nr->n", centred, np.linalg.inv(covariance), centred)
    return found


def pca_of(maps: np.ndarray) -> PCA:
    return PCA(8, svd_solver="full").fit(maps.transpose(0, 2, 3, 1).reshape(-1, C).astype(np.float64))


@pytest.mark.parametrize("enough", [True, False])
def test_as_a_plain_implementation(enough: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coordinates, "POSITIONS_A_CHANNEL", 1 if enough else 1000)
    train, new = parts(30), parts(5, 1)
    folds = np.array_split(np.random.default_rng(0).permutation(30), 4)
    fitted = Mahalanobis.fit(FeatureMaps((train,)), SETTINGS, folds)
    expected = plain(train, new, pca_of(train))
    np.testing.assert_allclose(fitted.detector.anomaly_maps(FeatureMaps((new,))), expected, rtol=2e-3)
    assert fitted.detector.facts() == {"coordinates": 8}
    for fold in folds:
        rest = np.delete(train, fold, axis=0)
        directions = pca_of(train if enough else rest)
        np.testing.assert_allclose(fitted.held_out[fold], plain(rest, train[fold], directions), rtol=2e-3)


def test_what_the_coordinates_leave_out() -> None:
    train, new = parts(30), parts(5, 1)
    model, reference = Mahalanobis.fit(FeatureMaps((train,)), SETTINGS).detector, pca_of(train)
    flat = new.transpose(0, 2, 3, 1).reshape(-1, C)
    residual = np.square(flat - reference.inverse_transform(reference.transform(flat))).sum()
    expected = residual / np.square(flat - reference.mean_).sum()
    assert model.unexplained(FeatureMaps((new,))) == pytest.approx(expected, rel=1e-3)


def test_what_is_usual_elsewhere_is_seen_where_it_is_not() -> None:
    """The vectors of two positions change places: each of them is normal somewhere."""
    train, new = parts(60), parts(60, 1)
    new[30:, :, 0, 0], new[30:, :, 2, 1] = new[30:, :, 2, 1].copy(), new[30:, :, 0, 0].copy()
    found = []
    for kind in (Mahalanobis, PatchPca):
        model = kind.fit(FeatureMaps((train,)), SETTINGS.model_copy(update={"variance": 0.7})).detector
        scores = image_scores(model.anomaly_maps(FeatureMaps((new,))), 0.05)
        found.append(image_auroc(np.repeat([0, 1], 30), scores))
    assert found[0] > 0.95 > 0.7 > found[1]


def test_a_position_that_never_varies() -> None:
    """A corner of the background: what appears there is anomalous, and nothing is divided by zero."""
    train, new = parts(20), parts(2, 1)
    train[:, :, 0, 0] = new[:, :, 0, 0] = 1
    new[1, :, 0, 0] = 9
    maps = Mahalanobis.fit(FeatureMaps((train,)), SETTINGS).detector.anomaly_maps(FeatureMaps((new,)))
    assert maps[0, 0, 0] == pytest.approx(0, abs=1e-3)
    assert maps[1, 0, 0] > 10


def test_a_fine_grid_has_fewer_coordinates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mahalanobis, "_MODEL_BYTES", 4 * H * W * 5 * 5 + 50)
    model = Mahalanobis.fit(FeatureMaps((parts(20),)), SETTINGS).detector
    assert model.facts() == {"coordinates": 5}


@pytest.mark.parametrize("n", range(3, 11))
def test_few_images(n: int) -> None:
    train = FeatureMaps((parts(n),))
    fitted = Mahalanobis.fit(train, PcaFit(kind="mahalanobis"), [np.array([row]) for row in range(n)])
    assert np.isfinite(fitted.held_out).all()
    assert fitted.held_out.mean() > fitted.detector.anomaly_maps(train).mean()


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
        Mahalanobis.fit(FeatureMaps((train,)), SETTINGS)


def test_a_fold_without_which_all_are_the_same_is_refused() -> None:
    train = np.repeat(parts(2), [6, 1], axis=0)
    with pytest.raises(VqiError, match="all 6 good training images give the same features"):
        Mahalanobis.fit(FeatureMaps((train,)), SETTINGS, [np.array([6])])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("position_means"), r"expected the array position_means \(6, 8\), got none"),
        (lambda a: a.update(position_whitening=a["position_whitening"][:, :3]), r"\(6, 8, 8\), got \(6, 3, 8\)"),
        (lambda a: a.update(position_whitening=-a["position_whitening"]), "a diagonal above 0"),
        (lambda a: a.update(bank=np.ones(3)), "expected the arrays"),
    ],
)
def test_arrays_that_do_not_fit(change: Callable[[dict[str, np.ndarray]], object], message: str) -> None:
    maps = FeatureMaps((parts(20),))
    arrays = Mahalanobis.fit(maps, SETTINGS).detector.arrays()
    change(arrays)
    with pytest.raises(VqiError, match=message):
        Mahalanobis.from_arrays(arrays, maps.shapes, SETTINGS)
