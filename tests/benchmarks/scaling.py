"""How time and memory grow with the number of images."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.benchmarks.measure import table
from tests.benchmarks.steps import PIXELS, step_costs

SIZES = [125, 250, 500, 1000]


def main() -> None:
    costs = {}
    for n in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            costs[n] = step_costs(Path(folder), n)
    rows = [
        [name, *(f"{costs[n][name].seconds:.1f} s, {costs[n][name].peak_mb:.0f} MB" for n in SIZES)]
        for name in costs[SIZES[0]]
    ]
    table(f"Growth with the number of images ({PIXELS} px PNG, default parameters)", ["step", *map(str, SIZES)], rows)
