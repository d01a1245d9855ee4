"""Features: the form of a layer's output, pooling, normalisation, independence of the batch, what is compiled when."""

import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.vqi.made import RUNTIME, backbone_record, finetune_record, images_record
from vqi.artifacts.backbone import Runtime
from vqi.artifacts.features import in_file, load_features
from vqi.artifacts.images import Images, IndexRow
from vqi.config import FeatureExtract
from vqi.errors import VqiError
from vqi.network import extraction
from vqi.network.backbones import Backbone
from vqi.network.building import build
from vqi.network.extraction import Extractor, to_map
from vqi.network.features import extract_splits
from vqi.network.runtime import compile_network
from vqi.sizes import Size, square


def images_of(count: int, size: int = 64) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)


def identity(mean: tuple[float, ...], std: tuple[float, ...]) -> Backbone:
    """A backbone whose layer returns its input."""
    return Backbone(backbone_record(mean=mean, std=std), nn.Sequential(nn.Identity()))


def runtime_of(engine: str) -> Runtime:
    return RUNTIME.model_copy(update={"engine": engine})


def extractor(
    backbone: Backbone, layers: str | Sequence[str], pool: int = 1, size: int = 4, runtime: Runtime = RUNTIME
) -> Extractor:
    return Extractor(backbone, [layers] if isinstance(layers, str) else layers, pool, size, runtime)


SQUARE = square(64)


@pytest.fixture(scope="module")
def lite0() -> Backbone:
    return build("tf_efficientnet_lite0", "random", size=square(64))


# ---------------------------------------------------------------------------------------------------------------- maps


def test_maps_of_all_forms() -> None:
    wanted = torch.arange(2 * 3 * 4 * 4, dtype=torch.float32).reshape(2, 3, 4, 4)
    assert torch.equal(to_map(wanted, SQUARE), wanted)
    assert torch.equal(to_map(wanted.permute(0, 2, 3, 1), SQUARE, channels_last=True), wanted)
    tokens = wanted.flatten(2).transpose(1, 2)  # B x 16 x C
    assert torch.equal(to_map(tokens, SQUARE), wanted)
    assert torch.equal(to_map(torch.cat([torch.full((2, 2, 3), 9.0), tokens], dim=1), SQUARE, prefix_tokens=2), wanted)
    assert torch.equal(to_map(wanted[:, :, 0, 0], SQUARE), wanted[:, :, :1, :1])
    flat = wanted.reshape(2, 3, 2, 8)
    assert torch.equal(to_map(tokens, Size(32, 128)), flat)


@pytest.mark.parametrize("shape", [(2, 15, 3), (2, 3, 4, 4, 4), (2,)])
def test_what_is_no_map(shape: tuple[int, ...]) -> None:
    with pytest.raises(VqiError, match="is not a feature map; choose another layer"):
        to_map(torch.zeros(shape), SQUARE)


# ------------------------------------------------------------------------------------------------------- normalisation


