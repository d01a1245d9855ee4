"""The state of a run while it is running: its tasks, their states and times. Observers show it."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any, Protocol

from vqi.artifacts.files import write_json
from vqi.errors import BAD_INPUT, UNAVAILABLE, VqiError
from vqi.redaction import redacted_value, shown_line
from vqi.system.os_errors import explain
from vqi_pipelines.local.private import PRIVATE
from vqi_pipelines.local.run_record import RUN_FILE, RunRecord, TaskTime

WAITING, RUNNING, DONE, CACHED = "waiting", "running", "done", "cached"
FAILED, SKIPPED, STOPPED = "failed", "skipped", "stopped"
STATES = (WAITING, RUNNING, DONE, CACHED, FAILED, SKIPPED, STOPPED)  # in the order in which they are counted

STOPPED_CODE = 128 + signal.SIGINT  # as in a shell for a command that was interrupted
FIXABLE = (BAD_INPUT, UNAVAILABLE)  # exit codes of steps that print one line on what to do


@dataclass
class TaskState:
    """One container step of a run."""

    label: str  # <loop item>/<task>; its folder below the run folder
    folder: Path
    state: str = WAITING
    began: float = 0.0  # monotonic seconds
    started_at: str = ""  # UTC, ISO 8601
    seconds: float = 0.0
    last_line: str = ""
    message: str = ""  # why it failed
    exit_code: int | None = None
    place: tuple[int, ...] = ()  # in the order of the pipeline, one number per level

    def elapsed(self) -> float:
        """Seconds that it has been running, or that it took."""
        return time.monotonic() - self.began if self.state == RUNNING else self.seconds

    @property
    def log(self) -> Path:
        """The file with its output."""
        return self.folder / "log.txt"


class Observer(Protocol):
    """Shows a run to a person."""

    def begin(self, run: RunState) -> None:
        """The run starts."""

    def changed(self, task: TaskState) -> None:
        """A task has another state."""

    def note(self, text: str) -> None:
        """Something that a person should know of."""

    def end(self, run: RunState) -> None:
        """The run has ended."""


@dataclass
class RunState:
    """A run."""

    run_id: str
    folder: Path
    pipeline: str
    parameters: dict[str, Any]
    observer: Observer
    tasks: dict[str, TaskState] = field(default_factory=dict)
    state: str = RUNNING
    began: float = field(default_factory=time.monotonic)
    started_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    seconds: float = 0.0
    uid: str = ""  # the id, and what no run in another folder has that began in the same second
    parallelism: int = 1  # steps at the same time
    expected: Mapping[str, float] = field(default_factory=dict)  # seconds that steps took before, by label
    unfolded: set[str] = field(default_factory=set)  # labels of loops and graphs whose steps are not known yet

    def __post_init__(self) -> None:
        self.uid = self.uid or f"{self.run_id}-{token_hex(4)}"

    def task(self, label: str, place: tuple[int, ...] = ()) -> TaskState:
        """The task of that label, waiting when it is new; ``place`` is its place in the pipeline."""
        if label not in self.tasks:
            self.tasks[label] = TaskState(label, self.folder / label, place=place)
        return self.tasks[label]

    def in_order(self) -> list[TaskState]:
        """The tasks in the order of the pipeline."""
        return sorted(self.tasks.values(), key=lambda task: task.place)

    def change(self, task: TaskState, state: str, message: str = "") -> None:
        """Change the state of a task and notify the observer."""
        if state == RUNNING:
            task.began = time.monotonic()
            task.started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        elif task.state == RUNNING:
            task.seconds = time.monotonic() - task.began
        task.state, task.message = state, shown_line(message)
        self.observer.changed(task)

    def note(self, text: str) -> None:
        """Tell the observer what a person should know of."""
        self.observer.note(shown_line(text))

    def count(self, state: str) -> int:
        """How many tasks are in a state."""
        return sum(task.state == state for task in self.tasks.values())

    @property
    def exit_code(self) -> int:
        """0 done, `BAD_INPUT` when all that failed was for the user to fix, `STOPPED_CODE` stopped, else 1."""
        if self.state == STOPPED:
            return STOPPED_CODE
        failed = [task for task in self.tasks.values() if task.state == FAILED]
        if self.state == DONE and not failed:
            return 0
        return BAD_INPUT if failed and all(task.exit_code in FIXABLE for task in failed) else 1

    def save(self) -> None:
        """Write ``run.json``.

        Raises:
            VqiError: It cannot be written, for example because the disk is full.
        """
        record = RunRecord(
            run_id=self.run_id,
            uid=self.uid,
            pipeline=self.pipeline,
            state=self.state,
            started_at=self.started_at,
            parameters=redacted_value(self.parameters),
            seconds=round(self.seconds, 3),
            tasks={t.label: TaskTime(state=t.state, seconds=round(t.seconds, 3)) for t in self.tasks.values()},
        )
        try:
            write_json(self.folder / RUN_FILE, record.model_dump(), PRIVATE)
        except OSError as error:
            raise VqiError(f"the run cannot be written: {explain(error, self.folder)} (--runs-dir)") from error
