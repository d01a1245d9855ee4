"""What a plant costs: processor time and memory of each step by the number of images, and what follows for two plants.

Each step is measured at two sizes; a line through them gives what it costs to start, and what each image adds.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.measure import MB, Cost, table
from tests.benchmarks.steps import PIXELS, step_costs

SMALL, LARGE = 200, 1000  # photographs
CORE_HOUR = 0.04  # currency units; what a core hour of a large cloud's general-purpose machines costs, about
# Photographs in the store and what is passed between steps, by the places where the steps write.
KEPT, PASSED = ("store",), ("images", "features", "scores")
PLANTS = {"50 categories x 2,000 photographs": (50, 2_000), "2,000 categories x 20,000 photographs": (2_000, 20_000)}


@dataclass(frozen=True)
class Line:
    """A cost that grows with the number of images: ``start + slope * images``."""

    start: float
    slope: float

    def at(self, images: int) -> float:
        return self.start + self.slope * images

    @classmethod
    def through(cls, small: float, large: float) -> Line:
        slope = max(0.0, (large - small) / (LARGE - SMALL))
        return cls(max(0.0, small - slope * SMALL), slope)


def main() -> None:
    costs, bytes_of = {}, {}
    for images in (SMALL, LARGE):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            costs[images] = step_costs(folder, images)
            bytes_of[images] = {part: _bytes(folder, names) for part, names in (("kept", KEPT), ("passed", PASSED))}
    time, memory = lines(costs[SMALL], costs[LARGE])
    rows = [
        [name, f"{time[name].start:.1f}", f"{1000 * time[name].slope:.1f}", f"{costs[LARGE][name].own_mb:.0f}",
         f"{1000 * memory[name].slope:.0f}"]
        for name in time
    ]  # fmt: skip
    heads = [
        "step",
        "processor s to start",
        "processor s per 1,000 images",
        f"MB of memory at {LARGE:,}",
        "MB more per 1,000",
    ]
    table(f"Cost of each step ({PIXELS} px PNG, default parameters)", heads, rows)
    sizes = {part: Line.through(bytes_of[SMALL][part], bytes_of[LARGE][part]) for part in ("kept", "passed")}
    table("Storage", ["what", "MB per category", "MB per 1,000 images"], [
        [part, f"{one.start / MB:.0f}", f"{1000 * one.slope / MB:.0f}"] for part, one in sizes.items()
    ])  # fmt: skip
    plants(time, memory, sizes)


def lines(small: dict[str, Cost], large: dict[str, Cost]) -> tuple[dict[str, Line], dict[str, Line]]:
    """Of each step the processor time, and the peak of its memory."""
    time = {name: Line.through(small[name].processor, large[name].processor) for name in small}
    return time, {name: Line.through(small[name].own_mb, large[name].own_mb) for name in small}


def plants(time: dict[str, Line], memory: dict[str, Line], sizes: dict[str, Line]) -> None:
    """One training of all categories of each plant, computed from the lines: nothing of that size was run."""
    rows = []
    for plant, (categories, images) in PLANTS.items():
        hours = sum(one.at(images) for one in time.values()) * categories / 3600
        most = max(memory, key=lambda name: memory[name].at(images))
        rows.append([
            plant,
            f"{hours:,.1f}",
            f"{hours / 32:,.1f} h",
            f"{hours * CORE_HOUR:,.2f}",
            f"{memory[most].at(images):,.0f} ({most})",
            f"{categories * sizes['kept'].at(images) / MB / 1024:,.0f}",
            f"{categories * sizes['passed'].at(images) / MB / 1024:,.0f}",
        ])  # fmt: skip
    heads = ["plant", "core hours", "on 32 cores", f"at {CORE_HOUR} per core hour", "MB of the largest step",
             "GB in the store", "GB passed between steps"]  # fmt: skip
    table("One training of a whole plant (computed)", heads, rows)


def _bytes(folder: Path, names: tuple[str, ...]) -> int:
    """Of the files below some of the places in a folder."""
    places = [folder / name for name in names]
    files = [Path(root) / file for place in places for root, _, members in os.walk(place) for file in members]
    return sum(file.stat().st_size for file in [*files, *(place for place in places if place.is_file())])
