"""Nearest neighbours against a plain implementation; what they are for: parts of several kinds, any way round."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from vqi.artifacts.features import FeatureMaps
from vqi.config import PcaFit
from vqi.detectors import coordinates, neighbours
from vqi.detectors.aggregate import image_scores
from vqi.detectors.interface import Rows
from vqi.detectors.neighbours import Neighbours
from vqi.detectors.patch_pca import PatchPca
from vqi.errors import VqiError
from vqi.metrics import image_auroc

C, SIDE = 10, 4
WHITENED = PcaFit(kind="neighbours", scaling="raw", coordinates=6, shrinkage=0.2, normalise="whitened")
LENGTH = WHITENED.model_copy(update={"normalise": "length", "scaling": "squashed"})


def parts(n: int, seed: int = 0, kinds: int = 5) -> np.ndarray:
    """Each position is of one of some kinds, which lie anywhere, (n, C, SIDE, SIDE)."""
    centres, random = 4 * np.random.default_rng(99).normal(size=(kinds, C)), np.random.default_rng(seed)
    vectors = centres[random.integers(kinds, size=(n, SIDE, SIDE))] + random.normal(size=(n, SIDE, SIDE, C))
    return np.ascontiguousarray(vectors.transpose(0, 3, 1, 2)).astype(np.float32)


def plain(train: np.ndarray, new: np.ndarray, settings: PcaFit, fitted_to: np.ndarray | None = None) -> np.ndarray:
    """The squared distance of each position from the nearest of all train positions, (n, SIDE, SIDE)."""
    flat, x, base = (one.transpose(0, 2, 3, 1).reshape(-1, C).astype(np.float64)
                     for one in (train, new, train if fitted_to is None else fitted_to))  # fmt: skip
    if settings.normalise == "length":
        flat, x, base = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in (flat, x, base))
    model = PCA(6, svd_solver="full").fit(base)
    variance = model.explained_variance_
    factors = 1 / np.sqrt(0.8 * variance + 0.2 * variance.mean()) if settings.normalise == "whitened" else 1
    bank = NearestNeighbors(n_neighbors=1).fit(model.transform(flat) * factors)
    return (bank.kneighbors(model.transform(x) * factors)[0] ** 2).reshape(len(new), SIDE, SIDE)


def folds(n: int) -> list[Rows]:
    return np.array_split(np.random.default_rng(0).permutation(n), 4)


@pytest.mark.parametrize("settings", [WHITENED, LENGTH])
@pytest.mark.parametrize("enough", [True, False])
def test_with_all_vectors_in_the_bank_as_a_plain_implementation(
    settings: PcaFit, enough: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coordinates, "POSITIONS_A_CHANNEL", 1 if enough else 1000)
    train, new = parts(20), parts(5, 1)
    fitted = Neighbours.fit(FeatureMaps((train,)), settings, folds(20))
    assert fitted.detector.facts() == {"coordinates": 6, "vectors in the bank": 320}
    found = fitted.detector.anomaly_maps(FeatureMaps((new,)))
    np.testing.assert_allclose(found, plain(train, new, settings), rtol=2e-3)
    for fold in folds(20):
        rest = np.delete(train, fold, axis=0)
        expected = plain(rest, train[fold], settings, train if enough else rest)
        np.testing.assert_allclose(fitted.held_out[fold], expected, rtol=2e-3)


@pytest.mark.parametrize("settings", [WHITENED, LENGTH])
def test_the_bank_of_a_fold_has_none_of_its_vectors(settings: PcaFit) -> None:
    """Every image is there twice: with its twin in the bank it has no distance, without any of both it has."""
    train = np.repeat(parts(15), 2, axis=0)
    settings = settings.model_copy(update={"bank": 60})
    together = [np.arange(begin, begin + 6) for begin in range(0, 30, 6)]
    apart = [np.arange(begin, 30, 5) for begin in range(5)]
    found = [Neighbours.fit(FeatureMaps((train,)), settings, one) for one in (together, apart)]
    assert found[0].detector.facts()["vectors in the bank"] == 60
    assert (found[1].held_out == 0).any()
    assert (found[0].held_out > 0).all()


def test_held_out_scores_are_like_those_of_a_bank_that_is_chosen_without_the_fold() -> None:
    train, settings = FeatureMaps((parts(60),)), WHITENED.model_copy(update={"bank": 300})
    tenths = [np.arange(begin, 60, 10) for begin in range(10)]
    got = Neighbours.fit(train, settings, tenths).held_out
    ratios = []
    for fold in tenths:
        model = Neighbours.fit(train.rows(np.setdiff1d(np.arange(60), fold)), settings).detector
        ratios.append(got[fold].mean() / model.anomaly_maps(train.rows(fold)).mean())
    assert np.mean(ratios) == pytest.approx(1, abs=0.05)


def test_a_small_bank_covers_what_is_rare() -> None:
    """Two kinds of position, one of them rare: one vector of it is enough, whatever the bank's size."""
    train = parts(30, kinds=1)
    train[4, :, 1, 2] += 30
    model = Neighbours.fit(FeatureMaps((train,)), WHITENED.model_copy(update={"bank": 12})).detector
    assert model.anomaly_maps(FeatureMaps((train[4:5],)))[0, 1, 2] == pytest.approx(0, abs=1e-3)


