"""All detectors behind one interface: fitted, saved, loaded, and what does not fit is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vqi.made import detector_artifact, features_record
from vqi.artifacts.detector import DetectorArtifact, load_detector, save_detector
from vqi.artifacts.features import Calibration, FeatureMaps, Features
from vqi.artifacts.threshold import SPLIT
from vqi.config import FeatureExtract, PcaFit
from vqi.detectors.aggregate import image_scores
from vqi.detectors.calibration import operating_points, threshold_of
from vqi.detectors.registry import DETECTORS, detector_of, fit_detector, folds_of
from vqi.errors import VqiError

ONE = (np.zeros(1, np.int64), np.zeros(1, np.int64))


def maps(n: int, seed: int) -> FeatureMaps:
    random = np.random.default_rng(seed)
    return FeatureMaps((random.normal(size=(n, 4, 4, 4)).astype(np.float32),
                        random.normal(size=(n, 6, 2, 2)).astype(np.float32)))  # fmt: skip


@pytest.fixture
def features() -> Features:
    return Features(
        maps(24, 0), np.arange(24), maps(5, 1), features_record(settings=FeatureExtract(layer='["a", "b"]'))
    )


def test_the_default_is_one_of_them() -> None:
    """A run does not look it up."""
    assert PcaFit().kind in DETECTORS


@pytest.mark.parametrize("kind", DETECTORS)
def test_a_detector_is_the_same_when_loaded_again(kind: str, features: Features, tmp_path: Path) -> None:
    settings = PcaFit(kind=kind, variance=0.9, folds=4, target_fpr=0.2)
    artifact = fit_detector(features, settings)
    save_detector(tmp_path / "d", artifact)
    loaded = load_detector(tmp_path / "d")
    assert loaded.record == artifact.record
    assert (loaded.record.kind, loaded.record.settings, loaded.record.shapes) == (kind, settings, features.test.shapes)
    first, again = detector_of(artifact), detector_of(loaded, like=features.test)
    np.testing.assert_array_equal(first.anomaly_maps(features.test), again.anomaly_maps(features.test))
    assert again.facts() == loaded.record.facts
    save_detector(tmp_path / "again", fit_detector(features, settings))
    assert (tmp_path / "again").read_bytes() == (tmp_path / "d").read_bytes()


@pytest.mark.parametrize("kind", DETECTORS)
def test_scores_and_maps_of_every_detector(kind: str, features: Features) -> None:
    artifact = fit_detector(features, PcaFit(kind=kind, variance=0.9, folds=4))
    detector, new = detector_of(artifact), features.test
    found = detector.anomaly_maps(new)
    assert (found.shape, found.dtype) == ((5, 2, 2), np.float32)
    assert (found >= 0).all()
    assert 0 < detector.unexplained(new) <= 1 + 1e-6
    alone = [detector.anomaly_maps(new.rows([row]))[0] for row in range(5)]
    np.testing.assert_allclose(
        alone, found, rtol=1e-4, atol=1e-6, err_msg="an image's map depends on what comes with it"
    )
    odd = FeatureMaps(tuple(one.copy() for one in new.layers))
    odd.layers[0][2, :, 3, 0] += 30
    assert detector.anomaly_maps(odd)[2].max() > found.max()
    assert np.unravel_index(detector.anomaly_maps(odd)[2].argmax(), (2, 2)) == (1, 0)
    assert detector.anomaly_maps(new.rows([])).shape == (0, 2, 2)


@pytest.mark.parametrize("kind", sorted(DETECTORS.keys() - {"ensemble"}))  # see test_ensemble for what it divides by
def test_the_threshold_comes_from_scores_of_models_that_did_not_see_the_image(kind: str, features: Features) -> None:
    settings = PcaFit(kind=kind, variance=0.9, folds=4, target_fpr=0.2, scaling="raw")
    groups = np.arange(24) // 2
    artifact = fit_detector(replace(features, groups=groups), settings)
    for fold in folds_of(groups, settings):
        rest = features.train.rows(np.setdiff1d(np.arange(24), fold))
        model = DETECTORS[kind].fit(rest, settings).detector
        expected = image_scores(model.anomaly_maps(features.train.rows(fold)), settings.aggregate)
        np.testing.assert_allclose(artifact.calibration_scores[fold], expected, rtol=1e-3)
    assert artifact.record.operating_points == operating_points(artifact.calibration_scores, 0.2, groups)
    assert artifact.record.threshold == threshold_of(artifact.calibration_scores, 0.2, groups)


@pytest.mark.parametrize("kind", DETECTORS)
def test_images_for_calibration_are_scored_by_the_model_itself(kind: str, features: Features, tmp_path: Path) -> None:
    settings = PcaFit(kind=kind, variance=0.9, folds=4, target_fpr=0.2)
    apart = Calibration(maps(9, 3), np.arange(9), np.arange(9) // 2)
    artifact = fit_detector(replace(features, calibration=apart), settings)
    save_detector(tmp_path / "d", artifact)
    loaded = load_detector(tmp_path / "d")
    expected = image_scores(detector_of(loaded).anomaly_maps(apart.maps), settings.aggregate)
    np.testing.assert_array_equal(loaded.calibration_scores, expected)
    np.testing.assert_array_equal(loaded.groups, apart.groups)
    threshold = loaded.record.threshold
    assert (threshold.n, threshold.images, threshold.is_split) == (5, 9, True)
    assert threshold == threshold_of(expected, 0.2, apart.groups, SPLIT)
    without = fit_detector(features, settings)
    assert not without.record.threshold.is_split
    for name, array in without.arrays.items():
        if name != "spreads":  # by which an ensemble weighs its members: of held-out images, which need other folds
            np.testing.assert_array_equal(artifact.arrays[name], array, err_msg="they change nothing of the model")


def test_two_training_images_and_one_for_calibration(features: Features) -> None:
    few = replace(
        features, train=features.train.rows([0, 1]), groups=np.arange(2), calibration=Calibration(maps(1, 3), *ONE)
    )
    threshold = fit_detector(few, PcaFit(kind="pca", variance=0.9)).record.threshold
    assert (threshold.n, threshold.guaranteed_fpr, threshold.enough) == (1, 0.5, False)


def test_folds_hold_each_image_once() -> None:
    found = folds_of(np.arange(23), PcaFit(folds=4))
    assert sorted(np.concatenate(found).tolist()) == list(range(23))
    assert sorted(len(fold) for fold in found) == [5, 6, 6, 6]
    assert len(folds_of(np.arange(5), PcaFit(folds=10))) == 5, "leave-one-out at most"
    assert len(folds_of(np.arange(3), PcaFit(folds=2))) == 3, "two images at least are left for each model"
    with pytest.raises(VqiError, match="at least 3 good training images, got 2"):
        folds_of(np.arange(2), PcaFit())


@given(
    st.lists(st.integers(0, 12), min_size=3, max_size=60),
    st.integers(2, 12),
    st.integers(0, 5),
)
def test_folds_keep_groups_together(numbers: list[int], count: int, seed: int) -> None:
    groups = np.array(numbers)
    folds = folds_of(groups, PcaFit(folds=count, seed=seed))
    assert sorted(np.concatenate(folds).tolist()) == list(range(len(groups)))
    assert all(len(groups) - len(fold) >= 2 for fold in folds), "two images at least are left for each model"
    largest = np.bincount(groups).max()
    if largest <= len(groups) - 2:
        of = [set(groups[fold].tolist()) for fold in folds]
        assert sum(len(one) for one in of) == len(set(numbers)), "a group is in two folds"
    else:
        assert len(folds) > 1, "nothing is promised then, but there are held-out scores"


def test_unknown_kinds_and_other_shapes(features: Features) -> None:
    with pytest.raises(VqiError, match="unknown detector 'pcaa': did you mean 'pca'"):
        fit_detector(features, PcaFit(kind="pcaa"))
    artifact = fit_detector(features, PcaFit(kind="pca"))
    with pytest.raises(VqiError, match=r"expected features of these shapes \(C, h, w\), got \(\(4, 4, 4\),\)"):
        detector_of(artifact, like=FeatureMaps(features.test.layers[:1]))
    short = {**artifact.arrays, "mean": artifact.arrays["mean"][:7]}
    with pytest.raises(VqiError, match=r"expected components \(K, 40\), got .* with mean \(7,\)"):
        detector_of(replace(artifact, arrays=short))
    scaling = {name: array for name, array in artifact.arrays.items() if name.startswith("channel_")}
    with pytest.raises(VqiError, match=r"expected the arrays .*, got \['mean'\]"):
        detector_of(replace(artifact, arrays={**scaling, "mean": artifact.arrays["mean"]}))
    with pytest.raises(VqiError, match="expected the arrays channel_spread of 10 channels"):
        detector_of(replace(artifact, arrays={**artifact.arrays, "channel_spread": np.ones(3, np.float32)}))
    with pytest.raises(VqiError, match="spreads of channels above 0"):
        detector_of(replace(artifact, arrays={**artifact.arrays, "channel_spread": np.zeros(10, np.float32)}))


# ------------------------------------------------------------------------------------------------------ odd numbers


def consistent(**changes: float) -> DetectorArtifact:
    """A detector whose threshold is that of its calibration scores, which may be odd."""
    made = detector_artifact()
    scores = np.array([0.5, 1.0, changes.get("highest", 2.0)])
    value = changes.get("value", float(scores.max()))
    made_of = {"value": value, "order_statistic": value, "n": 3, "rank": 3}
    threshold = made.record.threshold.model_copy(update=made_of)
    record = made.record.model_copy(update={"operating_points": (threshold,)})
    return DetectorArtifact(made.arrays, scores, np.arange(3), record)


def with_array(name: str, array: np.ndarray) -> DetectorArtifact:
    whole = consistent()
    return replace(whole, arrays={**whole.arrays, name: array})


EYE = np.eye(2, 4, dtype=np.float32)
ODD = {
    "threshold of no calibration score": (consistent(value=1e30), "expected the order statistic 2, got"),
    "negative threshold": (consistent(value=-1.0), "expected the order statistic 2, got"),
    "negative calibration score": (consistent(highest=-3.0, value=1.0), "expected calibration scores of at least 0"),
    "infinite calibration score": (consistent(highest=np.inf, value=1.0), "'calibration_scores' holds NaN or infinity"),
    "NaN in the mean": (with_array("mean", np.full(4, np.nan, np.float32)), "'mean' holds NaN or infinity"),
    "whole numbers": (with_array("mean", np.zeros(4, np.int64)), "'mean': expected floating-point numbers, got int64"),
    "components that are too long": (with_array("components", 3 * EYE), "expected components of length 1 at right"),
    "components that are 0": (with_array("components", 0 * EYE), "expected components of length 1 at right"),
    "one component twice": (with_array("components", EYE[[0, 0]]), "expected components of length 1 at right"),
    "negative variances": (with_array("explained_variance", -np.ones(2, np.float32)), "expected variances that fall"),
    "too few variances": (with_array("explained_variance", np.ones(1, np.float32)), "expected components (K, 4)"),
}


@pytest.mark.parametrize("name", ODD)
def test_a_detector_that_would_pass_everything_is_refused(name: str, tmp_path: Path) -> None:
    artifact, said = ODD[name]
    save_detector(tmp_path / "d", artifact)
    with pytest.raises(VqiError) as error:
        detector_of(load_detector(tmp_path / "d"))
    assert said in str(error.value)
    assert str(error.value).endswith("run pca_fit again")


def test_a_whole_detector_is_not() -> None:
    detector_of(consistent())


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (np.nan, "hold NaN or infinity"),
        (np.inf, "hold NaN or infinity"),
        (1e38, "are too large"),
        (1e30, "are too large"),
    ],
)
@pytest.mark.parametrize("kind", DETECTORS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_features_of_which_nothing_can_be_fitted(kind: str, odd: float, said: str, features: Features) -> None:
    features.train.layers[0][3, 0, 0, 0] = odd
    with pytest.raises(VqiError, match=f"the features {said}"):
        fit_detector(features, PcaFit(kind=kind, variance=0.9, folds=4))


def test_all_components_kept_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    """More images than features: nothing is left over, and scores are what rounding leaves."""
    numbers = np.random.default_rng(0).normal(size=(40, 3, 1, 1)).astype(np.float32)
    few = Features(FeatureMaps((numbers,)), np.arange(40), FeatureMaps((numbers[:0],)), features_record())
    artifact = fit_detector(few, PcaFit(kind="pca", variance=0.999))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: all 3 components of the features are kept")
    assert "lower variance" in line
    assert detector_of(artifact).anomaly_maps(few.train).max() < 1e-4
    fit_detector(few, PcaFit(kind="pca", variance=0.4))
    assert capsys.readouterr().err == ""
