"""How far a run is and what time is left: only where that can be known."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from vqi_pipelines.local.progress import PlainLines
from vqi_pipelines.local.state import CACHED, DONE, FAILED, RUNNING, RunState
from vqi_pipelines.local.time_left import overall, time_left

LABELS = ("download", "a/fit", "a/score", "b/fit", "b/score", "join")
EXPECTED = {"download": 5.0, "a/fit": 100.0, "a/score": 20.0, "b/fit": 60.0, "b/score": 10.0, "join": 1.0}


def made(parallelism: int = 1, expected: Mapping[str, float] = EXPECTED) -> RunState:
    run = RunState("r", Path("r"), "p", {}, PlainLines(io.StringIO()), parallelism=parallelism, expected=expected)
    for place, label in enumerate(LABELS):
        run.task(label, (place,))
    return run


def end(run: RunState, label: str, state: str, seconds: float = 0.0) -> None:
    run.tasks[label].state, run.tasks[label].seconds = state, seconds


def start(run: RunState, label: str, ago: float) -> None:
    run.tasks[label].state, run.tasks[label].began = RUNNING, time.monotonic() - ago


@pytest.mark.parametrize(("parallelism", "left"), [(1, 196.0), (2, 126.0), (9, 126.0)])
def test_folders_share_the_places(parallelism: int, left: float) -> None:
    assert time_left(made(parallelism)) == left


def test_what_is_over_takes_no_more_time_and_what_runs_takes_the_rest() -> None:
    run = made()
    end(run, "download", CACHED)
    end(run, "b/fit", FAILED)
    end(run, "b/score", "skipped")
    start(run, "a/fit", 40.0)
    assert time_left(run) == pytest.approx(60 + 20 + 1, abs=1)
    assert overall(run).startswith("3 of 6 steps, about 80 s left")


def test_another_folder_of_this_run_tells_as_well() -> None:
    run = made(expected={"join": 1.0})
    assert time_left(run) is None
    assert overall(run) == "0 of 6 steps"
    for label, seconds in (("download", 1.0), ("a/fit", 50.0), ("a/score", 5.0)):
        end(run, label, DONE, seconds)
    assert time_left(run) == 56.0


def test_a_step_that_takes_much_longer_than_before_ends_what_is_known() -> None:
    run = made()
    start(run, "download", 7.0)
    assert time_left(run) == pytest.approx(191.0, abs=1), "a little longer is nothing"
    start(run, "download", 8.0)
    assert time_left(run) is None


def test_while_not_all_steps_are_known_nothing_is() -> None:
    run = made()
    run.unfolded.add("for-each")
    assert time_left(run) is None
    assert overall(run) == "0 of 6 steps, more to come"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(3, "a few seconds"), (52, "about 50 s"), (130, "about 2 min"), (3000, "about 50 min"), (9000, "about 2.5 h")],
)
def test_no_more_exact_than_it_is(seconds: float, told: str) -> None:
    run = made(expected=dict.fromkeys(LABELS, 0.0) | {"download": float(seconds)})
    assert overall(run) == f"0 of 6 steps, {told} left"
