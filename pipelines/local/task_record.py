"""``task.json`` of a step: what it was given, what it made, and how ``vqi step`` starts it again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vqi.artifacts.files import read_text, write_json
from vqi.records import Record, parse_json
from vqi_pipelines.local.private import PRIVATE

TASK_FILE = "task.json"
_AGAIN = "run the pipeline again"


class StartRecord(Record):
    """How a step is started. No value of the environment is kept; the step gets the current values."""

    command: tuple[str, ...]  # with its placeholders filled in
    folder: str  # in which the step writes: the paths of its outputs are below it
    image: str
    resources: dict[str, Any]
    annotations: dict[str, str]
    launcher: str  # its name
    place: str  # where artifacts are stored between steps
    settings: dict[str, str]  # the variables that the run itself sets
    needs: tuple[str, ...]  # names of variables
    may_need: tuple[str, ...]
    secret: tuple[str, ...] = ()  # names of parameters whose secret parts are not kept


class ArtifactRecord(Record):
    """Where an artifact is."""

    location: str  # a path, or a uri in an object store
    digest: str
    files: tuple[str, ...] | None = None  # of a folder in an object store, relative


class TaskRecord(Record):
    """A step of a run that ended."""

    task: str
    component: str
    state: str
    cached: bool
    message: str  # why it failed
    parameters: dict[str, Any]
    input_artifacts: dict[str, ArtifactRecord]
    output_parameters: dict[str, Any]
    output_artifacts: dict[str, ArtifactRecord]
    started_at: str  # UTC, ISO 8601
    seconds: float
    exit_code: int | None
    start: StartRecord | None  # None if its command could not be put together


def write_task(folder: Path, record: TaskRecord) -> None:
    """Write ``task.json`` in a step's folder."""
    write_json(folder / TASK_FILE, record.model_dump(exclude_unset=True), PRIVATE)  # NaN is refused


def read_task(folder: Path) -> TaskRecord:
    """Read ``task.json`` in a step's folder.

    Raises:
        VqiError: It is missing, or is not what ``write_task`` writes.
    """
    path = folder / TASK_FILE
    return parse_json(TaskRecord, read_text(path, _AGAIN), str(path), _AGAIN)
