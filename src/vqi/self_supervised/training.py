"""The training loop that all methods share. Imports torch.

A share of the good training images is held out; their loss chooses the epoch whose weights are kept. Test images are
never seen. Whatever is random in an epoch comes from the seed and the number of the epoch, so that a training that was
killed continues from its last complete epoch as if nothing had happened.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch
from torchvision.transforms.v2.functional import resize

from vqi.artifacts.backbone import FinetuneRecord, Runtime
from vqi.artifacts.images import Images
from vqi.artifacts.training_log import Epoch
from vqi.config import Finetune, SslFinetune, layer_names
from vqi.digests import digest_json, sha256_bytes
from vqi.errors import VqiError
from vqi.network.backbones import Backbone
from vqi.network.engines import choose
from vqi.progress import clock, message, track
from vqi.self_supervised.checkpoint import (
    KIND,
    Checkpoint,
    State,
    Tensors,
    check_state,
    optimizer_tensors,
    restore_optimizer,
)
from vqi.self_supervised.encoder import Encoder
from vqi.self_supervised.method import Method, Step
from vqi.sizes import Size, fitted, square
from vqi.store.interface import Store
from vqi.system.processor import threads


@dataclass(frozen=True)
class Tuned:
    """A fine-tuned backbone, and how it came to be."""

    backbone: Backbone
    parent: str  # where the weights that it started from come from
    before: Tensors = field(default_factory=dict)  # what fine-tuning changed, as it was at the beginning
    log: Sequence[Epoch] = ()
    best_epoch: int = 0
    held_out: Sequence[int] = ()  # rows of the good training images that did not train
    runtime: Runtime | None = None

    def record(self, settings: SslFinetune, images_sha256: str) -> FinetuneRecord:
        """What made the backbone.

        ``images_sha256``: of the images' index. One that was not trained does not depend on it: all categories and runs
        that take it have the same file.
        """
        images = images_sha256 if self.best_epoch else ""
        return FinetuneRecord.of(settings, self.parent, images, self.best_epoch, tuple(self.held_out), self.runtime)


def train(parent: Backbone, images: Images, settings: SslFinetune, make: type[Method], store: Store | None) -> Tuned:
    """Fine-tune a copy of ``parent`` on the good training images.

    Args:
        parent: The backbone to start from; it is not changed.
        images: Those of the category.
        settings: Of the step.
        make: The method.
        store: Keeps the state of each epoch until the training is done; None keeps none.

    Raises:
        VqiError: Too few images, a layer that does not exist, or a training that collapsed or diverged.
    """
    options = settings.finetune_settings()
    torch.set_num_threads(threads())
    torch.manual_seed(settings.seed)
    backbone = replace(parent, model=copy.deepcopy(parent.model))
    origin = make.prepare(backbone.model, options) or parent.record.weights
    begin = {name: tensor.clone() for name, tensor in backbone.model.state_dict().items()}
    rows, held_out = split(images.rows("train"), options, settings.seed)
    runtime = choose("auto", options.precision)
    trainer = Trainer(backbone, images.images, settings, make, runtime)
    checkpoint = None if store is None else Checkpoint(store, training_key(parent, images, settings))
    if checkpoint is None:
        message("VQI_STORE is not set, so no checkpoints are kept: a training that is killed starts over")
    state = _train_epochs(trainer, rows, held_out, checkpoint)
    backbone.model.load_state_dict(backbone.model.state_dict() | state.best)
    for parameter in backbone.model.parameters():
        parameter.requires_grad_(True)
    best = state.log[state.best_epoch - 1]
    if best.validation_loss > trainer.method.diverged:
        raise VqiError(
            f"fine-tuning diverged: the validation loss of the best epoch is {best.validation_loss:.4g}, far worse "
            "than a guess: use a smaller lr, or more freeze_epochs"
        )
    message(f"the weights of epoch {best.epoch} are kept, with a validation loss of {best.validation_loss:.4f}")
    if checkpoint is not None:
        checkpoint.delete()
    new = backbone.model.state_dict()
    before = {name: tensor for name, tensor in begin.items() if not torch.equal(tensor, new[name])}
    backbone = replace(backbone, model=backbone.model.eval()).with_weights(
        f"{origin}, fine-tuned with {settings.method}", parent.record.weights_sha256
    )
    return Tuned(backbone, origin, before, state.log, best.epoch, held_out, runtime)


def _train_epochs(
    trainer: Trainer, rows: Sequence[int], held_out: Sequence[int], checkpoint: Checkpoint | None
) -> State:
    """All epochs that are still to do; the state after the last one."""
    options, epochs = trainer.options, trainer.epochs
    state = None if checkpoint is None else checkpoint.load(trainer.check)
    if state is not None:
        trainer.restore(state)
        message(f"continuing after epoch {len(state.log)} of an earlier start")
    began, first = time.monotonic(), 1 if state is None else len(state.log) + 1
    while state is None or (len(state.log) < epochs and not _done(state, options)):
        row = trainer.epoch(first if state is None else len(state.log) + 1, rows, held_out)
        an_epoch = (time.monotonic() - began) / (row.epoch - first + 1)
        message(describe(row, epochs, (epochs - row.epoch) * an_epoch))
        trainer.method.check(row.value)
        state = trainer.after(row, state)
        if checkpoint is not None:
            checkpoint.save(state)
    if len(state.log) < epochs:
        message(f"no better validation loss for {options.patience} epochs: training ends")
    return state


def _done(state: State, options: Finetune) -> bool:
    """Whether patience is used up."""
    since_best = len(state.log) - max(state.best_epoch, options.freeze_epochs)
    return bool(options.patience) and since_best >= options.patience


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


def training_key(parent: Backbone, images: Images, settings: SslFinetune) -> str:
    """The digest of all that a training depends on: weights, images, settings."""
    weights = {name: sha256_bytes(tensor.numpy().tobytes()) for name, tensor in parent.model.state_dict().items()}
    sources = [[row.path, row.split, row.sha256] for row in images.index]
    versions = [KIND, torch.__version__]  # another one could not read the state, or would continue differently
    return digest_json(
        [settings.in_full(), weights, sources, images.record.image_size, list(images.images.shape), versions]
    )


def describe(row: Epoch, epochs: int, seconds_left: float) -> str:
    """An epoch as a line of the log."""
    part = "" if row.backbone_trains else ", backbone frozen"
    left = f", {clock(seconds_left)} left" if row.epoch < epochs else ""
    return (
        f"epoch {row.epoch}/{epochs}{part}: loss {row.train_loss:.4f}, validation {row.validation_loss:.4f}, "
        f"{row.figure} {row.value:.4f} (at best {row.healthy:.4f}), lr {row.lr:.2g}, "
        f"{row.images_per_second:.1f} images/s{left}"
    )


class Trainer:
    """Trains and measures an epoch at a time."""

    def __init__(
        self,
        backbone: Backbone,
        images: npt.NDArray[np.uint8],
        settings: SslFinetune,
        make: type[Method],
        runtime: Runtime,
    ) -> None:
        self.options, self.seed, self.epochs = settings.finetune_settings(), settings.seed, settings.epochs
        self._images, self._bf16 = images, runtime.precision == "bf16"
        prepared = Size(*images.shape[1:3])
        self._size = _trained_size(self.options.image_size, prepared)
        self._model = backbone.model
        if self._size != prepared:
            _check_size(self._model, self._size)
        self._encoder = Encoder(backbone, layer_names(settings.layer)[-1], self.options, runtime, self._size)
        self.method = make(self._width(), self.options)
        self._trained = _names_in(self._encoder, self._model)
        self._optimizer = self._make_optimizer()

    def epoch(self, number: int, rows: Sequence[int], held_out: Sequence[int]) -> Epoch:
        """Train on ``rows``, then measure ``held_out``.

        Raises:
            VqiError: The loss is not finite.
        """
        trains = number > self.options.freeze_epochs
        self._encoder.set_training(trains)
        self.method.train()
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
        torch.manual_seed(self.seed * 1_000_003 + number)  # of what the backbone draws itself, such as dropout
        order = [rows[i] for i in torch.randperm(len(rows), generator=generator).tolist()]
        batches = in_batches(order, self.options.batch_size)
        count = sum(map(len, batches))
        began, loss, value, lr = time.monotonic(), 0.0, 0.0, 0.0
        for index, batch in enumerate(track(batches, count, f"epoch {number}", unit="images", size=len)):
            lr = self._set_lr(number - 1 + index / len(batches))
            step = self._step(batch, generator)
            self._optimizer.zero_grad(set_to_none=True)
            step.loss.backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
            loss += step.loss.item() * len(batch) / count
            value += step.value * len(batch) / count
        speed = count / (time.monotonic() - began)
        measured = self.measure(held_out)
        if not math.isfinite(loss) or not math.isfinite(measured):
            raise VqiError(f"the loss is not finite in epoch {number}: use a smaller lr, or precision fp32")
        return Epoch(number, int(trains), lr, loss, measured, self.method.figure, value, self.method.healthy, speed)

    def measure(self, rows: Sequence[int]) -> float:
        """The loss of images that do not train, with the same views in every epoch."""
        self._encoder.set_training(False)
        self.method.eval()
        generator = torch.Generator().manual_seed(self.seed)
        batches = in_batches(rows, self.options.batch_size)
        with torch.no_grad():
            losses = [self._step(batch, generator).loss.item() * len(batch) for batch in batches]
        return sum(losses) / sum(map(len, batches))

    def after(self, row: Epoch, state: State | None) -> State:
        """The state after an epoch; the best one is that of the lowest validation loss among those that trained."""
        log = [*(state.log if state else []), row]
        encoder = self._weights()
        lowest = min((r.validation_loss for r in log[:-1] if r.backbone_trains), default=math.inf)
        better = bool(row.backbone_trains) and row.validation_loss < lowest
        best_epoch, best = (row.epoch, encoder) if better or state is None else (state.best_epoch, state.best)
        method = {name: tensor.clone() for name, tensor in self.method.state_dict().items()}
        return State(log, best_epoch, encoder, best, method, optimizer_tensors(self._optimizer))

    def check(self, state: State) -> None:
        """Refuse a state that is not one of this training; see ``check_state``."""
        own = {"encoder": self._weights(), "best": self._weights(), "method": self.method.state_dict()}
        parameters = [one for group in self._optimizer.param_groups for one in group["params"]]
        check_state(state, self.epochs, own, parameters)

    def restore(self, state: State) -> None:
        """Go back to a state."""
        self._model.load_state_dict(self._model.state_dict() | state.encoder)
        self.method.load_state_dict(state.method)
        restore_optimizer(self._optimizer, state.optimizer)

    def _weights(self) -> Tensors:
        return {name: tensor.clone() for name, tensor in self._model.state_dict().items() if name in self._trained}

    def _make_optimizer(self) -> torch.optim.Optimizer:
        fixed = self.method.fixed_lr_parameters()
        known = {id(parameter) for parameter in fixed}
        moving = [p for p in (*self._encoder.parameters(), *self.method.parameters()) if id(p) not in known]
        groups = [{"params": moving}, *([{"params": fixed}] if fixed else [])]
        lr, decay = self.method.base_lr(), self.options.weight_decay
        if self.options.optimizer == "sgd":
            return torch.optim.SGD(groups, lr=lr, momentum=0.9, weight_decay=decay)
        return torch.optim.AdamW(groups, lr=lr, weight_decay=decay)

    def _set_lr(self, epochs_done: float) -> float:
        """The learning rate along half a cosine, of all that is not fixed."""
        lr = self.method.base_lr() * (1 + math.cos(math.pi * epochs_done / self.epochs)) / 2
        self._optimizer.param_groups[0]["lr"] = lr
        return lr

    def _step(self, rows: Sequence[int], generator: torch.Generator) -> Step:
        pixels = torch.from_numpy(np.ascontiguousarray(self._images[list(rows)]))  # B x H x W x 3
        batch = pixels.permute(0, 3, 1, 2).float().div(255)  # B x 3 x H x W
        if self._size != tuple(batch.shape[2:]):
            batch = resize(batch, list(self._size), antialias=True).clamp(0, 1)
        with torch.autocast("cpu", torch.bfloat16, enabled=self._bf16):
            return self.method.step(self._encoder, batch.contiguous(), generator)

    def _width(self) -> int:
        """How many features the layer gives after pooling."""
        self._encoder.eval()
        with torch.no_grad():
            return int(self._encoder(torch.zeros(1, 3, *self._size)).shape[1])


def _trained_size(side: int, prepared: Size) -> Size:
    """The size of images in training: as prepared, or in their shape with as many pixels as a square has."""
    if side == 0:
        return prepared
    return square(side) if prepared.height == prepared.width else fitted(square(side), [prepared])


def _check_size(model: torch.nn.Module, size: Size) -> None:
    """Fail where a network, such as a vision transformer, takes images of only one size."""
    try:
        with torch.inference_mode():
            model.eval()(torch.zeros(1, 3, *size))
    except (AssertionError, RuntimeError) as error:
        raise VqiError(f"finetune image_size {size}: the backbone takes no images of this size ({error})") from error


def _names_in(encoder: Encoder, model: torch.nn.Module) -> frozenset[str]:
    """The names that a model gives to the tensors that an encoder trains."""
    places = {tensor.data_ptr() for tensor in encoder.network.state_dict().values()}
    return frozenset(name for name, tensor in model.state_dict().items() if tensor.data_ptr() in places)


def in_batches(rows: Sequence[int], size: int) -> list[list[int]]:
    """Batches of ``size``; a rest of one image, which has no batch statistics, is left out."""
    batches = [list(rows[begin : begin + size]) for begin in range(0, len(rows), size)]
    return [batch for batch in batches if len(batch) > 1]