@pytest.mark.parametrize(
    ("mean", "std"),
    [((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)), ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))],
)
def test_normalisation_is_that_of_the_backbone(mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    images = images_of(3)
    maps = extractor(identity(mean, std), "0").extract(images)
    expected = (images / 255 - np.array(mean)) / np.array(std)  # N x H x W x 3
    assert maps.shapes == ((3, 64, 64),)
    np.testing.assert_allclose(maps.layers[0], expected.transpose(0, 3, 1, 2), atol=2e-6)


def test_embedded_backbone_is_normalised_by_half() -> None:
    lite0 = build("tf_efficientnet_lite0", "pretrained", size=square(64))
    images = images_of(1)
    maps = extractor(lite0, "conv_stem").extract(images)
    pixels = torch.from_numpy((images / 255 - 0.5) / 0.5).float().permute(0, 3, 1, 2)
    with torch.inference_mode():
        expected = lite0.model.conv_stem(pixels).numpy()  # type: ignore[operator]
    np.testing.assert_allclose(maps.layers[0], expected, rtol=1e-4, atol=1e-5)


# ------------------------------------------------------------------------------------------------------------- pooling


@pytest.mark.parametrize(("pool", "side"), [(1, 64), (2, 32), (4, 16), (0, 1)])
def test_pooling(pool: int, side: int) -> None:
    images = images_of(2)
    maps = extractor(identity((0.0,) * 3, (1.0,) * 3), "0", pool).extract(images)
    step = 64 // side
    expected = (images / 255).reshape(2, side, step, side, step, 3).mean(axis=(2, 4)).transpose(0, 3, 1, 2)
    assert maps.shapes == ((3, side, side),)
    np.testing.assert_allclose(maps.layers[0], expected, atol=1e-6)


def test_pool_applies_to_each_layer(lite0: Backbone) -> None:
    layers = ["blocks.2", "blocks.4"]
    full, pooled = (extractor(lite0, layers, pool).extract(images_of(2)) for pool in (1, 2))
    assert (full.shapes, pooled.shapes) == (((40, 8, 8), (112, 4, 4)), ((40, 4, 4), (112, 2, 2)))
    for one, two in zip(full.layers, pooled.layers, strict=True):
        n, c, h, w = two.shape
        np.testing.assert_allclose(one.reshape(n, c, h, 2, w, 2).mean(axis=(3, 5)), two, rtol=1e-4, atol=1e-5)


def test_a_pool_larger_than_the_map(lite0: Backbone) -> None:
    with pytest.raises(VqiError, match="pool 5 does not fit the layer's map"):
        extractor(lite0, ["blocks.1", "blocks.5"], 5).extract(images_of(1))


# ------------------------------------------------------------------------------------------------------------- batches


@pytest.mark.parametrize("engine", ["eager", "openvino"])
def test_features_do_not_depend_on_the_neighbours(lite0: Backbone, engine: str) -> None:
    """Bit for bit: alone, in the middle of a batch and in one that is not full."""
    images = images_of(7)
    one = extractor(lite0, ["blocks.3", "blocks.1"], runtime=runtime_of(engine))
    together = one.extract(images)
    assert together.shapes == ((80, 4, 4), (24, 16, 16))
    for row in (0, 3, 6):
        for alone in (one.extract(images, [row]), one.extract(images[row : row + 1])):
            for a, b in zip(alone.layers, together.layers, strict=True):
                np.testing.assert_array_equal(a[0], b[row])
    turned = one.extract(images, list(range(6, -1, -1)))
    np.testing.assert_array_equal(turned.layers[1][::-1], together.layers[1])


def test_no_images(lite0: Backbone) -> None:
    maps = extractor(lite0, "blocks.3", 0).extract(images_of(0))
    assert (len(maps), maps.shapes) == (0, ((80, 1, 1),))


def test_features_that_are_not_finite() -> None:
    with pytest.raises(VqiError, match="the features hold NaN or infinity in fp32"):
        extractor(identity((0.0,) * 3, (0.0, 1.0, 1.0)), "0").extract(images_of(1))


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
    maps = extractor(build(name, "random", size=square(64)), layer, size=2).extract(images_of(2))
    assert maps.shapes == (shape,)
    assert not np.array_equal(maps.layers[0][0], maps.layers[0][1])


@pytest.mark.parametrize(
    ("name", "layer", "shape"),
    [
        ("tf_efficientnet_lite0", "blocks.2", (40, 12, 4)),
        ("vit_tiny_patch16_224", "blocks.2", (192, 6, 2)),
        ("swin_t", "features.3", (192, 12, 4)),
    ],
)
def test_images_that_are_not_square(name: str, layer: str, shape: tuple[int, int, int]) -> None:
    tall = np.random.default_rng(0).integers(0, 256, (2, 96, 32, 3), dtype=np.uint8)
    maps = extractor(build(name, "random", size=Size(96, 32)), layer, size=2).extract(tall)
    assert maps.shapes == (shape,)


def test_a_backbone_of_square_images() -> None:
    with pytest.raises(
        VqiError, match="torchvision/vit_b_32 takes only square images, not 32x96: set image_size to one"
    ):
        build("torchvision/vit_b_32", "random", size=Size(96, 32))


# ------------------------------------------------------------------------------------------------------------ compiling


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The batch sizes that were compiled, in order."""
    sizes: list[int] = []

    def counted(network: Any, example: torch.Tensor, runtime: Runtime) -> Any:
        sizes.append(len(example))
        return compile_network(network, example, runtime)

    monkeypatch.setattr(extraction, "compile_network", counted)
    return sizes


@pytest.mark.parametrize("engine", ["openvino", "eager"])
def test_compiled_once_when_needed(lite0: Backbone, compiled: list[int], engine: str) -> None:
    one = extractor(lite0, "blocks.3", size=4, runtime=runtime_of(engine))
    assert compiled == []
    for count in (1, 5, 2):
        one.extract(images_of(count))
        assert compiled == [4], "one size of a batch: another gives an image other bits"


@pytest.mark.parametrize("engine", ["openvino", "eager"])
def test_an_image_has_the_same_bits_whichever_others_come_with_it(lite0: Backbone, engine: str) -> None:
    one, images = extractor(lite0, "blocks.3", size=4, runtime=runtime_of(engine)), images_of(6)
    whole = one.extract(images).layers[0]
    np.testing.assert_array_equal(one.extract(images[:1]).layers[0], whole[:1])
    np.testing.assert_array_equal(one.extract(images[4:]).layers[0], whole[4:])


def test_several_threads_compile_once_and_get_their_own(lite0: Backbone, compiled: list[int]) -> None:
    one, images = extractor(lite0, "blocks.3", size=4, runtime=runtime_of("openvino")), images_of(8)
    got: dict[int, np.ndarray] = {}

    def work(row: int) -> None:
        got[row] = one.extract(images, [row]).layers[0]

    workers = [threading.Thread(target=work, args=(row,)) for row in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert compiled == [4]
    np.testing.assert_array_equal(np.concatenate([got[row] for row in range(8)]), one.extract(images).layers[0])


def test_progress_is_said_where_it_is_wanted(lite0: Backbone, capsys: pytest.CaptureFixture[str]) -> None:
    one = extractor(lite0, "blocks.3")
    one.extract(images_of(1))
    assert capsys.readouterr().err == ""
    one.extract(images_of(5), progress="batches")
    assert "batches: 2/2 (100 %)" in capsys.readouterr().err


def test_auto_does_not_import_ipex() -> None:
    """Importing it starts compile workers, and changes what torch computes from then on."""
    code = (
        "import sys, numpy as np; from vqi.network.building import build; from vqi.network.engines import choose; "
        "from vqi.network.extraction import Extractor; runtime = choose('auto', 'auto'); "
        "images = np.zeros((1, 64, 64, 3), np.uint8); "
        "Extractor(build('resnet18', 'random'), ['layer1'], 1, 4, runtime).extract(images); "
        "print(runtime.engine, 'intel_extension_for_pytorch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["openvino", "False"]


# --------------------------------------------------------------------------------------------------------- the artifact


def test_the_artifact_has_both_splits_and_both_backbones(lite0: Backbone) -> None:
    index = [IndexRow(f"{i}.png", "train" if i % 2 else "test", 0, "good", None, "", 0, 0) for i in range(7)]
    images = Images(images_of(7), np.zeros((0, 64, 64), np.bool_), index, images_record(image_size=64))
    settings = FeatureExtract(layer='["blocks.3", "blocks.1"]', pool=0, engine="eager", precision="fp32", batch_size=4)
    made = finetune_record(best_epoch=3)
    parent = build("tf_efficientnet_lite0", "random", 1, size=square(64))
    features = extract_splits(images, replace(lite0, made=made), settings, parent)
    expected = extractor(lite0, settings.layers, 0).extract(images.images)
    for got, rows in ((features.train, [1, 3, 5]), (features.test, [0, 2, 4, 6])):
        for one, all_of_them in zip(got.layers, expected.layers, strict=True):
            np.testing.assert_array_equal(one, all_of_them[rows])
    assert features.parent is not None
    assert [one.shapes for one in features.parent] == [features.train.shapes] * 2
    assert not np.array_equal(features.parent[0].layers[0], features.train.layers[0])
    record = features.record
    assert (record.finetune, record.backbone, record.images) == (made, lite0.record, images.record)
    assert (record.runtime.engine, record.settings) == ("eager", settings)
    assert features.calibration is None
    with pytest.raises(ValueError, match="nothing says what made it"):
        extract_splits(images, lite0, settings)


def test_features_are_written_where_they_are_computed(lite0: Backbone, tmp_path: Path) -> None:
    """Not by way of the memory: with 7 images in batches of 4, a batch has images of both splits."""
    index = [IndexRow(f"{i}.png", "train" if i % 2 else "test", 0, "good", None, "", i, i) for i in range(7)]
    images = Images(images_of(7), np.zeros((0, 64, 64), np.bool_), index, images_record(image_size=64))
    settings = FeatureExtract(layer='["blocks.3", "blocks.1"]', pool=1, engine="eager", precision="fp32", batch_size=4)
    backbone = replace(lite0, made=finetune_record())
    parent = build("tf_efficientnet_lite0", "random", 1, size=square(64))
    with in_file(tmp_path / "features") as place:
        written = extract_splits(images, backbone, settings, parent, place)
        assert all(isinstance(one, np.memmap) for one in written.train.layers)
        assert not (tmp_path / "features").exists(), "whole or not at all"
    loaded, expected = load_features(tmp_path / "features"), extract_splits(images, backbone, settings, parent)
    assert loaded.record == expected.record
    of_both = ([one.train, one.test, *(one.parent or ())] for one in (loaded, expected))
    for got, wanted in zip(*of_both, strict=True):
        for one, other in zip(got.layers, wanted.layers, strict=True):
            np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(loaded.groups, expected.groups)
    with pytest.raises(VqiError, match="unknown layer"), in_file(tmp_path / "none") as place:
        extract_splits(images, backbone, settings.model_copy(update={"layer": "blocks.77"}), None, place)
    assert [path.name for path in tmp_path.iterdir()] == ["features"]


def test_the_artifact_has_the_images_for_calibration_that_show_no_part_that_trains(lite0: Backbone) -> None:
    splits = ["train", "train", "calibration", "calibration", "calibration", "test"]
    parts, groups = [0, 1, 1, 3, 4, 5], [0, 0, 0, 7, 7, 8]
    index = [
        IndexRow(f"{i}.png", split, 0, "good", None, "", part, number)
        for i, (split, part, number) in enumerate(zip(splits, parts, groups, strict=True))
    ]
    images = Images(images_of(6), np.zeros((0, 64, 64), np.bool_), index, images_record(image_size=64))
    settings = FeatureExtract(layer="blocks.1", pool=0, engine="eager", precision="fp32", batch_size=4)
    parent = build("tf_efficientnet_lite0", "random", 1, size=square(64))
    features = extract_splits(images, replace(lite0, made=finetune_record()), settings, parent)
    expected = extractor(lite0, settings.layers, 0).extract(images.images).layers[0]
    assert features.calibration is not None
    np.testing.assert_array_equal(features.calibration.maps.layers[0], expected[[3, 4]])
    np.testing.assert_array_equal(features.test.layers[0], expected[[5]])
    assert (features.calibration.parts.tolist(), features.calibration.groups.tolist()) == ([3, 4], [7, 7])
    assert (features.train_parts.tolist(), features.groups.tolist()) == ([0, 1], [0, 0])
    assert features.parent is not None
    assert [len(one) for one in features.parent] == [2, 1]
