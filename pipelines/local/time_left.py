"""How long a run takes from now on, where that can be known: from how long its steps took before."""

from __future__ import annotations

from collections.abc import Iterator

from vqi_pipelines.local.state import DONE, RUNNING, WAITING, RunState, TaskState

_PATIENCE = 1.5  # how many times as long as expected a step may run before nothing is known any more


def time_left(run: RunState) -> float | None:
    """Seconds; None where it is not known: not all steps are known yet, one of them never ran before, or one runs much
    longer than before.

    Steps of one folder follow each other, those of different folders share ``parallelism`` places. The estimate is the
    longer one of the longest folder and of all work, evenly shared.
    """
    if run.unfolded:
        return None
    chains: dict[str, float] = {}
    for task in run.in_order():
        if task.state not in (WAITING, RUNNING):
            continue
        expected = _expected(run, task)
        if expected is None or task.elapsed() > _PATIENCE * max(expected, 1.0):
            return None
        folder = task.label.rpartition("/")[0]
        chains[folder] = chains.get(folder, 0.0) + max(expected - task.elapsed(), 0.0)
    alone = chains.pop("", 0.0)  # the steps before and after all folders
    return alone + max(max(chains.values(), default=0.0), sum(chains.values()) / run.parallelism)


def overall(run: RunState) -> str:
    """``5 of 8 steps, about 2 min left``; without the number of steps or the time where they are not known."""
    over = sum(task.state not in (WAITING, RUNNING) for task in run.tasks.values())
    if run.unfolded:
        return f"{over} of {len(run.tasks)} steps, more to come"
    left = time_left(run)
    return f"{over} of {len(run.tasks)} steps" + ("" if left is None else f", {_about(left)} left")


def _expected(run: RunState, task: TaskState) -> float | None:
    """How long a step takes: as in an earlier run, else as the same step of other folders in this one."""
    if task.label in run.expected:
        return run.expected[task.label]
    seen = [*_seen(run, task.label.rpartition("/")[2])]
    return sum(seen) / len(seen) if seen else None


def _seen(run: RunState, step: str) -> Iterator[float]:
    for other in run.tasks.values():
        if other.state == DONE and other.label.rpartition("/")[2] == step:
            yield other.seconds


def _about(seconds: float) -> str:
    """No more exact than it is known."""
    if seconds < 10:
        return "a few seconds"
    if seconds < 90:
        return f"about {round(seconds, -1):.0f} s"
    minutes = round(seconds / 60)
    return f"about {minutes} min" if minutes < 90 else f"about {seconds / 3600:.1f} h"
