"""Whether a backbone has the layers that are asked for, and which one is suggested."""

from __future__ import annotations

import pytest

from vqi.config import FeatureExtract, defaults
from vqi.errors import VqiError
from vqi.network.backbones import DEFAULT_SIZE, skeleton
from vqi.network.layer_check import check_layers, suggested_layer


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


def test_layers_that_are_there_and_one_that_is_not() -> None:
    check_layers("resnet18", "layer2.0.conv1")
    check_layers("resnet18", '["layer2", "layer3"]')
    with pytest.raises(VqiError, match="unknown layer 'layer5': did you mean 'layer"):
        check_layers("resnet18", '["layer2", "layer5"]')
    said = (
        "^the default layers are those of tf_efficientnet_lite0, and vgg11 has other ones: say which to take, such as"
    )
    with pytest.raises(VqiError, match=said):
        check_layers("vgg11", defaults(FeatureExtract).layer)
