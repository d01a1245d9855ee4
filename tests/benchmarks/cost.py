"""How processor time and memory of each step grow with the number of images, and what that costs two plants."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.benchmarks.measure import MB, Cost, table
from tests.benchmarks.steps import PIXELS, step_costs

SIZES = (250, 1_000, 3_000)  # photographs of a category
CORE_HOUR = 0.04  # currency units; what a core hour of a large cloud's general-purpose machines costs, about
CORES = 32  # of a node
# Photographs in the store and what is passed between steps, by the places where the steps write.
KEPT, PASSED = ("store",), ("images", "features", "scores")


@dataclass(frozen=True)
class Plant:
    """What is to be trained."""

    name: str
    categories: int
    images: int  # of each that are used


PLANTS = (
    Plant("50 categories x 2,000 photographs", 50, 2_000),
    Plant("2,000 categories x 20,000 photographs, 3,000 of them used", 2_000, 3_000),
)


def main() -> None:
    costs: dict[int, dict[str, Cost]] = {}
    stored: dict[int, dict[str, int]] = {}
    for images in SIZES:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            costs[images] = step_costs(folder, images)
            stored[images] = {part: _bytes(folder, names) for part, names in (("kept", KEPT), ("passed", PASSED))}
    rows = [
        [step, *(f"{costs[n][step].processor:.1f} s, {costs[n][step].own_mb:.0f} MB" for n in SIZES)]
        for step in costs[SIZES[0]]
    ]
    rows += [
        [what, *(f"{stored[n][part] / MB:.0f} MB" for n in SIZES)]
        for part, what in (("kept", "in the store"), ("passed", "passed between steps"))
    ]
    heads = ["step", *(f"{n:,}" for n in SIZES)]
    table(f"Processor time and memory by photographs ({PIXELS} px PNG, default parameters)", heads, rows)
    table("One training of a whole plant (computed)", PLANT_HEADS, plant_rows(costs, stored))


PLANT_HEADS = [
    "plant", "core hours", f"on {CORES} cores", f"at {CORE_HOUR} per core hour", "GB in the store",
    "GB passed between steps",
]  # fmt: skip


def plant_rows(costs: Mapping[int, Mapping[str, Cost]], stored: Mapping[int, Mapping[str, int]]) -> list[list[str]]:
    """One training of all categories of each plant, between the sizes that were measured: nothing as large was run."""
    rows = []
    for plant in PLANTS:
        seconds = sum(between(plant.images, [costs[n][step].processor for n in SIZES]) for step in costs[SIZES[0]])
        hours = plant.categories * seconds / 3600
        room = [plant.categories * between(plant.images, [stored[n][part] for n in SIZES]) / MB / 1024
                for part in ("kept", "passed")]  # fmt: skip
        figures = f"{hours:,.1f}", f"{hours / CORES:,.1f} h", f"{hours * CORE_HOUR:,.2f}"
        rows.append([plant.name, *figures, *(f"{one:,.0f}" for one in room)])
    return rows


def between(images: int, values: Sequence[float]) -> float:
    """A value for a number of images, from those of ``SIZES``; what was not measured around it is not guessed."""
    if not SIZES[0] <= images <= SIZES[-1]:
        raise ValueError(f"{images} photographs: expected {SIZES[0]} to {SIZES[-1]}, as were measured")
    return float(np.interp(images, SIZES, values))


def _bytes(folder: Path, names: tuple[str, ...]) -> int:
    """Of the files below some of the places in a folder."""
    places = [folder / name for name in names]
    files = [Path(root) / file for place in places for root, _, members in os.walk(place) for file in members]
    return sum(file.stat().st_size for file in [*files, *(place for place in places if place.is_file())])
