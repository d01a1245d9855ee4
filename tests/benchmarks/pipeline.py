"""The whole pipeline on the embedded dataset: from scratch, and again."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.benchmarks.measure import command_cost, table, vqi


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = vqi("run", "--runs-dir", str(Path(folder) / "runs"), "--store", str(Path(folder) / "store"))
        first, second = command_cost(command), command_cost(command)
    rows = [
        ["first time", f"{first.seconds:.1f} s", f"{first.peak_mb:.0f} MB"],
        ["again, nothing changed", f"{second.seconds:.1f} s", f"{second.peak_mb:.0f} MB"],
    ]
    table("vqi run on both ELPV categories", ["", "time", "most memory at once, all processes"], rows)
