"""Self-supervised fine-tuning of a backbone on good images: one method a module, one line here. Imports torch."""

from __future__ import annotations

import csv
from dataclasses import astuple, fields
from pathlib import Path

from vqi.artifacts import Images, atomic_path
from vqi.backbones import Backbone
from vqi.config import SslFinetune
from vqi.self_supervised.cutpaste import CutPasteMethod
from vqi.self_supervised.method import Method
from vqi.self_supervised.simsiam import SimSiamMethod
from vqi.self_supervised.training import Epoch, Tuned, train

METHODS: dict[str, type[Method]] = {
    "simsiam": SimSiamMethod,
    "cutpaste": CutPasteMethod,
}


def finetune(parent: Backbone, images: Images, settings: SslFinetune) -> Tuned:
    """The backbone that ``settings.method`` makes of ``parent``; ``parent`` itself for ``pretrained``."""
    if settings.method == "pretrained":
        return Tuned(parent)
    return train(parent, images, settings, METHODS[settings.method])


def save_log(path: Path, tuned: Tuned) -> None:
    """Write ``training_log.csv``: a row an epoch; the head alone where nothing was trained."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([field.name for field in fields(Epoch)])
        table.writerows(astuple(row) for row in tuned.log)
