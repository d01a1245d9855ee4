"""What Kubeflow receives about outputs: as its own SDK writes it, and as its launcher reads it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from kfp import dsl
from kfp.pipeline_spec import pipeline_spec_pb2

from tests.components.conftest import executor_input
from tests.vqi import made
from vqi.artifacts.files import read_json
from vqi.artifacts.metrics import Roc, RocPoint
from vqi.errors import VqiError
from vqi_components.executor_output import write_metadata
from vqi_components.kubeflow_figures import classification, scalars

OneError = Callable[[int], str]
FIGURES = made.metrics(category="mono", test_images=10, tn=5, fp=1, fn=2, tp=2, image_auroc=0.9)
ROC = Roc(
    threshold=2.0,
    points=(
        RocPoint(threshold=3.0, recall=0.0, false_alarm_rate=0.0),
        RocPoint(threshold=1.5, recall=1.0, false_alarm_rate=0.25),
    ),
)
NO_ROC = Roc(threshold=2.0, points=())


def read_output(folder: Path) -> dict[str, dict[str, Any]]:
    """The metadata of each artifact, read as the launcher does: an unknown key is an error."""
    message = json_format.Parse((folder / "output.json").read_text(), pipeline_spec_pb2.ExecutorOutput())
    return {name: json_format.MessageToDict(listed.artifacts[0].metadata) for name, listed in message.artifacts.items()}


def test_scalars_are_what_was_measured() -> None:
    found = scalars(FIGURES)
    assert found["category"] == "mono"
    assert {name: found[name] for name in ("test_images", "tn", "image_auroc")} == {
        "test_images": 10, "tn": 5, "image_auroc": 0.9,
    }  # fmt: skip
    assert not {"aupro", "recall"} & set(found), "they were not measured"
    assert not {"threshold_source", "detector"} & set(found), "texts are not figures"


def test_classification_is_what_kubeflows_own_sdk_writes() -> None:
    reference = dsl.ClassificationMetrics()
    reference.log_roc_curve([0.0, 0.25], [0.0, 1.0], [3.0, 1.5])
    reference.log_confusion_matrix(["good", "anomalous"], [[5, 1], [2, 2]])
    assert classification(FIGURES, ROC) == {"category": "mono", **reference.metadata}


def test_what_was_not_measured_is_left_out() -> None:
    assert classification(made.metrics(category="mono"), NO_ROC) == {"category": "mono"}
    assert "confidenceMetrics" not in classification(FIGURES, NO_ROC)


def test_the_launcher_reads_it(tmp_path: Path) -> None:
    text = executor_input(tmp_path, metrics="system.Metrics", roc="system.ClassificationMetrics")
    write_metadata(text, {"metrics": scalars(FIGURES), "roc": classification(FIGURES, ROC)})
    found = read_output(tmp_path)
    assert found["metrics"]["image_auroc"] == 0.9
    assert found["roc"]["confusionMatrix"]["rows"] == [{"row": [5, 1]}, {"row": [2, 2]}]
    written = json.loads((tmp_path / "output.json").read_text())["artifacts"]["roc"]["artifacts"][0]
    assert written["uri"] == "minio://bucket/roc"


def test_nobody_asks_for_it() -> None:
    write_metadata("", {"metrics": {}})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no json", "executor_input: expected what Kubeflow inserts"),
        ("[]", "executor_input: expected what Kubeflow inserts"),
        ('{"outputs": {"artifacts": {}}}', "outputs.outputFile: Field required"),
        ('{"outputs": {"artifacts": {"metrics": {"artifacts": []}}, "outputFile": "/x"}}', "at least 1 item"),
        ('{"outputs": {"artifacts": {"roc": {"artifacts": [{}]}}, "outputFile": "/x"}}', r"'metrics', got \['roc'\]"),
    ],
)
def test_what_kubeflow_does_not_give(text: str, message: str) -> None:
    with pytest.raises(VqiError, match=message):
        write_metadata(text, {"metrics": {}})


def test_evaluate(chain: Any, tmp_path: Path) -> None:
    schemas = {
        "scores": "system.Artifact", "metrics": "system.Metrics", "roc": "system.ClassificationMetrics",
        "report": "system.HTML",
    }  # fmt: skip
    outputs = {name: tmp_path / name for name in (*schemas, "summary")}
    assert chain.run("evaluate", **outputs, executor_input=executor_input(tmp_path, **schemas)) == 0
    found, figures = read_output(tmp_path), read_json(chain.folder / "metrics.json")
    assert found["metrics"]["image_auroc"] == figures["image_auroc"]
    assert found["metrics"].keys() == {"category", *(k for k, v in figures.items() if isinstance(v, int | float))}
    curve = found["roc"]["confidenceMetrics"]
    assert [curve[0][key] for key in ("recall", "falsePositiveRate")] == [0, 0]
    assert [curve[-1][key] for key in ("recall", "falsePositiveRate")] == [1, 1]
    rows = [row["row"] for row in found["roc"]["confusionMatrix"]["rows"]]
    assert rows == [[figures["tn"], figures["fp"]], [figures["fn"], figures["tp"]]]
    assert found["report"] == {"category": "bracket"}
    for name in ("metrics", "roc", "report"):
        assert (tmp_path / name).read_bytes() == next(chain.folder.glob(f"{name}.*")).read_bytes()


def test_publish(chain: Any, tmp_path: Path) -> None:
    schemas = {"decided_report": "system.HTML", "gate_metrics": "system.Metrics"}
    flags = {"decision": tmp_path / "d", "executor_input": executor_input(tmp_path, **schemas)}
    assert chain.run("publish", **flags, run="") == 0
    assert read_output(tmp_path) == {
        "decided_report": {"verdict": "unchanged"},
        "gate_metrics": {"promoted": 0, "version": 1, "champion": 1, "verdict": "unchanged",
                         "reason_01": "an equal model is the champion"},
    }  # fmt: skip


def test_preprocess_and_summarize(chain: Any, tmp_path: Path) -> None:
    flags = {"images": tmp_path / "i", "data_report": tmp_path / "r", "data_page": tmp_path / "p"}
    assert chain.run("preprocess", **flags, executor_input=executor_input(tmp_path, data_page="system.HTML")) == 0
    assert read_output(tmp_path) == {"data_page": {"category": "bracket"}}
    flags = {"table": tmp_path / "t", "table_page": tmp_path / "t.md"}
    assert chain.run("summarize", **flags, executor_input=executor_input(tmp_path, table_page="system.Markdown")) == 0
    assert read_output(tmp_path) == {"table_page": {"categories": 1}}


def test_bad_input(chain: Any, tmp_path: Path, one_error: OneError) -> None:
    flags = {"table": tmp_path / "t", "table_page": tmp_path / "t.md"}
    assert "executor_input" in one_error(chain.run("summarize", **flags, executor_input="{{$}}"))
