"""vqi_pipelines.backbone_names: what the packages themselves list, without importing them."""

from __future__ import annotations

import json
import lzma

import pytest

from vqi.layers import TABLE
from vqi_pipelines import backbone_names as module
from vqi_pipelines.backbone_names import backbone_names, backbone_problem


def test_the_names_are_those_that_the_network_knows() -> None:
    """By the table of their layers, which a test beside the network holds against the packages themselves."""
    table = json.loads(lzma.decompress(TABLE.read_bytes()))
    assert backbone_names() == {name.partition("/")[2] for name in table["networks"]}


@pytest.mark.parametrize(
    "name", ["resnet50", "timm/resnet50", "torchvision/resnet50", "resnet50.a1_in1k", "convnext_tiny_in22ft1k"]
)
def test_a_name_that_may_be_right(name: str) -> None:
    assert backbone_problem(name) is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet5", "unknown backbone 'resnet5': did you mean 'resnet50'?"),
        ("timm/resnt50", "unknown backbone 'resnt50': did you mean 'resnet50'?"),
        ("torchvision/tf_efficientnet_lite0", "unknown backbone 'tf_efficientnet_lite0': "),
        ("hub/resnet50", "unknown backbone 'hub/resnet50': expected a name, or one behind timm/ or torchvision/"),
        ('["resnet50"]', "unknown backbone '[\"resnet50\"]': did you mean 'resnet50'?"),
    ],
)
def test_a_name_that_is_wrong(name: str, said: str) -> None:
    assert str(backbone_problem(name)).startswith(said)


def test_without_the_packages_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_sources", lambda package: ())
    assert backbone_problem("anything") is None
