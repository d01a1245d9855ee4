"""What a person sees of a run: a live table on a terminal, plain lines elsewhere."""

import io
import threading
import time
from pathlib import Path

import pytest
from rich.console import Console

from vqi_pipelines.local import progress
from vqi_pipelines.local.live_table import LiveTable, most_telling
from vqi_pipelines.local.progress import PlainLines, observer_for
from vqi_pipelines.local.state import CACHED, DONE, FAILED, RUNNING, WAITING, Observer, RunState, TaskState


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


def play(observer: Observer, folder: Path, tasks: int = 2) -> RunState:
    """A run whose first task fails and whose others are done."""
    run = RunState("run-1", folder, "p", {}, observer)
    observer.begin(run)
    for place in range(tasks):
        task = run.task(f"item{place}/fit")
        task.folder.mkdir(parents=True)
        task.log.write_text("".join(f"line {number}\n" for number in range(40)))
        run.change(task, RUNNING)
        run.change(task, FAILED if place == 0 else DONE, "it is broken" if place == 0 else "")
    run.state = FAILED
    observer.end(run)
    return run


def test_which_one() -> None:
    assert isinstance(observer_for(Terminal()), LiveTable)
    assert isinstance(observer_for(io.StringIO()), PlainLines)


@pytest.mark.parametrize("live", [True, False])
def test_a_failure_shows_the_end_of_its_log(tmp_path: Path, live: bool) -> None:
    stream = io.StringIO()
    observer = LiveTable(Console(file=stream, force_terminal=True, width=300)) if live else PlainLines(stream)
    run = play(observer, tmp_path)
    said = stream.getvalue()
    assert "item0/fit failed: it is broken" in said
    assert f"log: {run.folder / 'item0' / 'fit' / 'log.txt'}" in said
    assert "| line 25\n" in said.replace("\r", "")
    assert "line 24" not in said
    assert "1 done, 1 failed" in said


def test_how_far_a_run_is_stands_below_the_table_while_it_goes_on(tmp_path: Path) -> None:
    table = LiveTable(Console(file=io.StringIO(), force_terminal=True, width=100, height=20))
    run = RunState("run-1", tmp_path, "p", {}, table, expected=dict.fromkeys("abcdefghijklmnopqrstuvwxyz", 10.0))
    for label in run.expected:
        run.task(label)
    paper = Console(file=io.StringIO(), width=100)
    table.begin(run)
    paper.print(table._picture())
    lines = paper.file.getvalue().splitlines()
    assert lines[-1].rstrip() == "0 of 26 steps, about 4 min left, 0:00 so far"
    assert len(lines) == 19, "the last line of the screen is the cursor's"
    run.state = DONE
    table.end(run)
    paper.print(table._picture())
    assert paper.file.getvalue().count("so far") == 1


def test_plain_lines_say_so_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = threading.Event()

    class Waited(io.StringIO):
        def write(self, text: str) -> int:
            if "of 2 steps" in text:
                said.set()
            return super().write(text)

    monkeypatch.setattr(progress, "_EVERY_SECONDS", 0.01)
    stream = Waited()
    lines = PlainLines(stream)
    run = RunState("run-1", tmp_path, "p", {}, lines, expected={"a": 100.0, "b": 200.0})
    lines.begin(run)
    for label in ("a", "b"):
        run.task(label)
    run.change(run.tasks["a"], RUNNING)
    assert said.wait(60)
    lines.end(run)
    assert "a running 0 s" in stream.getvalue()
    assert "0 of 2 steps, about 5 min left\n" in stream.getvalue()


def test_the_last_table_has_every_row(tmp_path: Path) -> None:
    stream = io.StringIO()
    play(LiveTable(Console(file=stream, force_terminal=True, width=200, height=10)), tmp_path, tasks=40)
    last = stream.getvalue().rpartition("Task")[2]
    assert all(f"item{place}/fit" in last for place in range(40))


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_long_message_takes_no_room_from_the_names(tmp_path: Path, width: int) -> None:
    table = LiveTable(Console(file=io.StringIO(), force_terminal=True, width=width, height=20))
    run = RunState("run-1", tmp_path, "p", {}, table)
    task = run.task("bracket/feature-extract", (0,))
    task.state, task.began, task.last_line = RUNNING, time.monotonic(), "extract bracket: 40/500 (8 %), 12.3/s, " * 10
    table.begin(run)
    paper = Console(file=io.StringIO(), width=width)
    paper.print(table._table())
    (line,) = [one for one in paper.file.getvalue().splitlines() if "extract" in one]
    table.end(run)
    assert "bracket/feature-extract  running" in line
    assert len(line) <= width
    assert line.rstrip().endswith("…")


def test_what_runs_is_seen_however_many_rows_there_are() -> None:
    tasks = [TaskState(str(place), Path(), DONE) for place in range(20)]
    tasks[3].state, tasks[9].state, tasks[15].state, tasks[18].state = CACHED, FAILED, RUNNING, WAITING
    assert [task.label for task in most_telling(tasks, 3)] == ["9", "15", "18"]
    assert [task.label for task in most_telling(tasks, 5)] == ["0", "1", "9", "15", "18"]
    assert most_telling(tasks, 20) == tasks


def test_a_reader_that_left_does_not_stop_the_run(tmp_path: Path) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    assert play(PlainLines(Closed()), tmp_path).count(DONE) == 1
