"""Shows a run on a terminal: a table with a row per task, which is redrawn."""

from __future__ import annotations

import time
from typing import Literal, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from vqi.progress import clock
from vqi_pipelines.local.progress import Results, closing_lines, no_results
from vqi_pipelines.local.state import CACHED, DONE, FAILED, RUNNING, SKIPPED, STOPPED, WAITING, RunState, TaskState
from vqi_pipelines.local.time_left import overall

_COLUMNS: tuple[tuple[str, Literal["left", "right"]], ...] = (
    ("", "left"), ("Task", "left"), ("State", "left"), ("Time", "right"), ("", "left"),
)  # fmt: skip
_OTHERS, _GAP = _COLUMNS[:-1], 2  # than the one of the details; between columns
_LOOKS = {
    WAITING: ("·", "dim"),
    RUNNING: ("▶", "bold cyan"),
    DONE: ("✔", "green"),
    CACHED: ("✔", "blue"),
    FAILED: ("✘", "bold red"),
    SKIPPED: ("-", "dim"),
    STOPPED: ("■", "yellow"),
}


def live_table(stream: TextIO, results: Results) -> LiveTable:
    """The observer for a terminal."""
    return LiveTable(Console(file=stream), results)


class LiveTable:
    """One row per task, redrawn when it changes."""

    def __init__(self, console: Console, results: Results = no_results) -> None:
        self._console, self._results = console, results
        self._live: Live | None = None
        self._ended = False
        self._run: RunState | None = None

    def begin(self, run: RunState) -> None:
        """Show the table."""
        self._run = run
        self._live = Live(get_renderable=self._picture, console=self._console, refresh_per_second=4)
        self._live.start()

    def changed(self, task: TaskState) -> None:
        """The table is redrawn by itself."""

    def note(self, text: str) -> None:
        """Print it above the table."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def end(self, run: RunState) -> None:
        """Leave the last table on the screen, and print where the results are."""
        self._ended = True
        if self._live is not None:
            self._live.stop()
        for line in closing_lines(run, self._results):
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _picture(self) -> Table | Group:
        """The table, and below it how far the run is, until it has ended."""
        if self._ended or self._run is None:
            return self._table()
        seconds = time.monotonic() - self._run.began
        return Group(self._table(), Text(f"{overall(self._run)}, {clock(seconds)} so far", "bold"))

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, expand=False)
        tasks = self._run.in_order() if self._run else []
        room = len(tasks) if self._ended else max(1, self._console.height - 3)  # header, last line, cursor
        rows = []
        for task in most_telling(tasks, room):
            symbol, style = _LOOKS[task.state]
            seconds = "" if task.state in (WAITING, SKIPPED) else f"{task.elapsed():.1f} s"
            detail = task.message or (task.last_line if task.state == RUNNING else "")
            cells = (symbol, style), (task.label, ""), (task.state, style), (seconds, ""), (detail, "dim")
            rows.append([Text(*cell) for cell in cells])
        for title, justify in _COLUMNS:
            table.add_column(title, justify=justify, no_wrap=True, overflow="ellipsis")
        # rich would take the room of a long detail from all columns
        others = [max([len(title), *(row[place].cell_len for row in rows)]) for place, (title, _) in enumerate(_OTHERS)]
        left = self._console.width - sum(others) - _GAP * len(others)
        for row in rows:
            row[-1].truncate(max(left, 1), overflow="ellipsis")
            table.add_row(*row)
        return table


def most_telling(tasks: list[TaskState], room: int) -> list[TaskState]:
    """As many tasks as there is room for, in their order; failed and running ones take precedence over waiting ones."""
    rank = {FAILED: 0, RUNNING: 0, STOPPED: 0, WAITING: 1}
    chosen = sorted(range(len(tasks)), key=lambda place: (rank.get(tasks[place].state, 2), place))[:room]
    return [tasks[place] for place in sorted(chosen)]
