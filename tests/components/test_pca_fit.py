"""The step pca_fit: features become a detector with its threshold."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vqi.artifacts.detector import load_detector
from vqi.artifacts.features import load_features
from vqi.artifacts.images import load_images
from vqi.config import PcaFit
from vqi.detectors.scaling import ChannelScaling

OneError = Callable[[int], str]


def test_detector_of_the_train_features(chain: Any) -> None:
    detector = load_detector(chain.folder / "detector.safetensors")
    features = load_features(chain.folder / "features.safetensors")
    assert (detector.record.kind, detector.record.shapes) == ("pca", features.train.shapes)
    mean, components = detector.arrays["mean"], detector.arrays["components"]
    settings = detector.record.settings
    vectors = ChannelScaling.fit(features.train, settings.scaling).apply(features.train).reshape(12, -1)
    np.testing.assert_allclose(mean, vectors.mean(axis=0), rtol=1e-4, atol=1e-5)
    k = len(components)
    assert 0 < k < 12
    assert detector.record.facts == {"components kept": k}
    np.testing.assert_allclose(components @ components.T, np.eye(k), atol=1e-4)
    assert len(detector.calibration_scores) == 12
    # 12 good images are too few for 5 %
    assert detector.record.threshold.order_statistic == np.max(detector.calibration_scores)
    assert detector.record.threshold.method == "fitted tail"
    assert detector.record.settings == PcaFit(kind="pca", folds=4)
    assert detector.record.features.settings.layers == ("blocks.2",)


def test_another_detector(chain: Any, tmp_path: Path) -> None:
    """Chosen by its name alone; evaluate accepts the detector that it finds."""
    assert chain.run("pca_fit", detector=tmp_path / "d", kind="patch_pca") == 0
    detector = load_detector(tmp_path / "d")
    assert (detector.record.kind, detector.arrays["mean"].shape) == ("patch_pca", (40,))
    made = {name: tmp_path / name for name in ("scores", "metrics", "roc", "report", "summary")}
    assert chain.run("evaluate", detector=tmp_path / "d", **made) == 0
    assert '"detector": "patch_pca"' in made["metrics"].read_text()
    assert "patch_pca" in made["report"].read_text()


@pytest.mark.parametrize(
    ("kind", "settings", "shapes"),
    [
        ("mahalanobis", {"coordinates": 7, "shrinkage": 0.5}, {"position_whitening": (64, 7, 7)}),
        ("neighbours", {"bank": 30, "normalise": "whitened"}, {"bank": (30, 40)}),
        ("ensemble", {"bank": 30, "coordinates": 9}, {"spreads": (3,), "neighbours.bank": (30, 9)}),
    ],
)
def test_settings_of_other_detectors(
    kind: str, settings: dict[str, Any], shapes: dict[str, tuple[int, ...]], chain: Any, tmp_path: Path
) -> None:
    assert chain.run("pca_fit", detector=tmp_path / "d", kind=kind, **settings) == 0
    detector = load_detector(tmp_path / "d")
    assert {name: detector.arrays[name].shape for name in shapes} == shapes


def test_same_input_same_bytes(chain: Any, tmp_path: Path) -> None:
    assert chain.run("pca_fit", detector=tmp_path / "d") == 0
    assert (tmp_path / "d").read_bytes() == (chain.folder / "detector.safetensors").read_bytes()


def test_less_variance_fewer_components_looser_rate_lower_threshold(chain: Any, tmp_path: Path) -> None:
    assert chain.run("pca_fit", detector=tmp_path / "d", variance=0.5, target_fpr=0.5) == 0
    full, small = load_detector(chain.folder / "detector.safetensors"), load_detector(tmp_path / "d")
    assert len(small.arrays["components"]) < len(full.arrays["components"])
    assert small.record.threshold.value < np.max(small.calibration_scores)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"variance": 1.5}, "variance: Input should be less than 1, got '1.5'"),
        ({"target_fpr": 0}, "target_fpr: Input should be greater than 0, got '0'"),
        ({"folds": 1}, "folds"),
        ({"kind": "pcaa"}, "unknown detector 'pcaa': did you mean 'pca'?"),
        ({"features": "BACKBONE"}, "expected format 'vqi.features/5', got 'vqi.backbone/2'"),
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
    said = one_error(chain.run("pca_fit", features=tmp_path / "f", detector=tmp_path / "d"))
    assert "a file that is cut short" in said


def test_groups_of_the_photographs_reach_the_threshold(chain: Any, tmp_path: Path) -> None:
    """From the paths to the index, the features and the detector: the last digit of a name is the part it shows."""
    paths = {name: tmp_path / name for name in ("images", "features", "detector")}
    assert chain.run("preprocess", images=paths["images"], group_by=r"/\d+(\d)\.png") == 0
    assert chain.run("feature_extract", images=paths["images"], features=paths["features"]) == 0
    assert chain.run("pca_fit", features=paths["features"], detector=paths["detector"]) == 0
    rows = [row for row in load_images(paths["images"]).index if row.split == "train"]
    groups = {row.path[-5]: row.group for row in rows}
    assert len(groups) < len(rows), "no two photographs of one part"
    assert [groups[row.path[-5]] for row in rows] == [row.group for row in rows], "a part is in two groups"
    assert load_features(paths["features"]).groups.tolist() == [row.group for row in rows]
    threshold = load_detector(paths["detector"]).record.threshold
    assert (threshold.n, threshold.images) == (len({*groups.values()}), len(rows))
