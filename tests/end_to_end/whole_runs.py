"""The ``vqi`` command as a user types it, and what a run of it left."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

FAST = {"engine": "eager", "precision": "fp32", "image_size": 96, "detector": "pca"}
CATEGORIES = ["bracket", "fabric"]


def vqi(*argv: object, cwd: Path, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """The command as a user types it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("VQI_", "AWS_"))}
    return subprocess.run(
        [str(Path(sys.executable).with_name("vqi")), *map(str, argv)],
        cwd=cwd,
        env=kept | dict(environment or {}),
        capture_output=True,
        text=True,
    )


def run(
    folder: Path, *flags: object, environment: Mapping[str, str] | None = None, **parameters: object
) -> subprocess.CompletedProcess[str]:
    """``vqi run`` in ``folder``."""
    assignments = [text for name, value in parameters.items() for text in ("-p", f"{name}={value}")]
    return vqi("run", *flags, *assignments, cwd=folder, environment=environment)


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "runs" / "latest" / "table.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def scores_csv(folder: Path, category: str) -> Path:
    (found,) = (folder / "runs" / "latest" / category).rglob("scores.csv")
    return found


def task_states(folder: Path) -> dict[str, str]:
    """The state of every task of the latest run."""
    run = json.loads((folder / "runs" / "latest" / "run.json").read_text())
    return {name: task["state"] for name, task in run["tasks"].items()}
