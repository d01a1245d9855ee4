"""A backbone cut off after a layer gives what the whole model gives there."""

import copy

import pytest
import torch
from torch import nn

from vqi.errors import VqiError
from vqi.network.backbones import find_layer
from vqi.network.building import build
from vqi.network.truncation import _Hooked, trainable, truncate
from vqi.sizes import square

CASES = [
    ("resnet18", "layer3"),
    ("resnet18", "layer2.0.conv1"),
    ("tf_efficientnet_lite0", "blocks.5"),
    ("tf_efficientnet_lite0", "blocks.2.1.bn2"),
    ("densenet121", "features.denseblock2"),
    ("timm/resnet18", "layer2"),
    ("vit_tiny_patch16_224", "blocks.3"),
    ("swin_t", "features.3"),
    ("mobilenet_v3_small", "features.4"),
]


def with_statistics(model: nn.Module) -> nn.Module:
    """Batch normalisation as after training: with statistics that are not 0 and 1, else folding is not tested."""
    random = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low in ((module.running_mean, -0.2), (module.running_var, 0.5)):
                assert tensor is not None
                tensor.copy_(torch.rand(tensor.shape, generator=random) * 0.5 + low)
            module.weight.data = torch.rand(module.weight.shape, generator=random) + 0.5
            module.bias.data = torch.rand(module.bias.shape, generator=random) - 0.5
    return model


def hooked_output(model: nn.Module, layer: str, images: torch.Tensor) -> torch.Tensor:
    kept: list[torch.Tensor] = []
    handle = find_layer(model, layer).register_forward_hook(lambda _, __, output: kept.append(output.clone()))
    model.eval()(images)
    handle.remove()
    return kept[-1]


@pytest.mark.parametrize(("name", "layer"), CASES)
def test_output_is_that_of_the_whole_model(name: str, layer: str) -> None:
    model = with_statistics(build(name, "random", size=square(64)).model)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = hooked_output(model, layer, images)
        before = copy.deepcopy(model.state_dict())
        (got,) = truncate(model, [layer])(images)
    assert got.shape == expected.shape
    assert torch.linalg.norm(got - expected) <= 1e-4 * torch.linalg.norm(expected)
    after = model.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize(("name", "layer"), [("resnet18", "layer3"), ("tf_efficientnet_lite0", "blocks.5")])
def test_what_comes_after_the_layer_and_batch_norm_are_gone(name: str, layer: str) -> None:
    model = build(name, "random").model
    cut = truncate(model, [layer])
    assert not [module for module in cut.modules() if isinstance(module, nn.BatchNorm2d)]
    assert not cut.training
    size = sum(parameter.numel() for parameter in cut.parameters())
    assert size < 0.6 * sum(parameter.numel() for parameter in model.parameters())


def test_batch_norm_is_kept_where_something_else_reads_the_convolution() -> None:
    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm, self.last = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Identity()

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            branch = self.conv(images)
            result: torch.Tensor = self.last(self.norm(branch) + branch)
            return result

    model = with_statistics(Branching()).eval()
    cut = truncate(model, ["last"])
    assert [module for module in cut.modules() if isinstance(module, nn.BatchNorm2d)]
    images = torch.randn(1, 3, 8, 8)
    with torch.inference_mode():
        torch.testing.assert_close(cut(images), (model(images),))


def test_a_model_with_control_flow_is_run_whole() -> None:
    class Deciding(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 3)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = self.second(self.first(images))
            return result * 2 if result.mean() > 0 else result

    model = Deciding()
    cut = truncate(model, ["first", "second"])
    assert isinstance(cut, _Hooked)
    images = torch.randn(1, 3, 8, 8)
    with torch.inference_mode():
        for _ in range(2):  # nothing is left over from the previous call
            first = model.first(images)
            torch.testing.assert_close(cut(images), (first, model.second(first)))


