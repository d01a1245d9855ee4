"""The training loop that all methods share. Imports torch.

A share of the good training images is held out; their loss chooses the epoch whose weights are kept. Test images are
never seen. Whatever is random in an epoch comes from a generator seeded with the seed and the number of the epoch.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from vqi.artifacts import Images
from vqi.backbones import Backbone
from vqi.config import Finetune, SslFinetune
from vqi.errors import VqiError
from vqi.features import to_map
from vqi.processor import threads
from vqi.progress import message, track
from vqi.runtime import choose
from vqi.self_supervised.method import Method, Step
from vqi.truncation import trainable


@dataclass(frozen=True)
class Epoch:
    """A row of the training log."""

    epoch: int
    backbone_trains: int  # 0 while only the method's own layers train
    lr: float
    train_loss: float
    validation_loss: float
    health: float
    images_per_second: float


@dataclass(frozen=True)
class Tuned:
    """A fine-tuned backbone, and how it came to be."""

    backbone: Backbone
    log: Sequence[Epoch] = ()
    best_epoch: int = 0


class Encoder(nn.Module):
    """Images (B, 3, H, W) in [0, 1] -> the pooled output of a layer (B, C)."""

    def __init__(self, backbone: Backbone, layer: str) -> None:
        super().__init__()
        self.network = trainable(backbone.model, layer)
        self.channels_last, self.prefix_tokens = backbone.channels_last, backbone.prefix_tokens
        self.mean: torch.Tensor
        self.std: torch.Tensor
        self.register_buffer("mean", torch.tensor(backbone.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(backbone.std).view(1, 3, 1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) -> (B, C)."""
        normalised = ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        feature_map = to_map(self.network(normalised), self.channels_last, self.prefix_tokens)  # B x C x h x w
        return feature_map.mean(dim=(2, 3))

    def set_training(self, training: bool, frozen: Sequence[nn.Module]) -> None:
        """Training mode and gradients for all but the frozen layers, whose running statistics stand still too."""
        self.train(training)
        for parameter in self.parameters():
            parameter.requires_grad_(training)
        for module in frozen:
            module.eval()
            for parameter in module.parameters():
                parameter.requires_grad_(False)


def train(parent: Backbone, images: Images, settings: SslFinetune, make: type[Method]) -> Tuned:
    """Fine-tune a copy of ``parent`` on the good training images.

    Raises:
        VqiError: Too few images, a layer that does not exist, or a training that has gone wrong.
    """
    options = settings.finetune_settings()
    torch.set_num_threads(threads())
    torch.manual_seed(settings.seed)
    backbone = replace(parent, model=copy.deepcopy(parent.model))
    frozen = frozen_modules(backbone.model, options.frozen_layers)
    encoder = Encoder(backbone, settings.layer)
    rows, held_out = split(images.rows("train"), options, settings.seed)
    precision = choose("eager", options.precision).precision
    loop = _Loop(images.images, encoder, make(_width(encoder, images), options), options, precision, settings)
    log: list[Epoch] = []
    best, best_epoch, best_state = math.inf, 0, backbone.model.state_dict()
    for epoch in range(1, settings.epochs + 1):
        row = loop.epoch(epoch, rows, held_out, frozen)
        log.append(row)
        message(describe(row, settings.epochs))
        if row.backbone_trains and row.validation_loss < best:
            best, best_epoch = row.validation_loss, epoch
            best_state = copy.deepcopy(backbone.model.state_dict())
        if (
            options.patience
            and row.backbone_trains
            and epoch - max(best_epoch, options.freeze_epochs) >= options.patience
        ):
            message(f"no better validation loss for {options.patience} epochs: training ends")
            break
    loop.method.check_health(log[-1].health)
    backbone.model.load_state_dict(best_state)
    for parameter in backbone.model.parameters():
        parameter.requires_grad_(True)
    message(f"the weights of epoch {best_epoch} are kept, with a validation loss of {best:.4f}")
    weights = f"{parent.weights}, fine-tuned with {settings.method}"
    return Tuned(replace(backbone, model=backbone.model.eval(), weights=weights), log, best_epoch)


def split(rows: Sequence[int], options: Finetune, seed: int) -> tuple[list[int], list[int]]:
    """Rows that train and rows that are held out.

    Raises:
        VqiError: There are too few for two of each.
    """
    held_out = max(2, round(options.validation_fraction * len(rows)))
    if len(rows) - held_out < 2:
        raise VqiError(f"fine-tuning needs at least 4 good training images, got {len(rows)}: add images to train/good")
    order = [rows[i] for i in np.random.default_rng(seed).permutation(len(rows))]
    return order[held_out:], sorted(order[:held_out])


