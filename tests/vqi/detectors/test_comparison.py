"""The comparison of a fine-tuned backbone with its parent."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from tests.vqi.made import maps_of
from vqi.artifacts.features import FeatureMaps
from vqi.config import PcaFit
from vqi.detectors.comparison import Suitability, held_out_fre_ratio, suitability
from vqi.detectors.registry import DETECTORS


def plane(count: int, noise: float, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    basis = np.random.default_rng(99).normal(size=(3, 20))
    return (random.normal(size=(count, 3)) @ basis + noise * random.normal(size=(count, 20)) + 5).astype(np.float32)


def test_ratio_against_scikit_learn() -> None:
    features, held_out = plane(60, 0.3), [3, 10, 41, 59]
    rest = np.delete(features, held_out, axis=0)
    reference = PCA(0.9, svd_solver="full").fit(rest)
    new = features[held_out]
    residual = new - reference.inverse_transform(reference.transform(new))
    expected = (residual**2).sum() / ((new - reference.mean_) ** 2).sum()
    raw = PcaFit(kind="pca", variance=0.9, scaling="raw")
    assert held_out_fre_ratio(maps_of(features), held_out, raw) == pytest.approx(expected, rel=1e-4)
    scaled = held_out_fre_ratio(maps_of(1000 * features), held_out, raw)
    assert scaled == pytest.approx(expected, rel=1e-4), "the scale of the features does not matter"


@pytest.mark.parametrize("kind", DETECTORS)
def test_noise_is_harder_to_describe_and_defects_are_found(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = []
    whole = DETECTORS[kind].fit
    monkeypatch.setattr(DETECTORS[kind], "fit", lambda *given: fitted.append(kind) or whole(*given))
    test = np.concatenate([plane(10, 0.01, 1), plane(10, 2.0, 2)])
    labels = np.repeat([0, 1], 10)

    def found(noise: float, maps: FeatureMaps, of: np.ndarray) -> Suitability:
        settings = PcaFit(kind=kind, coordinates=10, normalise="whitened")
        return suitability(maps_of(plane(60, noise)), maps, of, range(6), settings)

    clean, noisy = (found(noise, maps_of(test), labels) for noise in (0.01, 2.0))
    assert clean.held_out_fre_ratio < 0.01 < noisy.held_out_fre_ratio < 1
    assert clean.image_auroc == 1
    assert found(0.01, maps_of(test[:10]), labels[:10]).image_auroc is None
    assert len(fitted) == 6, "two fits each, of this detector"
