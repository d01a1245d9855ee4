"""The step pca_fit: features become a detector with its threshold."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vqi.artifacts.model import load_detector, load_features

OneError = Callable[[int], str]


def test_detector_of_the_train_features(chain: Any) -> None:
    detector = load_detector(chain.folder / "detector.safetensors")
    features = load_features(chain.folder / "features.safetensors")
    assert detector.shape == features.shape
    np.testing.assert_allclose(detector.mean, features.train.mean(axis=0), rtol=1e-4, atol=1e-5)
    k = len(detector.components)
    assert 0 < k < 12
    np.testing.assert_allclose(detector.components @ detector.components.T, np.eye(k), atol=1e-4)
    assert len(detector.calibration_scores) == 12
    assert detector.threshold == np.max(detector.calibration_scores)  # 12 good images are too few for 5 %
    assert detector.provenance["settings"] == {"variance": 0.99, "target_fpr": 0.05, "folds": 4, "seed": 0}
    assert detector.provenance["features"]["settings"]["layer"] == "blocks.2"


def test_same_input_same_bytes(chain: Any, tmp_path: Path) -> None:
    assert chain.run("pca_fit", detector=tmp_path / "d") == 0
    assert (tmp_path / "d").read_bytes() == (chain.folder / "detector.safetensors").read_bytes()


def test_less_variance_fewer_components_looser_rate_lower_threshold(chain: Any, tmp_path: Path) -> None:
    assert chain.run("pca_fit", detector=tmp_path / "d", variance=0.5, target_fpr=0.5) == 0
    full, small = load_detector(chain.folder / "detector.safetensors"), load_detector(tmp_path / "d")
    assert len(small.components) < len(full.components)
    assert small.threshold < np.max(small.calibration_scores)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"variance": 1.5}, "variance: Input should be less than 1, got '1.5'"),
        ({"target_fpr": 0}, "target_fpr: Input should be greater than 0, got '0'"),
        ({"folds": 1}, "folds"),
        ({"features": "BACKBONE"}, "expected format 'vqi.features/1', got 'vqi.backbone/1'"),
        ({"features": "/nowhere/f"}, "/nowhere/f"),
    ],
)
def test_bad_input(chain: Any, tmp_path: Path, one_error: OneError, changed: dict[str, object], message: str) -> None:
    if changed.get("features") == "BACKBONE":
        changed = {"features": chain.folder / "backbone.safetensors"}
    assert message in one_error(chain.run("pca_fit", **{"detector": tmp_path / "d", **changed}))
    assert not list(tmp_path.iterdir())


def test_cut_short_features(chain: Any, tmp_path: Path, one_error: OneError) -> None:
    whole = (chain.folder / "features.safetensors").read_bytes()
    (tmp_path / "f").write_bytes(whole[:-1000])
    assert "the file is cut short" in one_error(chain.run("pca_fit", features=tmp_path / "f", detector=tmp_path / "d"))
