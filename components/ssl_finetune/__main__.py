"""Runs the step ``ssl_finetune``."""

import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from components import step
from vqi.artifacts import load_images, provenance
from vqi.backbones import build, save_backbone
from vqi.config import SslFinetune
from vqi.digests import sha256_file
from vqi.self_supervised import finetune, save_log


class Arguments(SslFinetune):
    """Provide the backbone: pretrained weights as they are, or fine-tuned on the good images."""

    images: Path = Field(description="input: folder written by preprocess")
    backbone: Path = Field(description="output: safetensors file, the weights and their record")
    training_log: Path = Field(description="output: CSV file, a row an epoch; no rows for 'pretrained'")


def run(arguments: Arguments) -> None:
    """Load, call, save."""
    settings = step.settings_of(arguments, SslFinetune)
    images = load_images(arguments.images)
    parent = build(settings.backbone_name, settings.weights, settings.seed, images.images.shape[1])
    tuned = finetune(parent, images, settings)
    inputs = {"images": sha256_file(arguments.images / "index.csv")}
    made = provenance("ssl_finetune", settings.model_dump(), inputs, parent=parent.weights, best_epoch=tuned.best_epoch)
    save_backbone(arguments.backbone, tuned.backbone, made)
    save_log(arguments.training_log, tuned)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the step; returns the exit code."""
    return step.main("ssl_finetune", Arguments, run, argv)


if __name__ == "__main__":
    sys.exit(main())
