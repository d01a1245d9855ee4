"""The folder of photographs that all contestants read, and the labels in it. Needs no package."""

from __future__ import annotations

from pathlib import Path

GOOD = "good"


def train(folder: Path) -> list[Path]:
    """The good photographs to train with."""
    return sorted((folder / "train" / GOOD).glob("*.png"))


def test(folder: Path) -> tuple[list[Path], list[int]]:
    """The photographs to score, and which of them are defective."""
    files = sorted((folder / "test").glob("*/*.png"))
    return files, [int(one.parent.name != GOOD) for one in files]
