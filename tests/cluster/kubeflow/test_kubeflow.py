"""The pipeline on a real Kubeflow Pipelines 2.17.0. What its pages draw is read back from where they read it."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kfp
import pytest
import yaml

from tests.cluster.kubeflow.conftest import NAMESPACE, Started, ended_process
from tests.cluster.kubeflow.pipelines_api import STEPS, Run, ended
from tests.cluster.programs import objects, until
from vqi.artifacts.files import read_json

CATEGORIES = ("bracket", "fabric")
INSIDE = STEPS[1:-1]  # of the loop over the categories
Bytes = Callable[[str], bytes]


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_every_step_ran_once_for_each_category(whole: Run) -> None:
    assert whole.state == "SUCCEEDED"
    assert {step: len(whole.steps(step)) for step in STEPS} == {step: 2 if step in INSIDE else 1 for step in STEPS}
    assert {one.state for one in whole.steps()} == {"COMPLETE"}


def test_the_categories_ran_side_by_side(whole: Run) -> None:
    first, second = sorted(whole.steps("ssl-finetune"), key=lambda step: step.began)
    assert second.began < first.ended
    (last,) = whole.steps("summarize")
    assert last.began >= max(step.ended for step in whole.steps("evaluate"))


def test_the_same_scores_as_on_this_machine(whole: Run, local: Path, artifact_bytes: Bytes) -> None:
    for category in CATEGORIES:
        folder = whole.artifact("report", category).folder
        got = rows(artifact_bytes(f"{folder}/scores/scores.csv").decode())
        expected = rows((local / category / "evaluate" / "scores" / "scores.csv").read_text())
        assert len(got) == 10
        for there, here in zip(got, expected, strict=True):
            assert float(there.pop("score")) == pytest.approx(float(here.pop("score")), rel=1e-5)
            assert there == here


def test_scalar_metrics(whole: Run, local: Path) -> None:
    for category in CATEGORIES:
        artifact = whole.artifact("metrics", category)
        assert artifact.type == "system.Metrics"
        expected = read_json(local / category / "evaluate" / "metrics")
        numbers = {name: value for name, value in expected.items() if isinstance(value, int | float)}
        assert {"image_auroc", "pixel_auroc", "recall", "false_alarm_rate", "threshold"} <= numbers.keys()
        got = {name: value for name, value in artifact.properties.items() if isinstance(value, int | float)}
        assert got == pytest.approx(numbers, rel=1e-4)


def test_roc_curve_and_confusion_matrix(whole: Run, local: Path) -> None:
    for category in CATEGORIES:
        artifact = whole.artifact("roc", category)
        assert artifact.type == "system.ClassificationMetrics"
        expected = read_json(local / category / "evaluate" / "roc")["points"]
        points = artifact.properties["confidenceMetrics"]
        assert len(points) == len(expected) >= 2
        for there, here in zip(points, expected, strict=True):
            assert there["confidenceThreshold"] == pytest.approx(here["threshold"], rel=1e-5)
            rates = (there["recall"], there["falsePositiveRate"])
            assert rates == pytest.approx((here["recall"], here["false_alarm_rate"]))
        figures = read_json(local / category / "evaluate" / "metrics")
        matrix = artifact.properties["confusionMatrix"]
        assert matrix["annotationSpecs"] == [{"displayName": "good"}, {"displayName": "anomalous"}]
        assert [row["row"] for row in matrix["rows"]] == [
            [figures["tn"], figures["fp"]],
            [figures["fn"], figures["tp"]],
        ]


def test_report_and_table(whole: Run, local: Path, artifact_bytes: Bytes) -> None:
    for category in CATEGORIES:
        for name in ("report", "data_page"):
            artifact = whole.artifact(name, category)
            assert artifact.type == "system.HTML"
            page = artifact_bytes(artifact.uri).decode()
            assert page.startswith("<!DOCTYPE html>")
            assert category in page
    table = whole.artifact("table_page")
    assert (table.type, table.properties["categories"]) == ("system.Markdown", len(CATEGORIES))
    assert artifact_bytes(table.uri).decode() == (local / "table.md").read_text()


def test_models_are_published(whole: Run, kept: Any, bucket: str) -> None:
    keys = kept.keys(bucket, "models/")
    for category in CATEGORIES:
        assert any(f"/{category}/" in key and key.endswith("detector.safetensors") for key in keys), keys


def steps_of(run: Run) -> list[dict[str, Any]]:
    """The containers that the steps of a run ran in."""
    pods = objects("pods", NAMESPACE, "-l", f"pipeline/runid={run.id}")
    found = [container for pod in pods for container in pod["spec"]["containers"]]
    return [container for container in found if container["image"].split("/")[-1].startswith("vqi")]


def test_images_run_as_nobody(whole: Run) -> None:
    """Kubernetes does not start a container as root that must not be root; these were started."""
    containers = steps_of(whole)
    assert len(containers) == 14
    for container in containers:
        assert container["securityContext"]["runAsNonRoot"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["securityContext"]["allowPrivilegeEscalation"] is False


def test_resources_and_credentials_reach_the_pods(whole: Run) -> None:
    secrets = set()
    for container in steps_of(whole):
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
        assert {"cpu", "memory"} <= container["resources"]["limits"].keys()
        sources = [variable.get("valueFrom", {}).get("secretKeyRef", {}) for variable in container["env"]]
        secrets |= {source["name"] for source in sources if source}
    assert secrets == {"vqi-store"}


def test_bad_input_fails_the_run_with_the_steps_words(
    client: kfp.Client, metadata_address: str, bucket: str, bad_input: Started
) -> None:
    done = ended_process(bad_input)
    assert done.code == 1, done.output
    state, *words = done.output.splitlines()[2:]
    assert state == "FAILED"
    (line,) = words
    assert line.startswith("dataset-download: ")
    assert f"s3://{bucket}/nowhere" in line
    run = ended(client, done.id, metadata_address)
    assert {one.task: one.state for one in run.steps()} == {"dataset-download": "FAILED"}


def test_a_run_on_a_schedule(client: kfp.Client, every_minute: str, file: Path) -> None:
    """It fires once per minute, not every second, with the parameters of its file."""
    run = until("a run of the schedule", lambda: fired(client, every_minute), 180)
    client.disable_recurring_run(every_minute)
    assert client.get_recurring_run(every_minute).trigger.cron_schedule.cron == "0 * * * * *"
    assert run.scheduled_at.second == 0
    assert run.runtime_config.parameters == yaml.safe_load(file.read_text())
    assert ended(client, run.run_id, "").state == "SUCCEEDED"


def fired(client: kfp.Client, recurring_run_id: str) -> Any:
    """The first run of a recurring run."""
    runs = client.list_runs(page_size=50, sort_by="created_at desc").runs or []
    return next((run for run in runs if run.recurring_run_id == recurring_run_id), None)


def test_a_second_run_is_cached(whole: Run, again: str, client: kfp.Client, metadata_address: str) -> None:
    run = ended(client, again, metadata_address)
    assert run.state == "SUCCEEDED"
    states = {step: {one.state for one in run.steps(step)} for step in STEPS}
    always = ("dataset-download", "publish")
    assert states == {step: {"COMPLETE" if step in always else "CACHED"} for step in STEPS}
    assert run.artifact("table_page").uri == whole.artifact("table_page").uri
