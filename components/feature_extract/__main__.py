"""Runs the step ``feature_extract``. Torch is imported after the flags were checked."""

import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from vqi.artifacts.features import in_file
from vqi.artifacts.images import load_images
from vqi.config import FeatureExtract
from vqi_components import step


class Arguments(FeatureExtract):
    """One forward pass over train and test; the feature maps of the chosen layers."""

    images: Path = Field(description="input: folder written by preprocess")
    backbone: Path = Field(description="input: safetensors file written by ssl_finetune")
    parent: Path = Field(description="input: safetensors file written by ssl_finetune, for a comparison")
    features: Path = Field(description="output: safetensors file, one map per image for each layer")


def run(arguments: Arguments) -> None:
    """Load, call, save."""
    # Here, so that flags are checked and torch's log level is set before torch is loaded.
    from vqi.network.backbones import load_backbone, load_parent
    from vqi.network.features import extract_splits

    images = load_images(arguments.images)
    backbone = load_backbone(arguments.backbone, images.images.shape[1])
    parent = load_parent(arguments.parent, backbone)
    settings = step.settings_of(arguments, FeatureExtract)
    with in_file(arguments.features) as place:
        extract_splits(images, backbone, settings, parent, place)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the step; returns the exit code."""
    return step.main("feature_extract", Arguments, run, argv)


if __name__ == "__main__":
    sys.exit(main())
