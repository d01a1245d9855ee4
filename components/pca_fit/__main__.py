"""Runs the step ``pca_fit``."""

import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from vqi.artifacts.detector import save_detector
from vqi.artifacts.features import load_features
from vqi.config import PcaFit
from vqi.detectors.registry import fit_detector
from vqi_components import step


class Arguments(PcaFit):
    """A detector of features that differ from those of good images, with a threshold from good images only."""

    features: Path = Field(description="input: safetensors file written by feature_extract")
    detector: Path = Field(description="output: safetensors file, the model and its threshold")


def run(arguments: Arguments) -> None:
    """Load, call, save."""
    save_detector(
        arguments.detector, fit_detector(load_features(arguments.features), step.settings_of(arguments, PcaFit))
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the step; returns the exit code."""
    return step.main("pca_fit", Arguments, run, argv)


if __name__ == "__main__":
    sys.exit(main())
