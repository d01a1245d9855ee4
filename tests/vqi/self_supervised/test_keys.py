"""Every key of ``finetune`` does something: another value gives another training."""

from functools import cache
from typing import Any

import pytest

from tests.vqi.self_supervised.test_training import SMALL_HEADS, moved, parts
from vqi.artifacts.images import Images
from vqi.config import FINETUNE, Finetune, SslFinetune
from vqi.errors import VqiError
from vqi.network.backbones import Backbone
from vqi.network.building import build
from vqi.self_supervised.methods import finetune
from vqi.self_supervised.training import Tuned
from vqi.sizes import square

SIDE = 64
QUICK: dict[str, Any] = {"batch_size": 4, "precision": "fp32", "optimizer": "sgd", "lr": 0.01, "freeze_epochs": 0}
START = {"simsiam": QUICK | SMALL_HEADS, "cutpaste": QUICK}
COMMON: dict[str, Any] = {
    "batch_size": 3,
    "optimizer": "adamw",
    "lr": 0.02,
    "weight_decay": 0.5,
    "frozen_up_to": "",
    "batch_norm": "train",
    "freeze_epochs": 1,
    "validation_fraction": 0.4,
    "patience": 1,
    "image_size": 48,
    "precision": "bf16",
}
CHANGED: dict[str, dict[str, Any]] = {
    "simsiam": {
        **COMMON,
        "initial_checkpoint": f"/nowhere/c.pth#sha256={'0' * 64}",
        "projection_width": 24,
        "prediction_width": 16,
        "crop_min_scale": 0.9,
        "flip": 0,
        "jitter": 0,
        "brightness": 0,
        "contrast": 0,
        "saturation": 0,
        "hue": 0,
        "greyscale": 1,
        "blur": 0,
    },
    "cutpaste": {
        **COMMON,
        "variant": "scar",
        "head_layers": 1,
        "head_width": 16,
        "patch_area": (0.3, 0.4),
        "patch_aspect": (1, 1),
        "scar_width": (20, 20),
        "scar_length": (30, 30),
        "scar_rotation": 0,
        "patch_jitter": 0,
    },
}
CASES = [(method, key) for method, changed in CHANGED.items() for key in changed]


@cache
def coloured() -> Images:
    """Pictures in colours, so that each change of colour has an effect."""
    grey = parts(train=10, good=0, bad=0)
    pixels = grey.images.copy()
    pixels[..., 1] //= 2
    return Images(pixels, grey.masks, grey.index, grey.record)


@pytest.fixture(scope="module")
def parent() -> Backbone:
    return build("test_resnet", "random", 0, square(SIDE))


@cache
def unchanged(method: str, epochs: int) -> Tuned:
    return trained(build("test_resnet", "random", 0, square(SIDE)), coloured(), method, START[method], epochs)


def trained(parent: Backbone, images: Images, method: str, options: dict[str, Any], epochs: int) -> Tuned:
    wanted = SslFinetune(
        method=method, backbone_name="test_resnet", weights="random", epochs=epochs, layer="layer2", finetune=options
    )
    return finetune(parent, images, wanted)


@pytest.mark.parametrize(("method", "model"), FINETUNE.items())
def test_each_key_is_tried(method: str, model: type[Finetune]) -> None:
    assert set(CHANGED[method]) == set(model.model_fields)


@pytest.mark.parametrize(("method", "key"), CASES)
def test_another_value_gives_another_training(
    parent: Backbone, method: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, changed = coloured(), START[method] | {key: CHANGED[method][key]}
    if key == "initial_checkpoint":
        with pytest.raises(VqiError, match=r"'/nowhere/c.pth': no such file"):
            trained(parent, images, method, changed, 1)
        return
    if key == "patience":  # the validation loss does not get better, so that it ends early
        monkeypatch.setattr("vqi.self_supervised.training.Trainer.measure", lambda self, rows: 1.0)
        without, other = (trained(parent, images, method, options, 3) for options in (START[method], changed))
        assert (len(without.log), len(other.log)) == (3, 2)
        return
    epochs = 2 if key == "freeze_epochs" else 1
    other = trained(parent, images, method, changed, epochs)
    assert moved(unchanged(method, epochs).backbone, other.backbone)
