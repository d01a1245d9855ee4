"""The step evaluate: scores, maps, metrics, report and the category's row of the table."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vqi.artifacts.detector import load_detector
from vqi.artifacts.files import read_json
from vqi.artifacts.images import load_images
from vqi.artifacts.scores import load_maps, read_scores
from vqi.pages.table import COLUMNS

OneError = Callable[[int], str]
FILES = {
    "scores": "scores",
    "metrics": "metrics.json",
    "roc": "roc.json",
    "report": "report.html",
    "summary": "summary",
}


def outputs(folder: Path) -> dict[str, object]:
    return {name: folder / file for name, file in FILES.items()}


def test_scores_and_decisions(chain: Any) -> None:
    rows = read_scores(chain.folder / "scores" / "scores.csv")
    images = load_images(chain.folder / "images")
    assert [row.path for row in rows] == [images.index[i].path for i in images.rows("test")]
    assert [row.label for row in rows] == [0] * 4 + [1] * 6
    threshold = load_detector(chain.folder / "detector.safetensors").record.threshold.value
    assert [row.decision for row in rows] == [int(row.score > threshold) for row in rows]


def test_a_score_is_of_the_highest_cells_of_its_map(chain: Any) -> None:
    maps = load_maps(chain.folder / "scores" / "anomaly_maps.safetensors")
    scores = np.array([row.score for row in read_scores(chain.folder / "scores" / "scores.csv")])
    assert maps.shape == (10, 8, 8)
    highest = np.sort(maps.reshape(10, 64), axis=1)[:, -3:]  # 5 % of 64 cells
    np.testing.assert_allclose(np.sqrt(highest.mean(axis=1)), scores, rtol=1e-4)


def test_metrics_and_summary(chain: Any) -> None:
    metrics = read_json(chain.folder / "metrics.json")
    summary = json.loads((chain.folder / "summary").read_text())
    assert list(summary) == list(COLUMNS)
    assert summary == {name: metrics[name] for name in COLUMNS}
    assert (metrics["test_images"], metrics["test_good"], metrics["test_anomalous"]) == (10, 4, 6)
    assert metrics["image_auroc_low"] <= metrics["image_auroc"] <= metrics["image_auroc_high"]
    assert metrics["pixel_auroc"] is not None
    assert metrics["aupro"] is not None


def test_report_stands_alone(chain: Any) -> None:
    html = (chain.folder / "report.html").read_text()
    assert "quartile" not in html, "the data page shows what the images look like"
    assert "bracket" in html
    for forbidden in ("<script", "http://", "https://"):
        assert forbidden not in html.replace("http://www.w3.org/2000/svg", "")


def test_same_input_same_bytes(chain: Any, tmp_path: Path) -> None:
    assert chain.run("evaluate", **outputs(tmp_path)) == 0
    for file in (
        "scores/scores.csv",
        "scores/anomaly_maps.safetensors",
        "metrics.json",
        "roc.json",
        "report.html",
        "summary",
    ):
        assert (tmp_path / file).read_bytes() == (chain.folder / file).read_bytes(), file


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"bootstrap": 1}, "bootstrap: Input should be greater than or equal to 100, got '1'"),
        ({"detector": "features.safetensors"}, "expected format 'vqi.detector/7', got 'vqi.features/5'"),
        ({"images": "scores"}, "images.safetensors"),
        ({"data_report": "dataset"}, "Invalid JSON"),
    ],
)
def test_bad_input(chain: Any, tmp_path: Path, one_error: OneError, changed: dict[str, object], message: str) -> None:
    changed = {name: chain.folder / value if isinstance(value, str) else value for name, value in changed.items()}
    assert message in one_error(chain.run("evaluate", **{**outputs(tmp_path), **changed}))
    assert not list(tmp_path.iterdir())


def test_parts_of_different_runs_are_refused(chain: Any, tmp_path: Path, one_error: OneError) -> None:
    assert chain.run("feature_extract", features=tmp_path / "f", pool=2) == 0
    message = one_error(chain.run("evaluate", **outputs(tmp_path / "out"), features=tmp_path / "f"))
    assert "run the steps of one category again" in message
