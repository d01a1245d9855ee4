"""The training loop: what trains, what does not, what is kept."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.vqi.made import RUNTIME, images_record
from vqi.artifacts.images import Images, IndexRow
from vqi.artifacts.training_log import Epoch, best_epoch
from vqi.config import PcaFit, SslFinetune
from vqi.detectors.aggregate import image_scores
from vqi.detectors.pca import Pca
from vqi.digests import sha256_file
from vqi.errors import VqiError
from vqi.metrics import image_auroc
from vqi.network.backbones import Backbone, load_backbone, save_backbone
from vqi.network.building import build
from vqi.network.extraction import Extractor
from vqi.self_supervised.encoder import Encoder
from vqi.self_supervised.methods import finetune
from vqi.self_supervised.training import Trainer, split
from vqi.sizes import square

SIDE = 64
QUICK = {"batch_size": 8, "optimizer": "sgd", "lr": 0.01, "precision": "fp32", "frozen_up_to": ""}
SMALL_HEADS = {"projection_width": 32, "prediction_width": 8}  # of SimSiam: by default they are larger than the network


def parts(train: int = 24, good: int = 8, bad: int = 8) -> Images:
    """Smooth stripes; in the bad ones a small piece is moved."""
    random = np.random.default_rng(0)
    pictures, index = [], []
    for i in range(train + good + bad):
        phase, tilt = random.uniform(0, 6.28), random.uniform(-0.05, 0.05)
        y, x = np.mgrid[:SIDE, :SIDE]
        grey = 127 + 90 * np.sin(0.4 * x + tilt * y + phase) + random.normal(0, 4, (SIDE, SIDE))
        label = int(i >= train + good)
        if label:
            top, left = random.integers(4, SIDE - 24, 2)
            grey[top : top + 10, left : left + 10] = grey[top : top + 10, left + 2 : left + 12].copy()
        pictures.append(np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2))
        name = "train" if i < train else "test"
        index.append(IndexRow(f"{i}.png", name, label, "moved" if label else "good", None, "0" * 64, 0, 0))
    return Images(np.stack(pictures), np.zeros((0, SIDE, SIDE), bool), index, images_record(image_size=SIDE))


@pytest.fixture(scope="module")
def images() -> Images:
    return parts()


@pytest.fixture(scope="module")
def parent() -> Backbone:
    return build("resnet18", "random", 0, square(SIDE))


def settings(method: str = "cutpaste", epochs: int = 2, layer: str = "layer2", **options: Any) -> SslFinetune:
    quick = QUICK | SMALL_HEADS if method == "simsiam" else QUICK
    return SslFinetune(
        method=method, backbone_name="resnet18", weights="random", epochs=epochs, layer=layer, finetune=quick | options
    )


def moved(a: Backbone, b: Backbone) -> set[str]:
    """The names of all weights and running statistics that differ."""
    theirs = b.model.state_dict()
    return {name for name, tensor in a.model.state_dict().items() if not torch.equal(tensor, theirs[name])}


@pytest.mark.parametrize("method", ["simsiam", "cutpaste"])
@pytest.mark.parametrize("frozen_up_to", ["layer1", "auto"])
def test_what_is_not_frozen_moves_and_what_is_frozen_does_not(
    images: Images, parent: Backbone, method: str, frozen_up_to: str
) -> None:
    before = {name: tensor.clone() for name, tensor in parent.model.state_dict().items()}
    options = {"frozen_up_to": frozen_up_to, "batch_norm": "train", "freeze_epochs": 0}
    tuned = finetune(parent, images, settings(method, **options))
    changed = moved(tuned.backbone, parent)
    assert {"layer2.0.conv1.weight", "layer2.1.bn2.weight", "layer2.1.bn2.running_mean"} <= changed
    assert {name.partition(".")[0] for name in changed} == {"layer2"}, "neither what is frozen nor what comes after"
    assert all(torch.equal(tensor, before[name]) for name, tensor in parent.model.state_dict().items())
    assert set(tuned.before) == changed
    assert all(torch.equal(tensor, before[name]) for name, tensor in tuned.before.items())


@pytest.mark.parametrize(("batch_norm", "statistics_move"), [("frozen", False), ("train", True)])
def test_statistics_of_batch_normalisation(
    images: Images, parent: Backbone, batch_norm: str, statistics_move: bool
) -> None:
    tuned = finetune(parent, images, settings(freeze_epochs=0, batch_norm=batch_norm))
    changed = moved(tuned.backbone, parent)
    assert "layer2.1.bn2.weight" in changed
    assert any(name.endswith(("running_mean", "running_var", "num_batches_tracked")) for name in changed) is (
        statistics_move
    )


def test_while_frozen_nothing_in_the_backbone_moves(
    images: Images, parent: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, bool]] = []
    original = Trainer.epoch

    def watched(self: Trainer, number: int, *rest: Any) -> Epoch:
        before = self._weights()
        result = original(self, number, *rest)
        after = self._weights()
        seen.append((result.backbone_trains, any(not torch.equal(after[name], before[name]) for name in before)))
        return result

    monkeypatch.setattr(Trainer, "epoch", watched)
    finetune(parent, images, settings(epochs=3, freeze_epochs=2, batch_norm="train"))
    assert seen == [(0, False), (0, False), (1, True)]


def test_training_at_another_size(images: Images, parent: Backbone) -> None:
    small = finetune(parent, images, settings(freeze_epochs=0, image_size=32))
    assert moved(small.backbone, parent)
    assert moved(small.backbone, finetune(parent, images, settings(freeze_epochs=0)).backbone)


@pytest.mark.parametrize("method", ["cutpaste", "simsiam"])
@pytest.mark.parametrize(("side", "size"), [(0, (96, 32)), (64, (96, 64))])
def test_images_that_are_not_square(
    method: str, side: int, size: tuple[int, int], images: Images, parent: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    tall = replace(
        images,
        images=np.concatenate([images.images[:, :, :32], images.images[:, :32, :32]], axis=1),
        record=images_record(image_size=[96, 32]),
    )
    seen, forward = set(), Encoder.forward

    def watched(self: Encoder, batch: torch.Tensor) -> torch.Tensor:
        seen.add(tuple(batch.shape[2:]))
        return forward(self, batch)

    monkeypatch.setattr(Encoder, "forward", watched)
    more = SMALL_HEADS if method == "simsiam" else {}
    assert moved(finetune(parent, tall, settings(method, epochs=2, image_size=side, **more)).backbone, parent)
    assert seen == {size}


def test_of_several_layers_the_last_one_is_trained_up_to(images: Images, parent: Backbone) -> None:
    one, several = (finetune(parent, images, settings(layer=layer)) for layer in ("layer2", '["layer3", "layer2"]'))
    assert {name.partition(".")[0] for name in several.before} == {"layer1", "layer2", "conv1", "bn1"}
    assert not moved(one.backbone, several.backbone)


def test_the_record_is_what_is_read_again(images: Images, parent: Backbone, tmp_path: Path) -> None:
    wanted = settings(freeze_epochs=0, patch_area=(0.1, 0.2))
    tuned = finetune(parent, images, wanted)
    made = tuned.record(wanted, "0" * 64)
    save_backbone(tmp_path / "b", tuned.backbone, made)
    loaded = load_backbone(tmp_path / "b", square(SIDE))
    assert loaded.made == made
    assert (made.settings.finetune["head_width"], made.settings.finetune["patch_area"]) == (128, [0.1, 0.2])
    assert (made.best_epoch, made.held_out, made.runtime) == (tuned.best_epoch, tuple(tuned.held_out), tuned.runtime)
    assert loaded.record.weights == "random, seed 0, fine-tuned with cutpaste"


def test_the_layer_cannot_be_frozen_itself(images: Images, parent: Backbone) -> None:
    with pytest.raises(VqiError, match="frozen_up_to 'layer2' is the layer that is read: nothing is left to train"):
        finetune(parent, images, settings(frozen_up_to="layer2"))


def test_same_seed_same_weights_another_seed_others(images: Images, parent: Backbone) -> None:
    first, again = (finetune(parent, images, settings(freeze_epochs=0)) for _ in range(2))
    assert not moved(first.backbone, again.backbone)
    other = settings(freeze_epochs=0).model_copy(update={"seed": 1})
    assert moved(first.backbone, finetune(parent, images, other).backbone)


def test_the_epoch_with_the_best_validation_loss_is_kept(images: Images, parent: Backbone) -> None:
    tuned = finetune(parent, images, settings(epochs=4, freeze_epochs=1))
    assert tuned.best_epoch == best_epoch(tuned.log).epoch > 1
    lrs = [row.lr for row in tuned.log]
    assert lrs == sorted(lrs, reverse=True)


def test_patience(
    images: Images, parent: Backbone, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    losses = iter([0.1, 0.9, 0.5, 0.6, 0.55, 0.4, 0.3])  # the first one is of an epoch in which the head trains alone
    monkeypatch.setattr(Trainer, "measure", lambda self, rows: next(losses))
    tuned = finetune(parent, images, settings(epochs=7, freeze_epochs=1, patience=2))
    assert [row.validation_loss for row in tuned.log] == [0.1, 0.9, 0.5, 0.6, 0.55]
    assert tuned.best_epoch == 3
    assert "no better validation loss for 2 epochs: training ends" in capsys.readouterr().err


def test_the_kept_weights_are_those_of_the_best_epoch(
    images: Images, parent: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[dict[str, torch.Tensor]] = []
    losses = iter([0.5, 0.2, 0.4])

    def measured(self: Trainer, rows: object) -> float:
        kept.append(self._weights())
        return next(losses)

    monkeypatch.setattr(Trainer, "measure", measured)
    tuned = finetune(parent, images, settings(epochs=3, freeze_epochs=0))
    got = tuned.backbone.model.state_dict()
    assert tuned.best_epoch == 2
    assert all(torch.equal(got[name], tensor) for name, tensor in kept[1].items())
    assert not all(torch.equal(got[name], tensor) for name, tensor in kept[2].items())


def test_test_images_have_no_part(images: Images, parent: Backbone) -> None:
    pixels = images.images.copy()
    pixels[images.rows("test")] = 0
    blinded = replace(images, images=pixels)
    tuned, blind = (finetune(parent, one, settings(freeze_epochs=0)) for one in (images, blinded))
    assert not moved(tuned.backbone, blind.backbone)


def test_a_collapse_fails_the_training(images: Images, parent: Backbone) -> None:
    alike = replace(images, images=np.repeat(images.images[:1], len(images.images), axis=0))
    off = {"crop_min_scale": 1, "flip": 0, "jitter": 0, "greyscale": 0, "blur": 0}  # outputs differ by rounding alone
    with pytest.raises(VqiError, match="SimSiam collapsed: the outputs of different images are nearly the same"):
        finetune(parent, alike, settings("simsiam", **off))


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_optimisers(images: Images, parent: Backbone, optimizer: str) -> None:
    lr = 0.001 if optimizer == "adamw" else 0.01
    tuned = finetune(parent, images, settings(epochs=3, optimizer=optimizer, freeze_epochs=0, lr=lr))
    assert tuned.log[-1].train_loss < tuned.log[0].train_loss


def test_the_split_is_of_good_training_images_and_whole(images: Images) -> None:
    options = settings(validation_fraction=0.25).finetune_settings()
    train, held_out = split(images.rows("train"), options, seed=0)
    assert sorted(train + held_out) == images.rows("train")
    assert len(held_out) == 6
    with pytest.raises(VqiError, match="at least 4 good training images, got 3"):
        split([0, 1, 2], options, seed=0)


def test_a_loss_that_is_not_finite(images: Images, parent: Backbone) -> None:
    broken = parts(train=8)
    with pytest.raises(VqiError, match="the loss is not finite in epoch"):
        finetune(parent, broken, settings(epochs=20, lr=10, freeze_epochs=0, weight_decay=1, batch_size=2))


def test_a_training_that_diverged(images: Images, parent: Backbone) -> None:
    with pytest.raises(VqiError, match=r"diverged: the validation loss of the best epoch is \d.*smaller lr"):
        finetune(parent, images, settings(epochs=1, lr=1, freeze_epochs=0))


def test_fine_tuning_separates_what_the_random_backbone_does_not(parent: Backbone) -> None:
    images = parts(train=48, good=20, bad=20)
    labels = np.array([images.index[row].label for row in images.rows("test")])

    def auroc(backbone: Backbone) -> float:
        maps = Extractor(backbone, ["layer2"], 0, 16, RUNTIME).extract(images.images)
        detector = Pca.fit(maps.rows(images.rows("train")), PcaFit(scaling="raw")).detector
        area = image_auroc(labels, image_scores(detector.anomaly_maps(maps.rows(images.rows("test"))), 1))
        assert area is not None
        return area

    tuned = finetune(
        parent, images, settings(epochs=12, variant="normal", freeze_epochs=0, lr=0.03, batch_norm="train")
    )
    assert auroc(parent) < 0.87
    assert auroc(tuned.backbone) > 0.93


def test_what_begins_with_a_checkpoint_is_held_against_it(images: Images, parent: Backbone, tmp_path: Path) -> None:
    other = build("resnet18", "random", 1, square(SIDE))
    state = {f"module.encoder.{n}": t for n, t in other.model.state_dict().items() if not n.startswith("fc.")}
    torch.save({"state_dict": state}, tmp_path / "c.pth")
    given = f"{tmp_path / 'c.pth'}#sha256={sha256_file(tmp_path / 'c.pth')}"
    tuned = finetune(parent, images, settings("simsiam", initial_checkpoint=given, frozen_up_to="layer1"))
    assert (tuned.parent, tuned.backbone.record.weights) == (
        "SimSiam checkpoint c.pth",
        "SimSiam checkpoint c.pth, fine-tuned with simsiam",
    )
    assert tuned.before
    assert {name.partition(".")[0] for name in tuned.before} == {"layer2"}
    assert all(torch.equal(tensor, other.model.state_dict()[name]) for name, tensor in tuned.before.items())


def test_a_backbone_of_one_image_size(images: Images) -> None:
    fixed = build("vit_tiny_patch16_224", "random", 0, square(SIDE))
    wanted = SslFinetune(method="cutpaste", epochs=2, layer="blocks.1", finetune=QUICK | {"image_size": 32})
    with pytest.raises(VqiError, match="finetune image_size 32x32: the backbone takes no images of this size"):
        finetune(fixed, images, wanted)


def test_log(images: Images, parent: Backbone) -> None:
    tuned = finetune(parent, images, settings(freeze_epochs=1))
    assert [(row.epoch, row.backbone_trains, row.figure, row.healthy) for row in tuned.log] == [
        (1, 0, "accuracy", 1.0),
        (2, 1, "accuracy", 1.0),
    ]
    assert all(row.images_per_second > 0 for row in tuned.log)
    assert set(tuned.held_out) < set(images.rows("train"))