def test_unknown_layer() -> None:
    with pytest.raises(VqiError, match="unknown layer 'layer9'"):
        truncate(build("resnet18", "random").model, ["layer1", "layer9"])


SEVERAL = [
    ("resnet18", ["layer1", "layer2", "layer3"]),
    ("resnet18", ["layer3", "layer1"]),  # not in the network's order
    ("resnet18", ["layer2.0", "layer2", "layer2.0.conv1"]),  # one in the other
    ("tf_efficientnet_lite0", ["blocks.2", "blocks.3.0.conv_pw", "blocks.5"]),
    ("vit_tiny_patch16_224", ["blocks.5", "blocks.3"]),
    ("swin_t", ["features.1", "features.3"]),
]


@pytest.mark.parametrize(("name", "layers"), SEVERAL)
def test_several_layers_in_the_order_in_which_they_are_named(name: str, layers: list[str]) -> None:
    model = with_statistics(build(name, "random", size=square(64)).model)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        got = truncate(model, layers)(images)
        for layer, output in zip(layers, got, strict=True):
            expected = hooked_output(model, layer, images)
            assert output.shape == expected.shape
            assert torch.linalg.norm(output - expected) <= 1e-4 * torch.linalg.norm(expected), layer


@pytest.mark.parametrize("layers", [["layer3", "layer3.1"], ["layer3.1", "layer2", "layer3"]])
def test_two_names_of_one_output(layers: list[str]) -> None:
    with pytest.raises(VqiError, match=r"layers 'layer3.1' and 'layer3' have the same output: name one of them"):
        truncate(build("resnet18", "random").model, layers)


def test_a_layer_that_gives_nothing() -> None:
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.idle = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = self.used(images)
            return result * 2 if result.mean() > 0 else result

    with pytest.raises(VqiError, match="layer 'idle' gives no tensor: choose another"):
        truncate(Idle(), ["used", "idle"])(torch.rand(1, 3, 8, 8))


SECTIONS = [
    ("resnet18", "layer2", "layer3"),
    ("tf_efficientnet_lite0", "blocks.4", "blocks.5"),
    ("torchvision/efficientnet_b0", "features.3", "features.5"),
    ("swin_tiny_patch4_window7_224", "layers.0", "layers.1"),
]


@pytest.mark.parametrize(("name", "behind", "layer"), SECTIONS)
def test_a_section_goes_on_where_the_part_before_it_ends(name: str, behind: str, layer: str) -> None:
    model = with_statistics(build(name, "random", 0, square(224)).model).eval()
    images = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    section = trainable(model, layer, behind).eval()
    with torch.inference_mode():
        whole = trainable(model, layer).eval()(images)
        torch.testing.assert_close(section(trainable(model, behind).eval()(images)), whole, rtol=0, atol=0)
    within = {id(parameter) for parameter in find_layer(model, layer).parameters()}
    before = {id(parameter) for parameter in find_layer(model, behind).parameters()}
    trained = {id(parameter) for parameter in section.parameters()}
    assert trained >= within, "it shares the weights of the model"
    assert not trained & before


@pytest.mark.parametrize(
    ("name", "behind", "message"),
    [
        ("resnet18", "layer3.0.conv1", "does not follow from its output alone: choose the end of a stage"),
        ("resnet18", "layer4", "does not follow from its output alone"),
        ("resnet18", "layer3.1", "layers 'layer3.1' and 'layer3' have the same output"),
        ("resnet18", "layer33", "unknown layer 'layer33'"),
        ("vit_tiny_patch16_224", "blocks.2", "cannot be cut after 'blocks.2'"),
    ],
)
def test_where_no_section_can_begin(name: str, behind: str, message: str) -> None:
    layer = "blocks.3" if name.startswith("vit") else "layer3"
    with pytest.raises(VqiError, match=message):
        trainable(build(name, "random", 0, square(224)).model.eval(), layer, behind)
