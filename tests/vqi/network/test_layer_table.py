"""The layers of backbones: those of one that is built, what is suggested, and the table of all of them."""

from __future__ import annotations

import json
import lzma
import re
from pathlib import Path

import pytest

from vqi.layers import TABLE, listed_layers
from vqi.network.backbones import DEFAULT_SIZE, skeleton
from vqi.network.layer_table import all_names, layers_of, main, suggested_layer, table_of

ROOT = Path(__file__).parents[3]
WRITTEN = json.loads(lzma.decompress(TABLE.read_bytes()))


@pytest.mark.parametrize(
    ("backbone", "layer"),
    [
        ("tf_efficientnet_lite0", "blocks.4"),
        ("resnet18", "layer3"),
        ("timm/swin_tiny_patch4_window7_224", "layers.2"),  # the channels are last
        ("timm/vit_tiny_patch16_224", ""),
    ],
)
def test_what_is_suggested(backbone: str, layer: str) -> None:
    assert suggested_layer(skeleton(backbone, DEFAULT_SIZE)) == layer
    assert layers_of(backbone).suggested == layer, "also where the network takes no memory"


def test_the_table_is_of_the_pinned_versions_and_of_all_networks() -> None:
    pins = dict(re.findall(r'"(timm|torchvision)==([0-9.]+)"', (ROOT / "pyproject.toml").read_text()))
    assert WRITTEN["versions"] == pins, "write it again: python -m vqi.network.layer_table"
    assert [*WRITTEN["networks"]] == all_names()


@pytest.mark.parametrize("name", ["torchvision/resnet18", "timm/resnet18", "timm/mobilenetv3_large_100", "timm/vgg11"])
def test_the_table_says_what_the_network_has(name: str) -> None:
    assert listed_layers(name) == layers_of(name)


def test_a_list_that_networks_share_is_kept_once() -> None:
    table = json.loads(
        lzma.decompress(table_of(["torchvision/resnet18", "torchvision/resnet34", "torchvision/resnet18"]))
    )
    assert table["networks"] == {"torchvision/resnet18": [0, "layer3"], "torchvision/resnet34": [1, "layer3"]}
    assert len(table["layers"]) == 2


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [("resnet18", 0, '[["conv1", "bn1",'), ("resnet180", 1, "unknown backbone 'resnet180': did you mean 'resnet18'?")],
)
def test_the_program(
    name: str, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["layer_table", name])
    assert main() == code
    assert capsys.readouterr().out.startswith(said)
