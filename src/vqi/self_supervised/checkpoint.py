"""The state of a training after each epoch, so that one that was killed can continue. Imports torch.

One safetensors object, with the log as JSON in its header, replaced as a whole: it is of one epoch or of none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import torch
from pydantic import Field, model_validator

from vqi.artifacts.tensors import load_tensors, save_tensors
from vqi.artifacts.training_log import CHECKPOINTS, Epoch, check_log
from vqi.errors import UnavailableError, VqiError
from vqi.progress import message
from vqi.records import Record, parse
from vqi.store.interface import Store
from vqi.system.scratch import scratch_folder

KIND = "vqi.checkpoint/1"
PARTS = ("encoder", "best", "method", "optimizer")
_AGAIN = "delete it"

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class State:
    """The state of a training at the end of an epoch."""

    log: Sequence[Epoch]
    best_epoch: int
    encoder: Tensors
    best: Tensors  # of the encoder, in the best epoch
    method: Tensors
    optimizer: Tensors  # by "<number of the parameter>.<name>"


class _Header(Record):
    """The header of a checkpoint."""

    log: tuple[Epoch, ...] = Field(min_length=1)
    best_epoch: int = Field(ge=1)

    @model_validator(mode="after")
    def _is_of_a_training(self) -> _Header:
        check_log(self.log)
        if self.best_epoch > len(self.log):
            raise ValueError(f"best_epoch: expected at most {len(self.log)}, the epochs, got {self.best_epoch}")
        return self


class Checkpoint:
    """The last state of one training, in the store of lasting assets.

    Args:
        store: Where it is kept.
        key: Of the training: what it reads and all of its settings, so that no other continues from it.
    """

    def __init__(self, store: Store, key: str) -> None:
        self._store, self._key = store, f"{CHECKPOINTS}/{key}.safetensors"

    def save(self, state: State) -> None:
        """Replace the state."""
        tensors = {
            f"{part}/{name}": tensor.detach().numpy() for part in PARTS for name, tensor in getattr(state, part).items()
        }
        header = {"log": [asdict(row) for row in state.log], "best_epoch": state.best_epoch}
        with scratch_folder() as folder:
            path = folder / "checkpoint.safetensors"
            save_tensors(path, KIND, tensors, header)
            self._store.put_file(self._key, path)

    def load(self, check: Callable[[State], None] = lambda state: None) -> State | None:
        """The state; None where there is none, or a damaged one, which is said.

        Args:
            check: Raises VqiError for a state that is not one of the training to continue.
        """
        if not self._store.exists(self._key):
            return None
        try:
            state = self._read()
            check(state)
        except UnavailableError:
            raise
        except VqiError as error:
            message(f"note: the checkpoint of an earlier start is damaged, and training starts over: {error}")
            return None
        return state

    def _read(self) -> State:
        place = self._store.uri_of(self._key)
        with scratch_folder() as folder:
            path = folder / "checkpoint.safetensors"
            self._store.get_file(self._key, path)
            arrays, content = load_tensors(path, KIND, _AGAIN)
            tensors = {name: torch.tensor(array) for name, array in arrays.items()}
        header = parse(_Header, content, place, _AGAIN)
        return State(list(header.log), header.best_epoch, *(_part(tensors, part) for part in PARTS))

    def delete(self) -> None:
        """Remove the state: the training is done."""
        self._store.delete(self._key)


def check_state(state: State, epochs: int, own: Mapping[str, Tensors], parameters: Sequence[torch.Tensor]) -> None:
    """Refuse a state that is not one of a training.

    Args:
        state: As it was read.
        epochs: Of the training.
        own: The tensors of its parts, except for the optimiser, as they are now.
        parameters: What its optimiser trains, in order.

    Raises:
        VqiError: It has more epochs, other tensors, or a number in them is not finite.
    """
    if len(state.log) > epochs:
        raise VqiError(f"it is of {len(state.log)} epochs, and {epochs} are wanted")
    for part, tensors in own.items():
        if _forms(getattr(state, part)) != _forms(tensors):
            raise VqiError(f"its part '{part}' is of another network")
    shapes = {str(number): {parameter.shape, torch.Size()} for number, parameter in enumerate(parameters)}
    for key, tensor in state.optimizer.items():
        if tensor.shape not in shapes.get(key.partition(".")[0], ()):
            raise VqiError(f"its part 'optimizer' is of another network, by '{key}'")
    if not all(tensor.isfinite().all() for part in PARTS for tensor in getattr(state, part).values()):
        raise VqiError("a number in it is not finite")


def _forms(tensors: Tensors) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> Tensors:
    """What an optimiser remembers."""
    state = optimizer.state_dict()["state"]
    return {f"{number}.{name}": tensor for number, kept in state.items() for name, tensor in kept.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]) -> None:
    """Give an optimiser back what it remembered."""
    state: dict[int, Tensors] = {}
    for key, tensor in tensors.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _part(tensors: Tensors, part: str) -> Tensors:
    return {name.removeprefix(f"{part}/"): tensor for name, tensor in tensors.items() if name.startswith(f"{part}/")}