def test_a_mixture_of_what_is_normal_is_seen_where_a_subspace_cannot() -> None:
    train, new = parts(40), parts(60, 1)
    new[30:, :, 2, 2] = (parts(30, 2)[:, :, 0, 0] + parts(30, 3)[:, :, 1, 1]) / 2
    new[30:, :, 0, 1] = parts(30, 4).mean(axis=(2, 3))
    found = []
    for kind in (Neighbours, PatchPca):
        model = kind.fit(FeatureMaps((train,)), WHITENED.model_copy(update={"variance": 0.9})).detector
        scores = image_scores(model.anomaly_maps(FeatureMaps((new,))), 0.1)
        found.append(image_auroc(np.repeat([0, 1], 30), scores))
    assert found[0] > 0.95 > 0.7 > found[1]


def test_length_does_not_see_how_bright_a_position_is() -> None:
    train, new = parts(20), parts(3, 1)
    model = Neighbours.fit(FeatureMaps((train,)), LENGTH).detector
    found = [model.anomaly_maps(FeatureMaps((factor * new,))) for factor in (np.float32(1), np.float32(3))]
    np.testing.assert_allclose(*found, rtol=1e-3, atol=1e-6)
    dark = new.copy()
    dark[0, :, 0, 0] = 0
    assert np.isfinite(model.anomaly_maps(FeatureMaps((dark,)))).all()


def test_the_lengths_of_the_bank_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Neighbours.fit(FeatureMaps((parts(20),)), WHITENED).detector
    new = FeatureMaps((parts(3, seed=1),))
    first = model.anomaly_maps(new)
    monkeypatch.delattr(neighbours, "half_norms")
    assert model.anomaly_maps(new).tolist() == first.tolist()


def test_vectors_beyond_what_memory_allows_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_MOST_VECTORS", 50)
    train = FeatureMaps((parts(20),))
    fitted = Neighbours.fit(train, WHITENED, folds(20))
    assert fitted.detector.facts()["vectors in the bank"] == 50
    assert (fitted.held_out > 0).all()
    again = Neighbours.fit(train, WHITENED).detector
    np.testing.assert_array_equal(again.bank, fitted.detector.bank)
    other = Neighbours.fit(train, WHITENED.model_copy(update={"seed": 1})).detector
    assert not np.array_equal(other.bank, again.bank)


@pytest.mark.parametrize("n", range(3, 11))
@pytest.mark.parametrize("normalise", ["whitened", "length"])
def test_few_images(n: int, normalise: str) -> None:
    train = FeatureMaps((parts(n),))
    fitted = Neighbours.fit(train, PcaFit(normalise=normalise), [np.array([row]) for row in range(n)])
    assert np.isfinite(fitted.held_out).all()
    assert (fitted.held_out > 0).all()


@pytest.mark.parametrize("normalise", ["whitened", "length"])
@pytest.mark.parametrize(
    ("train", "message"),
    [
        (parts(1), "at least 2 good training images, got 1"),
        (np.ones((5, C, 2, 2), np.float32), "all 5 good training images give the same features"),
        (np.repeat(parts(1), 5, axis=0), "all 5 good training images give the same features"),
        (np.full((5, C, 2, 2), np.nan, np.float32), "NaN"),
    ],
)
def test_refused(train: np.ndarray, message: str, normalise: str) -> None:
    with pytest.raises(VqiError, match=message):
        Neighbours.fit(FeatureMaps((train,)), PcaFit(normalise=normalise))


def test_arrays_that_do_not_fit() -> None:
    maps = FeatureMaps((parts(20),))
    arrays = Neighbours.fit(maps, WHITENED).detector.arrays()
    for bank in (np.zeros((3, 4), np.float32), np.zeros((0, 6), np.float32), np.zeros(6, np.float32)):
        with pytest.raises(VqiError, match=r"expected the array bank \(B, 6\), got"):
            Neighbours.from_arrays({**arrays, "bank": bank}, maps.shapes, WHITENED)
    with pytest.raises(VqiError, match=r"got \(0,\)"):
        Neighbours.from_arrays({name: one for name, one in arrays.items() if name != "bank"}, maps.shapes, WHITENED)
