"""What bf16 costs: image AUROC on ELPV against fp32."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

from tests.benchmarks.measure import command_cost, table, vqi


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for precision in ("fp32", "bf16"):
            runs = Path(folder) / precision
            options = ["--runs-dir", str(runs), "--store", str(Path(folder) / "store"), "-p", f"precision={precision}"]
            command_cost(vqi("run", *options))
            with (runs / "latest" / "table.csv").open() as file:
                rows.append([precision, *(f"{float(row['image_auroc']):.4f}" for row in csv.DictReader(file))])
    rows.append(["difference", *(f"{float(b) - float(a):+.4f}" for a, b in zip(rows[0][1:], rows[1][1:], strict=True))])
    table("Image AUROC by precision, engine auto", ["precision", "mono", "poly"], rows)
