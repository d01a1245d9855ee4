"""The sum of standardised distances, by hand."""

import numpy as np
import pytest

from vqi.artifacts.features import FeatureMaps
from vqi.config import PcaFit
from vqi.detectors.aggregate import image_scores
from vqi.detectors.ensemble import MEMBERS, Ensemble, spreads_of
from vqi.errors import VqiError

SETTINGS = PcaFit(kind="ensemble", variance=0.9, channels=0)
FOLDS = [np.arange(begin, 24, 4) for begin in range(4)]
FACTS = {
    "pca: components kept",
    "mahalanobis: coordinates",
    "neighbours: coordinates",
    "neighbours: vectors in the bank",
}


def parts(n: int, seed: int = 0) -> FeatureMaps:
    return FeatureMaps((np.random.default_rng(seed).normal(size=(n, 6, 3, 2)).astype(np.float32),))


def test_distances_are_divided_by_the_spread_of_held_out_scores_and_added_up() -> None:
    train, new = parts(24), parts(5, 1)
    fitted = Ensemble.fit(train, SETTINGS, FOLDS)
    alone = [kind.fit(train, SETTINGS, FOLDS) for kind in MEMBERS.values()]
    scores = [image_scores(one.held_out, SETTINGS.aggregate) for one in alone]
    expected = sum(np.sqrt(one.detector.anomaly_maps(new)) / s.std() for one, s in zip(alone, scores, strict=True)) ** 2
    np.testing.assert_allclose(fitted.detector.anomaly_maps(new), expected, rtol=1e-5)
    for fold in FOLDS:
        spreads = [np.delete(s, fold).std() for s in scores]
        expected = sum(np.sqrt(one.held_out[fold]) / s for one, s in zip(alone, spreads, strict=True)) ** 2
        np.testing.assert_allclose(fitted.held_out[fold], expected, rtol=1e-5, err_msg="of the other folds alone")
    shares = [one.detector.unexplained(new) for one in alone]
    assert fitted.detector.unexplained(new) == pytest.approx(np.mean(shares))


def test_without_folds_it_makes_its_own() -> None:
    train = parts(24)
    model = Ensemble.fit(train, SETTINGS).detector
    assert (model.spreads > 0).all()
    np.testing.assert_array_equal(model.spreads, Ensemble.fit(train, SETTINGS).detector.spreads)
    single = Ensemble.fit(train, SETTINGS, FOLDS[:1])
    assert np.isfinite(single.held_out[:, 0, 0]).nonzero()[0].tolist() == FOLDS[0].tolist()
    rest = Ensemble.fit(train.rows(np.setdiff1d(np.arange(24), FOLDS[0])), SETTINGS).detector
    np.testing.assert_array_equal(single.held_out[FOLDS[0]], rest.anomaly_maps(train.rows(FOLDS[0])))


def test_members_by_name_in_arrays_and_facts() -> None:
    maps = parts(24)
    model = Ensemble.fit(maps, SETTINGS, FOLDS).detector
    assert set(model.facts()) == FACTS
    arrays = model.arrays()
    assert {"spreads", "pca.components", "neighbours.bank"} <= arrays.keys()
    for spreads in (np.ones(2), np.array([1.0, 0.0, 1.0])):
        with pytest.raises(VqiError, match=r"expected spreads above 0 of pca, mahalanobis, neighbours, got \["):
            Ensemble.from_arrays({**arrays, "spreads": spreads}, maps.shapes, SETTINGS)
    with pytest.raises(VqiError, match="expected the array bank"):
        without = {name: one for name, one in arrays.items() if name != "neighbours.bank"}
        Ensemble.from_arrays(without, maps.shapes, SETTINGS)
    with pytest.raises(VqiError, match="expected only arrays of pca, mahalanobis, neighbours, got odd"):
        Ensemble.from_arrays({**arrays, "odd": np.ones(1)}, maps.shapes, SETTINGS)


def test_what_a_member_cannot_tell_is_said() -> None:
    flat = FeatureMaps((np.random.default_rng(0).normal(size=(40, 3, 1, 1)).astype(np.float32),))
    model = Ensemble.fit(flat, PcaFit(kind="ensemble", variance=0.999, scaling="raw")).detector
    assert model.caveat().startswith("all 3 components of the features are kept")
    assert Ensemble.fit(parts(24), SETTINGS).detector.caveat() == ""


@pytest.mark.parametrize("n", range(3, 11))
def test_few_images(n: int) -> None:
    fitted = Ensemble.fit(parts(n), SETTINGS, [np.array([row]) for row in range(n)])
    assert np.isfinite(fitted.held_out).all()
    assert np.isfinite(fitted.detector.anomaly_maps(parts(4, 1))).all()


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (parts(2), "an ensemble needs at least 3 good training images, got 2"),
        (FeatureMaps((np.ones((5, 6, 2, 2), np.float32),)), "all 5 good training images give the same features"),
        (FeatureMaps((np.full((5, 6, 2, 2), np.nan, np.float32),)), "NaN"),
    ],
)
def test_refused(train: FeatureMaps, message: str) -> None:
    with pytest.raises(VqiError, match=message):
        Ensemble.fit(train, SETTINGS)


def test_a_few_scores_that_are_nearly_equal_do_not_make_a_member_loud() -> None:
    scores = np.array([[2.0, 2.001, 2.002], [1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(spreads_of(scores), [0.02001, np.std([1, 2, 3]), 1])
