"""What ``vqi run`` prints at the end: the training pipeline's table, reports and models; another pipeline's outputs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from pydantic import ValidationError

from vqi.artifacts.catalog import Catalog
from vqi.artifacts.changes import CategoryChange, Changes
from vqi.artifacts.data_report import read_data_report
from vqi.artifacts.decision import Decision
from vqi.artifacts.left_out import merged
from vqi.artifacts.metrics import Summary
from vqi.errors import VqiError
from vqi.formatting import NOTHING, area, area_with_interval, columns, count, percent, short_percent
from vqi.pages.table import means_of
from vqi.records import AnyRecord, parse_json
from vqi.redaction import shown_line
from vqi.store.opening import read_uri
from vqi_pipelines.local.state import CACHED, DONE, RunState, TaskState
from vqi_pipelines.local.task_record import ArtifactRecord, read_task
from vqi_pipelines.runs.categories import Category, categories_of

_HEADER = ("Category", "Usable", "Test images", "Image AUROC", "Recall", "False alarms", "Promised", "Decision")
_MOST_SHOWN = 200  # characters of a value


def results_of(run: RunState) -> list[str]:
    """What was left out, warnings of the images, the table, and where the reports and models are; only what exists."""
    lines = [*_left_out(run), *_warnings(run)]
    try:
        categories = categories_of(run.folder, {task.label: task.state for task in run.in_order()})
    except VqiError as error:
        categories = ()
        lines.append(f"the figures cannot be shown: {error}")
    if any(one.row for one in categories):
        lines += ["", *_table(categories), ""]
    lines += _below_table(run)
    table = run.folder / "table.html"
    lines += [f"table: {table}"] if table.is_file() else []
    lines += [f"report: {_page(run, one.report)}" for one in categories if one.report]
    lines += [f"data: {_page(run, one.data_page)}" for one in categories if one.data_page]
    unchanged = [one for one in _changes(run) if not one.trained]
    lines += [f"report: {_shown(one.model)}/report.html" for one in unchanged]
    models = [*_models(run), *(f"{_shown(one.model)} (unchanged: {one.why})" for one in unchanged)]
    lines += [f"model: {model}" for model in models]
    if models:
        lines.append("score new images with one: vqi predict MODEL IMAGE...")
    return lines


def _below_table(run: RunState) -> list[str]:
    """What ``table.md`` says of categories below its table: why one failed, what operators say."""
    table = run.folder / "table.md"
    told = table.read_text(encoding="utf-8").splitlines() if table.is_file() else []
    return [line for line in told if line.startswith("- ")]


def _page(run: RunState, place: str) -> str:
    return _shown(place) if "://" in place else str(run.folder / place)


def _table(categories: Sequence[Category]) -> list[str]:
    """The figures as people compare them; ``table.html`` has all of them."""
    rows = [_cells(one) for one in categories]
    means = _means([one.row for one in categories if one.row])
    lines = columns([_HEADER, *rows, *means], right=range(2, len(_HEADER) - 1))
    rule = "-" * max(map(len, lines))
    body = [lines[0], rule, *lines[1:]]
    return [*body[:-1], rule, body[-1]] if means else body


def _cells(one: Category) -> tuple[str, ...]:
    row = one.row
    if row is None:
        return (shown_line(one.name), *[NOTHING] * (len(_HEADER) - 2), one.decided)
    interval = area_with_interval(row.image_auroc, row.image_auroc_low, row.image_auroc_high)
    figures = f"{row.test_images:,}", interval, percent(row.recall), percent(row.false_alarm_rate)
    return shown_line(one.name), row.usable or NOTHING, *figures, short_percent(row.target_fpr), one.decided


def _means(rows: Sequence[Summary]) -> list[tuple[str, ...]]:
    """The row of means, or none with fewer than two categories."""
    if len(rows) < 2:
        return []
    mean = means_of(rows)
    figures = area(mean["image_auroc"]), percent(mean["recall"]), percent(mean["false_alarm_rate"])
    return [("Mean", "", "", *figures, "", "")]


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
