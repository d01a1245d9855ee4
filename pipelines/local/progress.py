"""Observers of a run: plain lines, and on a terminal the table of ``live_table``."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable
from typing import TextIO

from vqi.redaction import shown_line
from vqi_pipelines.local.state import DONE, FAILED, RUNNING, STATES, STOPPED, WAITING, Observer, RunState, TaskState
from vqi_pipelines.local.task_record import TASK_FILE
from vqi_pipelines.local.time_left import overall

_TAIL_LINES = 15  # of a failed step's log
_EVERY_SECONDS = 10.0  # between plain lines about running steps


Results = Callable[[RunState], list[str]]  # the lines about a run's results, after it has ended


def no_results(run: RunState) -> list[str]:
    """For a pipeline without a description of its results."""
    return []


def observer_for(stream: TextIO, results: Results = no_results) -> Observer:
    """The observer that suits the output; ``results`` describes a run's results in the terms of its pipeline."""
    if not stream.isatty():
        return PlainLines(stream, results)
    from vqi_pipelines.local.live_table import live_table  # rich takes long to import

    return live_table(stream, results)


class PlainLines:
    """One line per change, and one every few seconds per running task."""

    def __init__(self, stream: TextIO, results: Results = no_results) -> None:
        self._stream, self._results = stream, results
        self._ended = threading.Event()
        self._unread = False
        self._run: RunState | None = None
        self._reminder = threading.Thread(target=self._remind, daemon=True)

    def begin(self, run: RunState) -> None:
        """Print that the run starts."""
        self._run = run
        self._say(f"run {run.run_id} in {run.folder}")
        self._reminder.start()

    def changed(self, task: TaskState) -> None:
        """Print a change."""
        if task.state == WAITING:
            return
        seconds = f" {task.seconds:.1f} s" if task.state in (DONE, FAILED, STOPPED) else ""
        message = f": {task.message}" if task.message else ""
        self._say(f"{task.label} {task.state}{seconds}{message}")

    def note(self, text: str) -> None:
        """Print it."""
        self._say(text)

    def end(self, run: RunState) -> None:
        """Print how the run ended."""
        self._ended.set()
        self._reminder.join()
        for line in closing_lines(run, self._results):
            self._say(line)

    def _remind(self) -> None:
        while not self._ended.wait(_EVERY_SECONDS):
            if self._run is None:
                continue
            for task in self._run.in_order():
                if task.state == RUNNING:
                    line = f": {task.last_line}" if task.last_line else ""
                    self._say(f"{task.label} running {task.elapsed():.0f} s{line}")
            self._say(overall(self._run))

    def _say(self, text: str) -> None:
        if self._unread:
            return
        try:
            self._stream.write(text + "\n")
            self._stream.flush()
        except BrokenPipeError:  # the reader has left (vqi run | head); the run continues, and its folder has it all
            self._unread = True


def closing_lines(run: RunState, results: Results = no_results) -> list[str]:
    """How the run ended, the last lines of what failed, its results, and what to do next."""
    lines: list[str] = []
    for task in run.in_order():
        if task.state == FAILED:
            lines += ["", f"{task.label} failed: {task.message}", f"  log: {task.log}", *_tail(task)]
    counts = ", ".join(f"{run.count(state)} {state}" for state in STATES if run.count(state))
    lines += ["", f"{run.state} in {run.seconds:.1f} s ({counts})", *results(run)]
    if run.state in (FAILED, STOPPED):
        lines.append("the same command again continues where this run stopped")
    failed = [task for task in run.in_order() if task.state == FAILED and (task.folder / TASK_FILE).is_file()]
    if failed:
        lines.append("to run one failed step again, from its inputs, with its log on the terminal:")
        lines += [f"  vqi step {shlex.quote(str(task.folder))}" for task in failed]
    return lines


def _tail(task: TaskState) -> list[str]:
    if not task.log.is_file():
        return []
    lines = task.log.read_text(encoding="utf-8", errors="replace").splitlines()
    return [f"  | {shown_line(line)}" for line in lines[-_TAIL_LINES:]]
