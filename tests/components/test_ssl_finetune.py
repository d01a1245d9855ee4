"""The step ssl_finetune: images become a backbone with its record."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vqi.backbones import build, load_backbone

OneError = Callable[[int], str]


def test_backbone_and_its_record(chain: Any) -> None:
    backbone = load_backbone(chain.folder / "backbone.safetensors", 64)
    assert (backbone.name, backbone.weights) == ("timm/tf_efficientnet_lite0", "random, seed 0")
    assert backbone.mean == backbone.std == (0.5, 0.5, 0.5)
    expected = build("tf_efficientnet_lite0", "random", 0, 64).model.state_dict()
    got = backbone.model.state_dict()
    assert all((got[name] == tensor).all() for name, tensor in expected.items())
    assert backbone.provenance is not None
    assert backbone.provenance["settings"]["method"] == "pretrained"
    assert list(backbone.provenance["inputs"]) == ["images"]


def test_same_input_same_bytes_another_seed_others(chain: Any, tmp_path: Path) -> None:
    first = (chain.folder / "backbone.safetensors").read_bytes()
    assert chain.run("ssl_finetune", backbone=tmp_path / "again") == 0
    assert chain.run("ssl_finetune", backbone=tmp_path / "other", seed=1) == 0
    assert (tmp_path / "again").read_bytes() == first
    assert (tmp_path / "other").read_bytes() != first


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"backbone_name": "resnet5000"}, "unknown backbone 'resnet5000': did you mean 'resnet50"),
        ({"method": "pretraind"}, "unknown method 'pretraind': did you mean 'pretrained'?"),
        ({"weights": "weights.safetensors"}, "#sha256="),
        ({"weights": f"/nowhere/w.safetensors#sha256={'0' * 64}"}, "'/nowhere/w.safetensors': no such file"),
        ({"seed": -1}, "seed: Input should be greater than or equal to 0, got '-1'"),
        ({"epochs": 3}, "method 'pretrained' does not train: expected epochs 0, got 3"),
        ({"images": "/nowhere/images"}, "/nowhere/images/images.safetensors"),
    ],
)
def test_bad_input(chain: Any, tmp_path: Path, one_error: OneError, changed: dict[str, object], message: str) -> None:
    assert message in one_error(chain.run("ssl_finetune", **{"backbone": tmp_path / "backbone", **changed}))
    assert not list(tmp_path.iterdir())
