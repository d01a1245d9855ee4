"""The step ssl_finetune: images become a backbone with its record."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.step_outputs import output_flags
from vqi.artifacts.backbone import FinetuneRecord
from vqi.artifacts.training_log import read_training_log
from vqi.config import SslFinetune
from vqi.digests import sha256_file
from vqi.network.backbones import load_backbone, load_parent, save_backbone, save_parent
from vqi.network.building import build
from vqi.sizes import square

OneError = Callable[[int], str]


def test_backbone_and_its_record(chain: Any) -> None:
    backbone = load_backbone(chain.folder / "backbone.safetensors", square(64))
    assert (backbone.record.name, backbone.record.weights) == ("timm/tf_efficientnet_lite0", "random, seed 0")
    assert backbone.record.mean == backbone.record.std == (0.5, 0.5, 0.5)
    expected = build("tf_efficientnet_lite0", "random", 0, square(64)).model.state_dict()
    got = backbone.model.state_dict()
    assert all((got[name] == tensor).all() for name, tensor in expected.items())
    assert backbone.made is not None
    assert backbone.made.settings.method == "pretrained"
    assert backbone.made.images == "", "the same file for all images"
    assert read_training_log(chain.folder / "training_log.csv") == []
    assert load_parent(chain.folder / "parent.safetensors", backbone) is None


WITHOUT_TORCH = """
import sys
from vqi_components.ssl_finetune.__main__ import main
assert main(sys.argv[1:]) == 0
assert "torch" not in sys.modules
"""


def test_embedded_weights_are_written_without_torch_as_with_it(chain: Any, tmp_path: Path) -> None:
    flags = [f"--images={chain.folder / 'images'}", *output_flags("ssl_finetune", tmp_path)]
    subprocess.run([sys.executable, "-c", WITHOUT_TORCH, *flags], check=True)
    network = build("tf_efficientnet_lite0", "pretrained", 0, square(64))
    made = FinetuneRecord.of(SslFinetune(), network.record.weights)
    save_backbone(tmp_path / "with torch", network, made)
    save_parent(tmp_path / "parent with torch", {}, network, made)
    assert (tmp_path / "backbone").read_bytes() == (tmp_path / "with torch").read_bytes()
    assert (tmp_path / "parent").read_bytes() == (tmp_path / "parent with torch").read_bytes()
    assert read_training_log(tmp_path / "training_log") == []


@pytest.mark.parametrize(("method", "epochs"), [("simsiam", 2), ("cutpaste", 3)])
def test_fine_tuned_and_used_by_the_next_step(chain: Any, tmp_path: Path, method: str, epochs: int) -> None:
    options = {"batch_size": 8, "optimizer": "sgd", "lr": 0.01}
    out = {"backbone": tmp_path / "tuned", "parent": tmp_path / "parent", "training_log": tmp_path / "log.csv"}
    assert chain.run("ssl_finetune", method=method, epochs=epochs, finetune=json.dumps(options), **out) == 0
    tuned, parent = (
        load_backbone(path, square(64)) for path in (out["backbone"], chain.folder / "backbone.safetensors")
    )
    assert tuned.record.weights == f"random, seed 0, fine-tuned with {method}"
    assert tuned.made is not None
    assert tuned.made.parent == "random, seed 0"
    assert tuned.made.images == sha256_file(chain.folder / "images" / "index.csv")
    assert tuned.made.runtime is not None
    assert tuned.made.runtime.precision in ("fp32", "bf16")
    assert 1 <= tuned.made.best_epoch <= epochs
    changed = {
        name for name, p in tuned.model.named_parameters() if not torch.equal(p, parent.model.get_parameter(name))
    }
    assert changed
    assert {name.rpartition(".")[0].partition(".")[0] for name in changed} == {"blocks"}
    before = load_parent(out["parent"], tuned)
    assert before is not None
    assert all(torch.equal(before.model.state_dict()[n], t) for n, t in parent.model.state_dict().items())
    assert [row.epoch for row in read_training_log(out["training_log"])] == list(range(1, epochs + 1))
    assert not list((chain.folder / "store" / "checkpoints").glob("*.safetensors")), "gone when the training is done"
    features = tmp_path / "features"
    assert chain.run("feature_extract", backbone=out["backbone"], parent=out["parent"], features=features) == 0
    assert chain.run("pca_fit", features=features, detector=tmp_path / "detector") == 0
    made = {name: tmp_path / name for name in ("scores", "metrics", "report", "summary")}
    inputs = {"features": features, "detector": tmp_path / "detector", "training_log": out["training_log"]}
    assert chain.run("evaluate", **inputs, **made) == 0
    metrics = json.loads(made["metrics"].read_text())
    pretrained = json.loads((chain.folder / "metrics.json").read_text())
    assert metrics["parent_image_auroc"] == pytest.approx(pretrained["image_auroc"])
    assert 0 < metrics["held_out_fre_ratio"] != metrics["parent_held_out_fre_ratio"] > 0
    assert pretrained["parent_image_auroc"] is pretrained["held_out_fre_ratio"] is None
    assert "Against its pretrained parent" in made["report"].read_text()
    assert "Against its pretrained parent" not in (chain.folder / "report.html").read_text()


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
        (
            {"finetune": json.dumps(dict.fromkeys(["x" * 3000, "lr", "patience", "hue", "blur"], 1))},
            "got finetune with blur, hue, lr and 2 more; take another method (simsiam, cutpaste) or leave it out",
        ),
        ({"method": "simsiam"}, "after freeze_epochs 0: expected more epochs than that, got 0"),
        ({"method": "cutpaste", "epochs": 1}, "after freeze_epochs 1: expected more epochs than that, got 1"),
        ({"method": "simsiam", "epochs": 1, "finetune": '{"flp": 0}'}, "did you mean 'flip'?"),
        ({"method": "simsiam", "epochs": 1, "finetune": '{"flip": 2}'}, "finetune flip: Input should be less than"),
        ({"method": "simsiam", "epochs": 1, "finetune": '{"lr": NaN}'}, "finetune: NaN is not JSON"),
        (
            {"method": "simsiam", "epochs": 1, "finetune": '{"initial_checkpoint": "c.pth"}'},
            "finetune initial_checkpoint",
        ),
        (
            {"method": "simsiam", "epochs": 1, "finetune": '{"frozen_up_to": "blocks.6"}'},
            "does not follow from its output",
        ),
        ({"method": "simsiam", "epochs": 1, "layer": "blocks.77"}, "unknown layer 'blocks.77'"),
        ({"method": "simsiam", "epochs": 1, "finetune": '{"frozen_up_to": "x"}'}, "unknown layer 'x'"),
        ({"images": "/nowhere/images"}, "/nowhere/images/images.safetensors"),
    ],
)
def test_bad_input(chain: Any, tmp_path: Path, one_error: OneError, changed: dict[str, object], message: str) -> None:
    assert message in one_error(chain.run("ssl_finetune", **{"backbone": tmp_path / "backbone", **changed}))
    assert not list(tmp_path.iterdir())
