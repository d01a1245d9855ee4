"""The artifact ``training_log``: one row per epoch; none where nothing was trained."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from vqi.artifacts.tables import finite, read_table, whole, write_table
from vqi.errors import VqiError

AGAIN = "run ssl_finetune again"
CHECKPOINTS = "checkpoints"  # begins the keys of the states of trainings; each is removed when its training ends


@dataclass(frozen=True)
class Epoch:
    """A row of ``training_log.csv``."""

    epoch: int  # from 1
    backbone_trains: int  # 0 while only the method's own layers train
    lr: float  # at the end of the epoch
    train_loss: float
    validation_loss: float  # of good images that do not train
    figure: str  # what the method watches: feature_std, accuracy
    value: float  # of the figure, the mean over the epoch
    healthy: float  # the value of a healthy training
    images_per_second: float


_COLUMNS = tuple(field.name for field in fields(Epoch))


def best_epoch(log: Sequence[Epoch]) -> Epoch:
    """The epoch whose weights are kept: of the lowest validation loss among those in which the backbone trained."""
    return min((row for row in log if row.backbone_trains), key=lambda row: row.validation_loss)


def write_training_log(path: Path, log: Sequence[Epoch]) -> None:
    """Write ``training_log.csv``."""
    write_table(path, _COLUMNS, map(astuple, log))


def read_training_log(path: Path) -> list[Epoch]:
    """Read ``training_log.csv``.

    Raises:
        VqiError: The file is missing, has other columns or a number that is none, or is of no whole training.
    """
    log = read_table(path, _COLUMNS, _epoch, "a training log", AGAIN)
    try:
        check_log(log)
        if log and not any(row.backbone_trains for row in log):
            raise ValueError("expected an epoch in which the backbone trains")
    except ValueError as error:
        raise VqiError(f"{path}: {error}; {AGAIN}") from error
    return log


def check_log(log: Sequence[Epoch]) -> None:
    """Refuse a log that is of no training.

    Raises:
        ValueError: Its epochs do not count up from 1, or a figure is not finite.
    """
    if [row.epoch for row in log] != list(range(1, len(log) + 1)):
        raise ValueError("expected epochs that count up from 1")
    figures = ("lr", "train_loss", "validation_loss", "value", "healthy", "images_per_second")
    if not all(math.isfinite(getattr(row, name)) for row in log for name in figures):
        raise ValueError("expected finite figures")


def _epoch(row: dict[str, str]) -> Epoch:
    convert: dict[str, Callable[[str], Any]] = {"int": whole, "float": finite, "str": str}
    return Epoch(**{field.name: convert[str(field.type)](row[field.name]) for field in fields(Epoch)})
