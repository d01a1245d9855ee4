"""The state of a training after each epoch, so that one that was killed can continue. Imports torch.

One safetensors object, with the log as JSON in its header, replaced as a whole: it is of one epoch or of none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import torch

from vqi.artifacts.tensors import load_tensors, save_tensors, tensor_names
from vqi.artifacts.training_log import Epoch
from vqi.store.interface import Store
from vqi.system.scratch import scratch_folder

KIND = "vqi.checkpoint/1"

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


class Checkpoint:
    """The last state of one training, in the store of lasting assets.

    Args:
        store: Where it is kept.
        key: Of the training: what it reads and all of its settings, so that no other continues from it.
    """

    def __init__(self, store: Store, key: str) -> None:
        self._store, self._key = store, f"checkpoints/{key}.safetensors"

    def save(self, state: State) -> None:
        """Replace the state."""
        parts = {"encoder": state.encoder, "best": state.best, "method": state.method, "optimizer": state.optimizer}
        tensors = {
            f"{part}/{name}": tensor.detach().numpy() for part, kept in parts.items() for name, tensor in kept.items()
        }
        header = {"log": [asdict(row) for row in state.log], "best_epoch": state.best_epoch}
        with scratch_folder() as folder:
            path = folder / "checkpoint.safetensors"
            save_tensors(path, KIND, tensors, header)
            self._store.put_file(self._key, path)

    def load(self) -> State | None:
        """The state; None where there is none."""
        if not self._store.exists(self._key):
            return None
        with scratch_folder() as folder:
            path = folder / "checkpoint.safetensors"
            self._store.get_file(self._key, path)
            arrays, header = load_tensors(path, KIND, tensor_names(path))
            tensors = {name: torch.tensor(array) for name, array in arrays.items()}
        log = [Epoch(**row) for row in header["log"]]
        parts = (_part(tensors, part) for part in ("encoder", "best", "method", "optimizer"))
        return State(log, header["best_epoch"], *parts)

    def delete(self) -> None:
        """Remove the state: the training is done."""
        self._store.delete(self._key)


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
