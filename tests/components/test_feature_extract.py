"""The step feature_extract: images and a backbone become feature maps of each layer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vqi.artifacts.features import load_features
from vqi.sizes import square

OneError = Callable[[int], str]


def test_features_of_both_splits(chain: Any) -> None:
    features = load_features(chain.folder / "features.safetensors")
    assert features.train.shapes == features.test.shapes == ((40, 8, 8),)  # blocks.2 of EfficientNet-Lite0: stride 8
    assert (len(features.train), len(features.test)) == (12, 10)
    made = features.record
    assert (made.images.image_size, made.settings.layers) == (square(64), ("blocks.2",))
    assert (made.runtime.engine, made.runtime.precision) == ("eager", "fp32")
    assert made.images.category == "bracket"
    assert made.backbone.mean == (0.5, 0.5, 0.5)


def test_several_layers(chain: Any, tmp_path: Path) -> None:
    """In one pass, each equal to its own extraction; the following steps accept them."""
    layer = '["blocks.2", "blocks.3"]'
    assert chain.run("feature_extract", features=tmp_path / "f", layer=layer) == 0
    alone, both = load_features(chain.folder / "features.safetensors"), load_features(tmp_path / "f")
    assert both.train.shapes == ((40, 8, 8), (80, 4, 4))
    np.testing.assert_allclose(both.train.layers[0], alone.train.layers[0], rtol=1e-4, atol=1e-5)
    for kind in ("pca", "patch_pca"):
        assert chain.run("pca_fit", features=tmp_path / "f", detector=tmp_path / "d", kind=kind) == 0
        made = {name: tmp_path / kind / name for name in ("scores", "metrics", "roc", "report", "summary")}
        assert chain.run("evaluate", features=tmp_path / "f", detector=tmp_path / "d", **made) == 0


def test_layers_in_another_order(chain: Any, tmp_path: Path) -> None:
    for name, layer in (("f", '["blocks.2", "blocks.4"]'), ("turned", '["blocks.4", "blocks.2"]')):
        assert chain.run("feature_extract", features=tmp_path / name, layer=layer, pool=2) == 0
    features, turned = load_features(tmp_path / "f"), load_features(tmp_path / "turned")
    assert features.train.shapes == ((40, 4, 4), (112, 2, 2))
    np.testing.assert_array_equal(features.test.layers[0], turned.test.layers[1])


def test_same_input_same_bytes(chain: Any, tmp_path: Path) -> None:
    assert chain.run("feature_extract", features=tmp_path / "f") == 0
    assert (tmp_path / "f").read_bytes() == (chain.folder / "features.safetensors").read_bytes()


@pytest.mark.parametrize(("pool", "shape"), [(0, (40, 1, 1)), (2, (40, 4, 4))])
def test_pooling(chain: Any, tmp_path: Path, pool: int, shape: tuple[int, int, int]) -> None:
    assert chain.run("feature_extract", features=tmp_path / "f", pool=pool) == 0
    full, pooled = load_features(chain.folder / "features.safetensors"), load_features(tmp_path / "f")
    assert pooled.train.shapes == (shape,)
    side = 8 // shape[1]
    expected = full.train.layers[0].reshape(12, 40, shape[1], side, shape[1], side).mean(axis=(3, 5))
    np.testing.assert_allclose(pooled.train.layers[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"layer": "blocks.22"}, "unknown layer 'blocks.22': did you mean 'blocks.2"),
        ({"layer": '["blocks.2", "blocks.22"]'}, "unknown layer 'blocks.22'"),
        ({"layer": '["blocks.2.1", "blocks.2"]'}, "layers 'blocks.2.1' and 'blocks.2' have the same output"),
        ({"layer": "nonsense"}, "layers here: conv_stem, bn1"),
        ({"pool": 9}, "pool 9 does not fit"),
        ({"pool": -1}, "pool: Input should be greater than or equal to 0, got '-1'"),
        ({"batch_size": 0}, "batch_size"),
        ({"engine": "tensorrt"}, "engine: Input should be 'auto', 'ipex', 'openvino' or 'eager', got 'tensorrt'"),
        ({"backbone": "FEATURES"}, "expected format 'vqi.backbone/2', got 'vqi.features/5'"),
        ({"backbone": "/nowhere/b"}, "/nowhere/b"),
    ],
)
def test_bad_input(chain: Any, tmp_path: Path, one_error: OneError, changed: dict[str, object], message: str) -> None:
    if changed.get("backbone") == "FEATURES":
        changed = {"backbone": chain.folder / "features.safetensors"}
    found = one_error(chain.run("feature_extract", **{"features": tmp_path / "f", **changed}))
    assert message in found
    assert not list(tmp_path.iterdir())
