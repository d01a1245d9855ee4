"""The source ``elpv``: photographs of 2,624 solar cells in electroluminescence, from the package elpv-dataset.

Source: Buerhop-Lutz et al., "A Benchmark for Visual Identification of Defective Solar Cells in Electroluminescence
Imagery", EU PVSEC 2018. Categories: ``mono`` and ``poly`` crystalline cells.
"""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from vqi.artifacts.catalog import Licence
from vqi.config import SourceRequest
from vqi.datasets.layout import Dataset, Entry
from vqi.errors import VqiError, not_installed

PACKAGE = "elpv_dataset"
CATEGORIES = ("mono", "poly")
TRAIN_SHARE = 0.8
SPLIT_SEED = 0
NORMAL, DEFECTIVE = 0.0, 1.0  # the doubtful ones, with probabilities of 1/3 and 2/3, are left out

LICENCE = Licence(
    name="CC BY-NC-SA 4.0",
    url="https://creativecommons.org/licenses/by-nc-sa/4.0/",
    notice=(
        "ELPV dataset: not for commercial use, share alike, name its authors: Buerhop-Lutz, Deitsch, Maier, Gallwitz, "
        "Berger, Doll, Hauch, Camus, Brabec, 'A Benchmark for Visual Identification of Defective Solar Cells in "
        "Electroluminescence Imagery', EU PVSEC 2018."
    ),
)


class Cell(NamedTuple):
    """One line of the labels: a solar cell."""

    file: Path
    probability: float  # that the cell is defective: 0, 1/3, 2/3 or 1
    category: str


def read(argument: str, request: SourceRequest) -> Dataset:
    """The dataset in the installed package.

    Raises:
        VqiError: the package is missing or damaged, or the source was given an argument.
    """
    if argument:
        raise VqiError(f"the source 'elpv' takes nothing after a colon, got 'elpv:{argument}': write 'elpv'")
    cells = read_labels(locate())
    return Dataset("elpv", LICENCE, {category: split(cells, category) for category in CATEGORIES})


def locate() -> Path:
    """The folder ``data`` of the package, which need not be imported."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise VqiError(f"the source 'elpv' {not_installed(PACKAGE)}")
    return Path(found.origin).parent / "data"


def read_labels(data: Path) -> list[Cell]:
    """The cells in ``labels.csv``: lines of path, probability and type, with spaces between."""
    labels = data / "labels.csv"
    try:
        lines = [line.split() for line in labels.read_text("utf-8").splitlines() if line.strip()]
        return [Cell(data / path, float(probability), kind) for path, probability, kind in lines]
    except (OSError, ValueError) as error:
        raise VqiError(f"{labels} is damaged ({error}): install the package elpv-dataset again") from error


def split(cells: Sequence[Cell], category: str) -> tuple[Entry, ...]:
    """The images of a category: 80 % of the normal cells to train on, the rest and the certainly defective to test."""
    cells = sorted((cell for cell in cells if cell.category == category), key=lambda cell: cell.file.name)
    normal = [cell for cell in cells if cell.probability == NORMAL]
    random.Random(SPLIT_SEED).shuffle(normal)  # noqa: S311 - a fixed split, not a secret
    count = round(TRAIN_SHARE * len(normal))
    folders = [
        ("train/good", normal[:count]),
        ("test/good", normal[count:]),
        ("test/defective", [cell for cell in cells if cell.probability == DEFECTIVE]),
    ]
    return tuple(_entry(folder, cell.file) for folder, members in folders for cell in members)


def _entry(folder: str, file: Path) -> Entry:
    def read_bytes() -> bytes:
        try:
            return file.read_bytes()
        except OSError as error:
            raise VqiError(f"cannot read {file} ({error.strerror}): install the package elpv-dataset again") from error

    return Entry(f"{folder}/{file.name}", read_bytes)
