"""vqi.layers: the table of the layers of backbones, and what is said of those that are not there."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from vqi import layers as module
from vqi.config import FeatureExtract, defaults
from vqi.layers import Layers, layer_problem, listed_layers

DEFAULT = defaults(FeatureExtract).layer


def test_names_of_a_backbone() -> None:
    plain = listed_layers("resnet18")
    assert plain is not None
    assert plain == listed_layers("torchvision/resnet18"), "torchvision's is built where both have the name"
    assert plain.names[:2] == ("conv1", "bn1")
    assert "layer2.0.conv1" in plain.names
    assert listed_layers("timm/resnet18.a1_in1k") == listed_layers("timm/resnet18") != plain
    assert listed_layers("resnet18.a1_in1k") == listed_layers("timm/resnet18"), "only timm knows tags"
    assert listed_layers("torchvision/resnet18.a1_in1k") is None
    assert listed_layers("nothing/resnet18") is None
    assert listed_layers("resnet180") is None


def test_a_table_of_other_versions_says_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "installed_versions", lambda: {"timm": "9.9", "torchvision": None})
    assert listed_layers("resnet18") is None
    monkeypatch.setattr(module, "TABLE", tmp_path / "none")
    assert listed_layers("resnet18") is None


def test_a_package_that_is_not_installed_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PACKAGES", ("pytest", "no-such-package"))
    assert module.installed_versions() == {"pytest": pytest.__version__, "no-such-package": None}


def test_what_is_wrong() -> None:
    found = listed_layers("resnet18")
    assert found is not None
    assert layer_problem("resnet18", "layer2.0.conv1", found) is None
    assert layer_problem("resnet18", '["layer2", "layer3"]', found) is None
    problem = layer_problem("resnet18", '["layer2", "layer5"]', found)
    assert str(problem).startswith("unknown layer 'layer5': did you mean 'layer")
    assert "layers here: conv1, bn1, relu, maxpool, layer1, layer1.0," in str(problem)
    other = "the default layers are those of tf_efficientnet_lite0, and {} has other ones: say which to take{} "
    problem = layer_problem("resnet18", DEFAULT, found)
    assert str(problem) == other.format("resnet18", ", such as layer=layer3") + "('vqi layers resnet18' lists them)"
    problem = layer_problem("vit_b_16", DEFAULT, Layers(("encoder",), ""))
    assert str(problem) == other.format("vit_b_16", "") + "('vqi layers vit_b_16' lists them)"


def test_the_table_is_small() -> None:
    assert module.TABLE.stat().st_size < 250_000
    assert lzma.decompress(module.TABLE.read_bytes()).startswith(b"{")
