"""Runs the step ``ssl_finetune``. Torch is imported after the flags were checked, and only where it is needed."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from vqi.artifacts.backbone import BackboneHeader, FinetuneRecord, save_backbone_arrays, save_parent_arrays
from vqi.artifacts.images import INDEX_FILE, load_images
from vqi.artifacts.training_log import write_training_log
from vqi.config import SslFinetune
from vqi.digests import sha256_file
from vqi.network.embedded import as_they_are
from vqi.store.opening import STORE, open_store, store_uri
from vqi_components import step


class Arguments(SslFinetune):
    """Provide the backbone: pretrained weights as they are, or fine-tuned on the good images."""

    images: Path = Field(description="input: folder written by preprocess")
    backbone: Path = Field(description="output: safetensors file, the weights and their record")
    parent: Path = Field(
        description="output: safetensors file, the changed weights as they were before; none for 'pretrained'"
    )
    training_log: Path = Field(description="output: CSV file, one row per epoch; no rows for 'pretrained'")


def run(arguments: Arguments) -> None:
    """Load, call, save."""
    settings = step.settings_of(arguments, SslFinetune)
    weights = as_they_are(settings)
    if weights is None:
        _finetune(arguments, settings)
        return
    record = weights.record()
    header = BackboneHeader(backbone=record, made=FinetuneRecord.of(settings, record.weights))
    save_backbone_arrays(arguments.backbone, weights.read(), header)
    save_parent_arrays(arguments.parent, {}, header)
    write_training_log(arguments.training_log, [])


def _finetune(arguments: Arguments, settings: SslFinetune) -> None:
    # Here, so that flags are checked and torch's log level is set before torch is loaded.
    from vqi.network.backbones import save_backbone, save_parent
    from vqi.network.building import build
    from vqi.self_supervised.methods import finetune

    images = load_images(arguments.images)
    parent = build(settings.backbone_name, settings.weights, settings.seed, images.record.image_size)
    store = open_store(store_uri(os.environ)) if os.environ.get(STORE) else None
    tuned = finetune(parent, images, settings, store)
    made = tuned.record(settings, sha256_file(arguments.images / INDEX_FILE))
    save_backbone(arguments.backbone, tuned.backbone, made)
    save_parent(arguments.parent, tuned.before, tuned.backbone, made)
    write_training_log(arguments.training_log, tuned.log)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the step; returns the exit code."""
    return step.main("ssl_finetune", Arguments, run, argv)


if __name__ == "__main__":
    sys.exit(main())
