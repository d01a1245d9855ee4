"""The artifact ``scores``: a table of the test images and their anomaly maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vqi.artifacts.files import Json
from vqi.artifacts.tables import finite, one_of, read_table, write_table
from vqi.artifacts.tensors import FloatArray, check_forms, load_tensors, save_tensors
from vqi.formatting import cell, text_of

SCORES_FILE = "scores.csv"
MAPS_FILE = "anomaly_maps.safetensors"
AGAIN = "run evaluate again"
_MAPS = "vqi.anomaly_maps/1"
_COLUMNS = ("path", "label", "defect_type", "score", "decision", "p_value")


@dataclass(frozen=True)
class ScoreRow:
    """One test image of ``scores.csv``."""

    path: str
    label: int
    defect_type: str
    score: float
    decision: int  # 0 normal, 1 anomalous: score > threshold
    p_value: float  # share of good parts that are at least as unusual, in (0, 1]


def write_scores(path: Path, rows: Sequence[ScoreRow]) -> None:
    """Write ``scores.csv`` with full precision; people open it, so names are cells of a spreadsheet."""
    texts = (
        (cell(row.path), row.label, cell(row.defect_type), float(row.score), row.decision, float(row.p_value))
        for row in rows
    )
    write_table(path, _COLUMNS, texts)


def read_scores(path: Path) -> list[ScoreRow]:
    """Read ``scores.csv``.

    Raises:
        VqiError: It is missing or damaged.
    """
    return read_table(path, _COLUMNS, _score_row, "a table of scores", AGAIN)


def _score_row(row: dict[str, str]) -> ScoreRow:
    label, decision = (int(one_of(row[name], ("0", "1"))) for name in ("label", "decision"))
    score, p_value = finite(row["score"]), finite(row["p_value"])
    if not 0 < p_value <= 1:
        raise ValueError(f"a p-value of {p_value}, expected one in (0, 1]")
    return ScoreRow(text_of(row["path"]), label, text_of(row["defect_type"]), score, decision, p_value)


def save_maps(path: Path, maps: FloatArray, header: Json) -> None:
    """Write anomaly maps (N_test, h, w) at the layer's resolution, in the order of ``scores.csv``."""
    save_tensors(path, _MAPS, {"maps": maps.astype(np.float32)}, header)


def load_maps(path: Path) -> FloatArray:
    """Memory-map anomaly maps (N_test, h, w) float32.

    Raises:
        VqiError: The file is missing or damaged.
    """
    arrays, _ = load_tensors(path, _MAPS, AGAIN)
    check_forms(path, arrays, {"maps": ("float32", (None, None, None))}, AGAIN)
    return arrays["maps"]
