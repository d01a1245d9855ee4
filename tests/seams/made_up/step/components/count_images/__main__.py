"""Runs the step ``count_images``."""

import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from vqi.artifacts.files import write_text
from vqi.artifacts.images import load_images
from vqi.config import CountImages
from vqi_components import step


class Arguments(CountImages):
    """Count the images of a split."""

    images: Path = Field(description="input: folder written by preprocess")
    count: Path = Field(description="output: file that receives the number of images")


def run(arguments: Arguments) -> None:
    """Load, call, save."""
    counted = [row for row in load_images(arguments.images).index if row.split == arguments.split]
    write_text(arguments.count, str(len(counted)))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the step; returns the exit code."""
    return step.main("count_images", Arguments, run, argv)


if __name__ == "__main__":
    sys.exit(main())
