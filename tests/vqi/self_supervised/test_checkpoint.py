"""A training that is killed continues from its last complete epoch and ends with the same weights."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.vqi.self_supervised.test_training import parts, settings
from vqi.artifacts.training_log import Epoch
from vqi.config import SimSiam
from vqi.errors import VqiError
from vqi.network.building import build
from vqi.self_supervised import training
from vqi.self_supervised.checkpoint import Checkpoint, State, check_state, optimizer_tensors, restore_optimizer
from vqi.self_supervised.methods import finetune
from vqi.self_supervised.training import Tuned, training_key
from vqi.sizes import square
from vqi.store.interface import Store
from vqi.store.opening import open_store

EPOCHS = 3
ROOT = Path(__file__).parents[3]

# Trains as the test does, until it is killed.
KILLED = """
import os, signal, sys
from tests.vqi.self_supervised.test_checkpoint import start
from vqi.store.opening import open_store
from vqi.sizes import square

start(sys.argv[2], sys.argv[3], open_store(sys.argv[1]), lambda: os.kill(os.getpid(), signal.SIGKILL))
"""
IN_THE_THIRD = 10  # of the calls: in each epoch three batches of 8 train, and one is measured
SIDE = 64


def losses(log: Sequence[Epoch]) -> list[tuple[float, float]]:
    return [(row.train_loss, row.validation_loss) for row in log]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"file://{tmp_path / 'store'}")


class Ended(BaseException):
    """What ends a training in this process."""


def start(method: str, frozen_up_to: str, store: Store | None = None, end: Callable[[], None] | None = None) -> Tuned:
    """Train; ``end`` is called in the middle of the third epoch, when there is a checkpoint."""
    calls: list[object] = []
    step = training.Trainer._step

    def counted(self: training.Trainer, rows: Any, generator: Any) -> Any:
        calls.append(rows)
        if end is not None and store is not None and len(calls) >= IN_THE_THIRD and Checkpoint(store, "one").load():
            end()
        return step(self, rows, generator)

    wanted = settings(method, EPOCHS, optimizer="adamw", lr=0.001, frozen_up_to=frozen_up_to)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.Trainer, "_step", counted)
        patch.setattr(training, "training_key", lambda *given: "one")
        return finetune(build("test_resnet", "random", 0, square(SIDE)), parts(), wanted, store)


def killed(method: str, frozen_up_to: str, store: Store) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-c", KILLED, store.uri, method, frozen_up_to]
    died = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()


def ended(method: str, frozen_up_to: str, store: Store) -> None:
    """As ``killed``, without another process, which takes seconds to start."""

    def end() -> None:
        raise Ended

    with pytest.raises(Ended):
        start(method, frozen_up_to, store, end)


@pytest.mark.parametrize(
    ("method", "frozen_up_to", "how"),
    [("cutpaste", "auto", killed), ("simsiam", "", ended)],
    ids=["cutpaste", "simsiam"],
)
def test_killed_in_the_middle_of_an_epoch(
    store: Store,
    method: str,
    frozen_up_to: str,
    how: Callable[[str, str, Store], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = start(method, frozen_up_to)
    how(method, frozen_up_to, store)
    left = Checkpoint(store, "one").load()
    assert left is not None
    assert len(left.log) == 2
    capsys.readouterr()
    resumed = start(method, frozen_up_to, store)
    assert "continuing after epoch 2 of an earlier start" in capsys.readouterr().err
    expected = whole.backbone.model.state_dict()
    for name, tensor in resumed.backbone.model.state_dict().items():
        torch.testing.assert_close(tensor, expected[name], rtol=0, atol=0, msg=name)
    assert losses(resumed.log) == losses(whole.log)
    assert Checkpoint(store, "one").load() is None


def test_a_training_goes_on_only_from_its_own() -> None:
    def key(seed: int = 0, train: int = 24, **changed: float) -> str:
        parent, wanted = build("test_resnet", "random", seed, SIDE), settings("simsiam", 2, **changed)
        return training_key(parent, parts(train=train), wanted)

    assert key() == key()
    assert len({key(), key(lr=0.02), key(flip=0.1), key(seed=1), key(train=25)}) == 5
    assert key(flip=SimSiam().flip) == key(), "a default counts as if it were given: another one is another training"


def test_a_state_of_another_version_is_not_gone_on_from(monkeypatch: pytest.MonkeyPatch) -> None:
    given = (build("test_resnet", "random", 0, square(SIDE)), parts(), settings())
    before = training_key(*given)
    monkeypatch.setattr(training, "KIND", "vqi.checkpoint/2")
    assert training_key(*given) != before


def test_every_part_comes_back(store: Store) -> None:
    checkpoint = Checkpoint(store, "k")
    assert checkpoint.load() is None
    tensors = {"a.b": torch.randn(3, 2), "count": torch.tensor(7), "step": torch.tensor(3.0)}
    row = Epoch(1, 0, 0.1, 0.5, 0.25, "accuracy", 0.75, 1.0, 12.5)
    checkpoint.save(State([row], 1, tensors, {"a.b": torch.ones(2)}, {}, {"0.step": torch.tensor(1.0)}))
    state = checkpoint.load()
    assert state is not None
    assert state.log == [row]
    assert (state.best_epoch, list(state.method)) == (1, [])
    for name, tensor in tensors.items():
        torch.testing.assert_close(state.encoder[name], tensor, rtol=0, atol=0)
    checkpoint.delete()
    assert checkpoint.load() is None


STATE = State(
    [Epoch(1, 1, 0.1, 0.5, 0.25, "accuracy", 0.75, 1.0, 12.5)], 1, {"a": torch.ones(2)}, {"a": torch.ones(2)}, {},
    {"0.step": torch.tensor(1.0), "0.exp_avg": torch.ones(2)},
)  # fmt: skip


@pytest.mark.parametrize("damage", ["other bytes", "cut short", "an empty file", "no log", "another best epoch"])
def test_a_damaged_one_is_a_miss_that_is_said_and_replaced(
    store: Store, tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint, path = Checkpoint(store, "k"), tmp_path / "store/checkpoints/k.safetensors"
    checkpoint.save(STATE)
    whole = path.read_bytes()
    if damage == "other bytes":
        path.write_bytes(whole[:-1] + b"x")  # the store sees that
    elif damage == "cut short":
        store.put_bytes("checkpoints/k.safetensors", whole[:-4])
    elif damage == "an empty file":
        store.put_bytes("checkpoints/k.safetensors", b"")
    else:
        checkpoint.save(replace(STATE, log=[]) if damage == "no log" else replace(STATE, best_epoch=2))
    assert checkpoint.load() is None
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("note: the checkpoint of an earlier start is damaged, and training starts over: ")
    checkpoint.save(STATE)
    assert checkpoint.load() is not None
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"encoder": {"a": torch.ones(3)}}, "its part 'encoder' is of another network"),
        ({"best": {"b": torch.ones(2)}}, "its part 'best' is of another network"),
        ({"encoder": {"a": torch.ones(2, dtype=torch.int32)}}, "its part 'encoder' is of another network"),
        ({"encoder": {"a": torch.tensor([1, torch.nan])}}, "a number in it is not finite"),
        ({"optimizer": {"1.step": torch.tensor(1.0)}}, "its part 'optimizer' is of another network, by '1.step'"),
        ({"optimizer": {"x": torch.tensor(1.0)}}, "its part 'optimizer' is of another network, by 'x'"),
        ({"optimizer": {"0.exp_avg": torch.ones(3)}}, "its part 'optimizer' is of another network, by '0.exp_avg'"),
        ({"log": [*STATE.log, replace(STATE.log[0], epoch=2)]}, "it is of 2 epochs, and 1 are wanted"),
    ],
)
def test_a_state_of_another_training_is_refused(changes: dict[str, Any], said: str) -> None:
    own = {"encoder": {"a": torch.zeros(2)}, "best": {"a": torch.zeros(2)}, "method": {}}
    check_state(STATE, 1, own, [torch.zeros(2)])
    with pytest.raises(VqiError) as error:
        check_state(replace(STATE, **changes), 1, own, [torch.zeros(2)])
    assert str(error.value) == said


@pytest.mark.parametrize("make", [lambda p: torch.optim.SGD(p, 0.1, momentum=0.9), lambda p: torch.optim.AdamW(p, 0.1)])
def test_an_optimiser_goes_on_as_if_nothing_had_happened(make: type[torch.optim.Optimizer]) -> None:
    def stepped(parameter: torch.Tensor, optimizer: torch.optim.Optimizer) -> None:
        parameter.grad = torch.ones_like(parameter)
        optimizer.step()

    first = torch.nn.Parameter(torch.zeros(3))
    optimizer = make([first])
    stepped(first, optimizer)
    second = torch.nn.Parameter(first.detach().clone())
    other = make([second])
    restore_optimizer(other, {name: tensor.clone() for name, tensor in optimizer_tensors(optimizer).items()})
    stepped(first, optimizer)
    stepped(second, other)
    assert torch.equal(first, second)
