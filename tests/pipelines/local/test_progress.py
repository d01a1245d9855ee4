"""What a person sees of a run: a live table on a terminal, plain lines elsewhere."""

import io
from pathlib import Path

import pytest
from rich.console import Console

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


def test_the_last_table_has_every_row(tmp_path: Path) -> None:
    stream = io.StringIO()
    play(LiveTable(Console(file=stream, force_terminal=True, width=200, height=10)), tmp_path, tasks=40)
    last = stream.getvalue().rpartition("Task")[2]
    assert all(f"item{place}/fit" in last for place in range(40))


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
