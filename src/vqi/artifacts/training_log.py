"""The artifact ``training_log``: one row per epoch; none where nothing was trained."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from vqi.artifacts.files import atomic_path
from vqi.errors import VqiError
from vqi.system.os_errors import reason


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


def best_epoch(log: Sequence[Epoch]) -> Epoch:
    """The epoch whose weights are kept: of the lowest validation loss among those in which the backbone trained."""
    return min((row for row in log if row.backbone_trains), key=lambda row: row.validation_loss)


def write_training_log(path: Path, log: Sequence[Epoch]) -> None:
    """Write ``training_log.csv``."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([field.name for field in fields(Epoch)])
        table.writerows(astuple(row) for row in log)


def read_training_log(path: Path) -> list[Epoch]:
    """Read ``training_log.csv``.

    Raises:
        VqiError: The file is missing or has other columns.
    """
    convert = {"int": int, "float": float, "str": str}
    kinds = {field.name: convert[str(field.type)] for field in fields(Epoch)}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [Epoch(**{name: kind(row[name]) for name, kind in kinds.items()}) for row in csv.DictReader(file)]
    except (OSError, KeyError, ValueError) as error:
        raise VqiError(f"{path}: expected a training log, got: {reason(error)}; run ssl_finetune again") from error
