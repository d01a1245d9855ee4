"""The step ssl_finetune: images become a backbone with its record."""

import json
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
    log = (chain.folder / "training_log.csv").read_text().splitlines()
    assert log == ["epoch,backbone_trains,lr,train_loss,validation_loss,health,images_per_second"]


@pytest.mark.parametrize(("method", "epochs"), [("simsiam", 2), ("cutpaste", 3)])
def test_fine_tuned_and_used_by_the_next_step(chain: Any, tmp_path: Path, method: str, epochs: int) -> None:
    options = {"batch_size": 8, "lr": 0.01}
    out = {"backbone": tmp_path / "tuned", "training_log": tmp_path / "log.csv"}
    assert chain.run("ssl_finetune", method=method, epochs=epochs, finetune=json.dumps(options), **out) == 0
    tuned, parent = (load_backbone(path, 64) for path in (out["backbone"], chain.folder / "backbone.safetensors"))
    assert tuned.weights == f"random, seed 0, fine-tuned with {method}"
    assert tuned.provenance is not None
    assert tuned.provenance["parent"] == "random, seed 0"
    assert 1 <= tuned.provenance["best_epoch"] <= epochs
    assert any((a != b).any() for a, b in zip(tuned.model.parameters(), parent.model.parameters(), strict=True))
    assert len(out["training_log"].read_text().splitlines()) == 1 + epochs
    assert chain.run("feature_extract", backbone=out["backbone"], features=tmp_path / "features") == 0


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
        ({"epochs": 3}, "method 'pretrained' does not train: expected epochs 0 and no finetune, got epochs 3"),
        ({"method": "simsiam"}, "after freeze_epochs 0: expected more epochs than that, got 0"),
        ({"method": "cutpaste", "epochs": 1}, "after freeze_epochs 1: expected more epochs than that, got 1"),
        ({"method": "simsiam", "epochs": 1, "finetune": '{"flp": 0}'}, "did you mean 'flip'?"),
        ({"method": "simsiam", "epochs": 1, "finetune": '{"flip": 2}'}, "finetune flip: Input should be less than"),
        ({"method": "simsiam", "epochs": 1, "layer": "blocks.77"}, "unknown layer 'blocks.77'"),
        ({"method": "simsiam", "epochs": 1, "finetune": '{"frozen_layers": ["x"]}'}, "frozen_layers: no layer 'x'"),
        ({"images": "/nowhere/images"}, "/nowhere/images/images.safetensors"),
    ],
)
def test_bad_input(chain: Any, tmp_path: Path, one_error: OneError, changed: dict[str, object], message: str) -> None:
    assert message in one_error(chain.run("ssl_finetune", **{"backbone": tmp_path / "backbone", **changed}))
    assert not list(tmp_path.iterdir())
