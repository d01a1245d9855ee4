"""Run folders as a run leaves them, without a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.vqi.made import metrics
from vqi.artifacts.decision import Decision, Verdict
from vqi.artifacts.files import write_json, write_text
from vqi.artifacts.images import INDEX_FILE, IndexRow, write_index
from vqi.artifacts.metrics import Summary
from vqi.artifacts.scores import SCORES_FILE, ScoreRow, write_scores
from vqi.pages.table import to_csv
from vqi_pipelines.local.cache import CACHE, ArtifactEntry, Entry, save_entry
from vqi_pipelines.local.run_record import RUN_FILE, RunRecord, TaskTime
from vqi_pipelines.local.state import DONE, FAILED
from vqi_pipelines.local.task_record import ArtifactRecord, TaskRecord, write_task
from vqi_pipelines.runs.removing import PASSED_ON

STEPS = ("preprocess", "ssl-finetune", "feature-extract", "pca-fit", "evaluate", "publish")
SCORES = {"good/a.png": 0.1, "good/b.png": 0.3, "bad/c.png": 0.8, "bad/d.png": 0.9}  # path below test -> score
SIZE = 1000  # bytes of each artifact that is passed on


def summary(category: str, **changes: Any) -> Summary:
    told = {"category": category, "test_images": 4, "threshold": 0.5, "image_auroc": 0.9, "recall": 0.8, "usable": "no"}
    return metrics(**told | {"false_alarm_rate": 0.1} | changes).summary()


def made_run(
    runs_dir: Path,
    name: str = "20241201-100000-training",
    categories: Sequence[str] = ("mono",),
    *,
    state: str = DONE,
    failed: str = "",
    parameters: Mapping[str, Any] | None = None,
    scores: Mapping[str, float] = SCORES,
    threshold: float = 0.5,
    verdict: Verdict = "promoted",
    unchanged: Sequence[str] = (),
) -> Path:
    """A run of some categories; the step ``failed``, as in ``mono/evaluate``, and those after it have no results."""
    folder = runs_dir / name
    tasks: dict[str, TaskTime] = {"dataset-download": TaskTime(state=DONE, seconds=1.0)}
    (folder / "dataset-download").mkdir(parents=True)
    write_task(folder / "dataset-download", _record("dataset-download", "", DONE, verdict, threshold))
    rows = []
    for category in categories:
        going = True
        for step in STEPS:
            label = f"{category}/{step}"
            ended = FAILED if label == failed else DONE if going else "skipped"
            going = going and ended == DONE
            tasks[label] = TaskTime(state=ended, seconds=10.0)
            if ended != "skipped":
                (folder / label).mkdir(parents=True)
                write_task(folder / label, _record(step, category, ended, verdict, threshold))
            if ended == DONE:
                _write_outputs(folder / label, step, scores, threshold)
        rows += [summary(category, threshold=threshold)] if going else []
    write_text(folder / "table.csv", to_csv([*rows, *map(summary, unchanged)]))
    record = RunRecord(
        run_id=name, uid=f"{name}-0", pipeline="training", state=state, started_at="2024-12-01T10:00:00+00:00",
        parameters={"source": "folder:parts", "target_fpr": 0.05} | dict(parameters or {}), seconds=60.0, tasks=tasks,
    )  # fmt: skip
    write_json(folder / RUN_FILE, record.model_dump())
    return folder


def remember(runs_dir: Path, key: str, step: Path, artifact: str) -> Path:
    """An entry of the cache for an artifact of a step."""
    made = {"made": ArtifactEntry(location=artifact, digest="0")}
    save_entry(runs_dir / CACHE, key, Entry(folder=str(step.relative_to(runs_dir)), parameters={}, artifacts=made))
    return runs_dir / CACHE / f"{key}.json"


def _record(step: str, category: str, state: str, verdict: Verdict, threshold: float) -> TaskRecord:
    row = summary(category, threshold=threshold).model_dump_json()
    decision = Decision(
        published=True, model=f"file:///store/{category}/v2", version=2, verdict=verdict, reasons=("because", "so"),
        champion=2 if verdict == "promoted" else 1,
    )  # fmt: skip
    outputs = {"evaluate": {"summary": row}, "publish": {"decision": decision.model_dump_json()}}.get(step, {})
    artifacts = {"evaluate": "scores", "preprocess": "images"}.get(step)
    return TaskRecord(
        task=step, component=f"comp-{step}", state=state, cached=False, message="the disk is full", parameters={},
        input_artifacts={}, output_parameters=outputs if state == DONE else {},
        output_artifacts={artifacts: ArtifactRecord(location=artifacts, digest="0")} if artifacts else {},
        started_at="", seconds=1.0, exit_code=0, start=None,
    )  # fmt: skip


def _write_outputs(folder: Path, step: str, scores: Mapping[str, float], threshold: float) -> None:
    if step in PASSED_ON:
        path = folder / PASSED_ON[step]
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(SIZE))
    labels = {f"test/{name}": int(not name.startswith("good/")) for name in scores}
    if step == "preprocess":
        (folder / "data_page.html").touch()
        rows = [
            IndexRow(
                path,
                "test",
                label,
                path.split("/")[1],
                None,
                sha256(path.rpartition("/")[2].encode()).hexdigest(),
                0,
                0,
            )
            for path, label in labels.items()
        ]
        write_index(folder / "images" / INDEX_FILE, rows)
    if step == "evaluate":
        (folder / "report.html").touch()
        (folder / "scores").mkdir()
        found = [
            ScoreRow(f"test/{name}", labels[f"test/{name}"], name.split("/")[0], score, int(score > threshold), 0.5)
            for name, score in scores.items()
        ]
        write_scores(folder / "scores" / SCORES_FILE, found)
    if step == "publish":
        (folder / "decided_report.html").touch()
