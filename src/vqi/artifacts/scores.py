"""The artifact ``scores``: a table of the test images and their anomaly maps."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vqi.artifacts.files import Json, atomic_path
from vqi.artifacts.tensors import FloatArray, load_tensors, save_tensors

SCORES_FILE = "scores.csv"
MAPS_FILE = "anomaly_maps.safetensors"


@dataclass(frozen=True)
class ScoreRow:
    """One test image of ``scores.csv``."""

    path: str
    label: int
    defect_type: str
    score: float
    decision: int  # 0 normal, 1 anomalous: score > threshold


def write_scores(path: Path, rows: Sequence[ScoreRow]) -> None:
    """Write ``scores.csv`` with full precision."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)  # a name may hold a CR
        table.writerow(["path", "label", "defect_type", "score", "decision"])
        for row in rows:
            table.writerow([row.path, row.label, row.defect_type, float(row.score), row.decision])


def read_scores(path: Path) -> list[ScoreRow]:
    """Read ``scores.csv``."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            ScoreRow(r["path"], int(r["label"]), r["defect_type"], float(r["score"]), int(r["decision"]))
            for r in csv.DictReader(file)
        ]


def save_maps(path: Path, maps: FloatArray, header: Json) -> None:
    """Write anomaly maps (N_test, h, w) at the layer's resolution, in the order of ``scores.csv``."""
    save_tensors(path, "vqi.anomaly_maps/1", {"maps": maps.astype(np.float32)}, header)


def load_maps(path: Path) -> FloatArray:
    """Memory-map anomaly maps (N_test, h, w) float32."""
    return load_tensors(path, "vqi.anomaly_maps/1", ["maps"])[0]["maps"]