def frozen_modules(model: nn.Module, names: Sequence[str]) -> list[nn.Module]:
    """The layers that never train: those named, or whose name begins with that and a dot.

    Raises:
        VqiError: No layer has that name.
    """
    modules = dict(model.named_modules())
    found = []
    for name in names:
        if not name or name not in modules:
            raise VqiError(f"frozen_layers: no layer '{name}': 'vqi layers <backbone>' lists them")
        found.append(modules[name])
    return found


def describe(row: Epoch, epochs: int) -> str:
    """An epoch as a line of the log."""
    part = "" if row.backbone_trains else ", backbone frozen"
    return (
        f"epoch {row.epoch}/{epochs}{part}: loss {row.train_loss:.4f}, validation {row.validation_loss:.4f}, health "
        f"{row.health:.2f}, lr {row.lr:.2g}, {row.images_per_second:.1f} images/s"
    )


class _Loop:
    """What one epoch needs."""

    def __init__(
        self,
        images: npt.NDArray[np.uint8],
        encoder: Encoder,
        method: Method,
        options: Finetune,
        precision: str,
        settings: SslFinetune,
    ) -> None:
        self.images, self.encoder, self.method, self.options = images, encoder, method, options
        self.bf16, self.seed, self.epochs = precision == "bf16", settings.seed, settings.epochs
        fixed = {id(parameter) for parameter in method.fixed_lr_parameters()}
        moving = [p for p in (*encoder.parameters(), *method.parameters()) if id(p) not in fixed]
        groups = [{"params": moving}]
        if fixed:
            groups.append({"params": method.fixed_lr_parameters()})
        lr, decay = method.base_lr(), options.weight_decay
        self.optimizer: torch.optim.Optimizer = (
            torch.optim.SGD(groups, lr=lr, momentum=0.9, weight_decay=decay)
            if options.optimizer == "sgd"
            else torch.optim.AdamW(groups, lr=lr, weight_decay=decay)
        )

    def epoch(self, number: int, rows: Sequence[int], held_out: Sequence[int], frozen: Sequence[nn.Module]) -> Epoch:
        """Train on ``rows``, then measure ``held_out``."""
        trains = number > self.options.freeze_epochs
        self.encoder.set_training(trains, frozen)
        self.method.train()
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
        order = [rows[i] for i in torch.randperm(len(rows), generator=generator).tolist()]
        batches = in_batches(order, self.options.batch_size)
        began, total, health = time.monotonic(), 0.0, 0.0
        lr = self.method.base_lr()
        for index, batch in enumerate(track(batches, len(batches), f"epoch {number}")):
            done = (number - 1 + index / len(batches)) / self.epochs
            lr = self.method.base_lr() * (1 + math.cos(math.pi * done)) / 2
            self.optimizer.param_groups[0]["lr"] = lr
            step = self._step(batch, generator)
            self.optimizer.zero_grad(set_to_none=True)
            step.loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            total += step.loss.item() * len(batch)
            health += step.health * len(batch)
        count = sum(len(batch) for batch in batches)
        speed = count / (time.monotonic() - began)
        if not math.isfinite(total):
            raise VqiError(f"the loss is not finite in epoch {number}: use a smaller lr, or precision fp32")
        return Epoch(number, int(trains), lr, total / count, self.measure(held_out), health / count, speed)

    def measure(self, rows: Sequence[int]) -> float:
        """The loss of images that do not train, with the same views in every epoch."""
        self.encoder.set_training(False, [])
        self.method.eval()
        generator = torch.Generator().manual_seed(self.seed)
        batches = in_batches(rows, self.options.batch_size)
        with torch.no_grad():
            losses = [self._step(batch, generator).loss.item() * len(batch) for batch in batches]
        return sum(losses) / sum(len(batch) for batch in batches)

    def _step(self, rows: Sequence[int], generator: torch.Generator) -> Step:
        pixels = torch.from_numpy(np.ascontiguousarray(self.images[list(rows)]))  # B x H x W x 3
        batch = pixels.permute(0, 3, 1, 2).float().div(255).contiguous()  # B x 3 x H x W
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            return self.method.step(self.encoder, batch, generator)


def in_batches(rows: Sequence[int], size: int) -> list[list[int]]:
    """Batches of ``size``; a rest of one image, which has no batch statistics, is left out."""
    batches = [list(rows[begin : begin + size]) for begin in range(0, len(rows), size)]
    return [batch for batch in batches if len(batch) > 1]


def _width(encoder: Encoder, images: Images) -> int:
    """How many features the layer gives after pooling."""
    side = images.images.shape[1]
    encoder.eval()
    with torch.no_grad():
        return int(encoder(torch.zeros(1, 3, side, side)).shape[1])
