"""What ``vqi run`` prints at the end: the training pipeline's table, reports and models; another pipeline's outputs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from vqi.artifacts.catalog import Catalog
from vqi.artifacts.changes import CategoryChange, Changes
from vqi.artifacts.data_report import read_data_report
from vqi.artifacts.decision import Decision
from vqi.artifacts.left_out import merged
from vqi.errors import VqiError
from vqi.formatting import count
from vqi.records import AnyRecord, parse_json
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
    lines += [f"report: {path}" for path in _reports(run)]
    unchanged = [one for one in _changes(run) if not one.trained]
    lines += [f"report: {_shown(one.model)}/report.html" for one in unchanged]
    models = [*_models(run), *(f"{_shown(one.model)} (unchanged: {one.why})" for one in unchanged)]
    lines += [f"model: {model}" for model in models]
    if models:
        lines.append("score new images with one: vqi predict MODEL IMAGE...")
    return lines


def _reports(run: RunState) -> list[Path]:
    """The report of each category: with the gate's decision where there is one already."""
    found: dict[Path, Path] = {}
    for name in ("report.html", "decided_report.html"):
        found |= {task.folder.parent: path for task in _done(run) if (path := task.folder / name).is_file()}
    return sorted(found.values())


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
    for catalog in _downloaded(run, "catalog", Catalog):
        if isinstance(catalog, VqiError):
            yield f"left out: not known: {catalog}"
        else:
            yield from (f"left out: {one.text}" for one in merged(catalog.left_out))


def _changes(run: RunState) -> Iterator[CategoryChange]:
    """What the step ``dataset_download`` found about each category."""
    for changes in _downloaded(run, "changes", Changes):
        if not isinstance(changes, VqiError):
            yield from changes.categories


def _downloaded(run: RunState, name: str, model: type[AnyRecord]) -> Iterator[AnyRecord | VqiError]:
    """An output of the step ``dataset_download``, or why it cannot be read; a step of that name in another pipeline has
    none."""
    for task in _done(run):
        if task.folder.name == "dataset-download" and (made := read_task(task.folder).output_artifacts.get(name)):
            place = made.location if "://" in made.location else str(task.folder / made.location)
            try:
                yield parse_json(model, read_uri(place), place, "run the pipeline again")
            except VqiError as error:
                yield error


def _shown(model: str) -> str:
    """The uri of a model as people type it."""
    return model.removeprefix("file://")


def _models(run: RunState) -> Iterator[str]:
    """Where the models of a run are, from its ``publish`` tasks' decisions, with what the gate said."""
    for task in _done(run):
        if task.folder.name == "publish":
            try:
                decision = Decision.model_validate_json(read_task(task.folder).output_parameters.get("decision", ""))
            except ValidationError:  # a task of that name in another pipeline may decide something else
                continue
            yield f"{_shown(decision.model)} ({decision.verdict}: {'; '.join(decision.reasons)})"
