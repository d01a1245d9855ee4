"""Killing a command again and again at random moments, until it has finished its work nevertheless."""

from __future__ import annotations

import random
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

POLL_SECONDS = 0.002


@dataclass(frozen=True)
class Survival:
    """What happened to it."""

    kills: int
    rounds: int  # how often the work was begun from scratch
    needed: float  # progress of a run that nobody disturbed
    lost: float  # progress beyond that, in all rounds together


def kill_and_go_on(
    command: Sequence[str],
    environment: Mapping[str, str],
    kills: int,
    from_nothing: Callable[[], None],
    progress: Callable[[], float],
    after_round: Callable[[], None],
    seed: int = 0,
) -> Survival:
    """Run ``command``, SIGKILL it at a random moment, start it again, until it was killed so often and ended well.

    Every other kill comes after a random time, the others when a random part of the progress that is left was made.

    Args:
        kills: how often it is killed in all; when it ends before, it starts over.
        from_nothing: removes what it made, so that it has something to do.
        progress: what was transferred so far, in all rounds; it only grows.
        after_round: called whenever it ended well.
    """
    chance = random.Random(seed)
    from_nothing()
    begin = progress()
    seconds = _run(command, environment, lambda _: False) or 0.0
    needed = progress() - begin
    after_round()
    done = rounds = 0
    lost = 0.0
    while done < kills:
        from_nothing()
        begin, rounds = progress(), rounds + 1
        while done < kills:
            ended = _run(command, environment, _moment(chance, done, seconds, begin + needed, progress))
            if ended is not None:
                break
            done += 1
        else:
            _run(command, environment, lambda _: False)
        lost += progress() - begin - needed
        after_round()
    return Survival(done, rounds, needed, lost)


def _moment(
    chance: random.Random, number: int, seconds: float, goal: float, progress: Callable[[], float]
) -> Callable[[float], bool]:
    """Whether it is time, given the seconds since the start."""
    now = progress()
    if number % 2 or now >= goal:
        after = chance.uniform(0.1, 0.9) * seconds
        return lambda elapsed: elapsed >= after
    at = now + chance.uniform(0, 1) * (goal - now)
    return lambda _: progress() >= at


def _run(command: Sequence[str], environment: Mapping[str, str], moment: Callable[[float], bool]) -> float | None:
    """How long it ran; None when it was killed because it was time."""
    begin = time.monotonic()
    with tempfile.TemporaryFile() as errors:
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=errors) as process:
            while True:
                try:
                    process.wait(POLL_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    if moment(time.monotonic() - begin):
                        process.kill()
                        process.wait()
                        return None
        errors.seek(0)
        assert process.returncode == 0, errors.read().decode()[-2000:]
    return time.monotonic() - begin
