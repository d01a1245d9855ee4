"""Features: the form of a layer's output, pooling, normalisation, and independence of the batch."""

import numpy as np
import pytest
import torch
from torch import nn

from vqi.errors import VqiError
from vqi.network.backbones import Backbone, build
from vqi.network.features import FeatureNetwork, extract, to_map
from vqi.network.runtime import Runtime

EAGER = Runtime("eager", "fp32", "a test")


def images_of(count: int, size: int = 64) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)


def identity(mean: tuple[float, ...], std: tuple[float, ...]) -> Backbone:
    """A backbone whose layer gives its input back."""
    return Backbone("identity", nn.Sequential(nn.Identity()), mean, std, "", "")


@pytest.fixture(scope="module")
def lite0() -> Backbone:
    return build("tf_efficientnet_lite0", "random", image_size=64)


# ---------------------------------------------------------------------------------------------------------------- maps


def test_maps_of_all_forms() -> None:
    wanted = torch.arange(2 * 3 * 4 * 4, dtype=torch.float32).reshape(2, 3, 4, 4)
    assert torch.equal(to_map(wanted), wanted)
    assert torch.equal(to_map(wanted.permute(0, 2, 3, 1), channels_last=True), wanted)
    tokens = wanted.flatten(2).transpose(1, 2)  # B x 16 x C
    assert torch.equal(to_map(tokens), wanted)
    assert torch.equal(to_map(torch.cat([torch.full((2, 2, 3), 9.0), tokens], dim=1), prefix_tokens=2), wanted)
    assert torch.equal(to_map(wanted[:, :, 0, 0]), wanted[:, :, :1, :1])


@pytest.mark.parametrize("shape", [(2, 15, 3), (2, 3, 4, 4, 4), (2,)])
def test_what_is_no_map(shape: tuple[int, ...]) -> None:
    with pytest.raises(VqiError, match="is no feature map; choose another layer"):
        to_map(torch.zeros(shape))


# ------------------------------------------------------------------------------------------------------- normalisation


@pytest.mark.parametrize(
    ("mean", "std"),
    [((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)), ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))],
)
def test_normalisation_is_that_of_the_backbone(mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    images = images_of(3)
    features, shape = extract(images, [0, 1, 2], FeatureNetwork(identity(mean, std), "0", 1), 2, EAGER)
    expected = (images / 255 - np.array(mean)) / np.array(std)  # N x H x W x 3
    assert shape == (3, 64, 64)
    np.testing.assert_allclose(features.reshape(3, *shape), expected.transpose(0, 3, 1, 2), atol=2e-6)


def test_embedded_backbone_is_normalised_by_half() -> None:
    lite0 = build("tf_efficientnet_lite0", "pretrained", image_size=64)
    images = images_of(1)
    features, shape = extract(images, [0], FeatureNetwork(lite0, "conv_stem", 1), 1, EAGER)
    pixels = torch.from_numpy((images / 255 - 0.5) / 0.5).float().permute(0, 3, 1, 2)
    with torch.inference_mode():
        expected = lite0.model.conv_stem(pixels).numpy()  # type: ignore[operator]
    np.testing.assert_allclose(features.reshape(1, *shape), expected, rtol=1e-4, atol=1e-5)


# ------------------------------------------------------------------------------------------------------------- pooling


@pytest.mark.parametrize(("pool", "side"), [(1, 64), (2, 32), (4, 16), (0, 1)])
def test_pooling(pool: int, side: int) -> None:
    images = images_of(2)
    network = FeatureNetwork(identity((0.0,) * 3, (1.0,) * 3), "0", pool)
    features, shape = extract(images, [0, 1], network, 2, EAGER)
    step = 64 // side
    expected = (images / 255).reshape(2, side, step, side, step, 3).mean(axis=(2, 4)).transpose(0, 3, 1, 2)
    assert shape == (3, side, side)
    np.testing.assert_allclose(features.reshape(2, *shape), expected, atol=1e-6)


def test_a_pool_larger_than_the_map(lite0: Backbone) -> None:
    with pytest.raises(VqiError, match="pool 5 does not fit the layer's map"):
        extract(images_of(1), [0], FeatureNetwork(lite0, "blocks.5", 5), 1, EAGER)


# ------------------------------------------------------------------------------------------------------------- batches


def test_features_do_not_depend_on_the_neighbours(lite0: Backbone) -> None:
    """Bit for bit: alone, in the middle of a batch and in one that is not full."""
    images = images_of(7)
    network = FeatureNetwork(lite0, "blocks.3", 1)
    together, shape = extract(images, list(range(7)), network, 4, EAGER)
    assert shape == (80, 4, 4)
    for row in (0, 3, 6):
        alone, _ = extract(images, [row], network, 4, EAGER)
        np.testing.assert_array_equal(alone[0], together[row])
    reversed_rows, _ = extract(images, list(range(6, -1, -1)), network, 4, EAGER)
    np.testing.assert_array_equal(reversed_rows[::-1], together)


def test_no_rows(lite0: Backbone) -> None:
    features, shape = extract(images_of(1), [], FeatureNetwork(lite0, "blocks.3", 0), 4, EAGER)
    assert (features.shape, shape) == ((0, 80), (80, 1, 1))


def test_features_that_are_not_finite() -> None:
    with pytest.raises(VqiError, match="the features hold NaN or infinity in fp32"):
        extract(images_of(1), [0], FeatureNetwork(identity((0.0,) * 3, (0.0, 1.0, 1.0)), "0", 1), 1, EAGER)


@pytest.mark.parametrize(
    ("name", "layer", "shape"),
    [
        ("vit_tiny_patch16_224", "blocks.2", (192, 4, 4)),
        ("swin_tiny_patch4_window7_224", "layers.1", (192, 8, 8)),
        ("swin_t", "features.3", (192, 8, 8)),
        ("vit_b_32", "encoder.layers.encoder_layer_1", (768, 2, 2)),
        ("resnet18", "avgpool", (512, 1, 1)),
    ],
)
def test_other_kinds_of_backbones(name: str, layer: str, shape: tuple[int, int, int]) -> None:
    network = FeatureNetwork(build(name, "random", image_size=64), layer, 1)
    features, got = extract(images_of(2), [0, 1], network, 2, EAGER)
    assert got == shape
    assert not np.array_equal(features[0], features[1])
