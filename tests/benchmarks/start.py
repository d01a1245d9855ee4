"""What `vqi predict` of one photograph takes to its first row, with a model and with exported files."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.benchmarks.measure import command_cost, processor_seconds, table, vqi
from vqi.datasets import elpv

REPEATS = 3


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given = ["-p", 'categories=["mono"]', "-p", "limit_per_class=60", "-p", "bootstrap=100"]
        command_cost(vqi("run", "--runs-dir", str(folder / "runs"), "--store", str(folder / "store"), *given))
        model, photograph = folder / "store/models/elpv/mono", folder / "cell.png"
        entries = elpv.split(elpv.read_labels(elpv.locate()), "mono")
        photograph.write_bytes(next(one for one in entries if one.path.startswith("test/")).read())
        models = {"a published model": [str(model)]}
        for precision in ("fp32", "bf16"):
            file = folder / precision
            command_cost(vqi("export", str(model), "--to", "openvino", "--precision", precision, "-o", str(file)))
            models[f"exported, {precision}"] = [str(file)]
        rows = []
        for what, arguments in models.items():
            command = vqi("predict", *arguments, str(photograph))
            costs = [processor_seconds(command) for _ in range(REPEATS)]
            rows.append([what, f"{min(costs):.2f} s", f"{max(costs):.2f} s"])
    heads = ["with", f"processor time, best of {REPEATS}", "worst"]
    table("`vqi predict` of one photograph, its start included", heads, rows)
