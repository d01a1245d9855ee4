"""What ``vqi run`` prints at the end: the training pipeline's table, reports and models; another pipeline's outputs."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pydantic import ValidationError

from vqi.artifacts.catalog import Catalog
from vqi.artifacts.data_report import read_data_report
from vqi.artifacts.decision import Decision
from vqi.artifacts.left_out import merged
from vqi.errors import VqiError
from vqi.formatting import count
from vqi.records import parse_json
from vqi.store.opening import read_uri
from vqi_pipelines.local.state import CACHED, DONE, RunState, TaskState
from vqi_pipelines.local.task_record import ArtifactRecord, read_task

_MOST_SHOWN = 200  # characters of a value


def results_of(run: RunState) -> list[str]:
    """What was left out, warnings of the images, the table, and where the reports and models are; only what exists."""
    lines = [*_left_out(run), *_warnings(run)]
    table = run.folder / "table.md"
    if table.is_file():
        lines += ["", *table.read_text(encoding="utf-8").splitlines(), "", f"table: {run.folder / 'table.html'}"]
    reports = sorted(task.folder / "report.html" for task in _done(run))
    lines += [f"report: {path}" for path in reports if path.is_file()]
    models = list(_models(run))
    lines += [f"model: {model}" for model in models]
    if models:
        lines.append("score new images with one: vqi predict MODEL IMAGE...")
    return lines


def outputs_of(run: RunState) -> list[str]:
    """What the steps of any pipeline made: the values of output parameters, the places of output artifacts."""
    lines: list[str] = []
    for task in _done(run):
        record = read_task(task.folder)
        lines += [f"{task.label}: {name} = {_shortened(value)}" for name, value in record.output_parameters.items()]
        lines += [f"{task.label}: {name}: {_place(task, one)}" for name, one in record.output_artifacts.items()]
    return ["", *lines] if lines else []


def _shortened(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def _place(task: TaskState, artifact: ArtifactRecord) -> str:
    """A path below the step's folder, or a uri."""
    return artifact.location if "://" in artifact.location else str(task.folder / artifact.location)


def _done(run: RunState) -> list[TaskState]:
    return [task for task in run.in_order() if task.state in (DONE, CACHED)]


def _warnings(run: RunState) -> Iterator[str]:
    """What ``preprocess`` could not read of each category, and what makes its figures worth little."""
    for task in _done(run):
        path = task.folder / "data_report"
        if task.folder.name == "preprocess" and path.is_file():
            try:
                report = read_data_report(path)
            except VqiError:  # a task of that name in another pipeline may report something else
                continue
            if report.unreadable:
                bad, total = report.unreadable[0], report.images + len(report.unreadable)
                where = f"{report.category}: {len(report.unreadable)} of {count(total, 'image')}"
                yield f"unreadable: {where}, left out, for example {bad.path}: {bad.reason}"
            yield from (f"warning: {report.category}: {text}" for text in report.image_warnings)


def _left_out(run: RunState) -> Iterator[str]:
    """What the source has and the dataset has not, from the catalog of the step ``dataset_download``."""
    for task in _done(run):
        if task.folder.name == "dataset-download" and (made := read_task(task.folder).output_artifacts.get("catalog")):
            place = made.location if "://" in made.location else str(task.folder / made.location)
            try:
                catalog = parse_json(Catalog, read_uri(place), place, "run the pipeline again")
            except VqiError as error:
                yield f"left out: not known: {error}"
                continue
            yield from (f"left out: {one.text}" for one in merged(catalog.left_out))


def _models(run: RunState) -> Iterator[str]:
    """Where the models of a run are, from its ``publish`` tasks' decisions, with whether each is a new one."""
    for task in _done(run):
        if task.folder.name == "publish":
            try:
                decision = Decision.model_validate_json(read_task(task.folder).output_parameters.get("decision", ""))
            except ValidationError:  # a task of that name in another pipeline may decide something else
                continue
            yield f"{decision.model.removeprefix('file://')} ({decision.reason})"
