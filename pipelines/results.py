"""What ``vqi run`` prints about the training pipeline's results when a run has ended: the table, reports and models."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import ValidationError

from vqi_pipelines.local.state import CACHED, DONE, RunState, TaskState
from vqi_pipelines.local.task_record import read_task


def results_of(run: RunState) -> list[str]:
    """The table, and where the reports and models are; only those that exist."""
    lines: list[str] = []
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


def _done(run: RunState) -> list[TaskState]:
    return [task for task in run.in_order() if task.state in (DONE, CACHED)]


def _models(run: RunState) -> Iterator[str]:
    """Where the models of a run are, from its ``publish`` tasks' decisions, with whether each is a new one."""
    from vqi.models.registry import Decision  # the stores, which a run that publishes nothing does not need

    for task in _done(run):
        if task.folder.name == "publish":
            try:
                decision = Decision.model_validate_json(read_task(task.folder).output_parameters.get("decision", ""))
            except ValidationError:  # a task of that name in another pipeline may decide something else
                continue
            yield f"{decision.model.removeprefix('file://')} ({decision.reason})"
