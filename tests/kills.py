"""Killing a command again and again at random moments, until it has done its work in spite of that."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Survival:
    """What became of it."""

    kills: int
    rounds: int  # how often the work was begun from nothing


def kill_and_go_on(
    command: Sequence[str],
    environment: Mapping[str, str],
    kills: int,
    from_nothing: Callable[[], None],
    after_round: Callable[[int], None],
    seed: int = 0,
) -> Survival:
    """Run ``command``, SIGKILL it at a random moment, start it again, until it was killed so often and ended well.

    Args:
        kills: how often it is killed in all; when it ends before, it begins from nothing again.
        from_nothing: takes away what it made, so that it has something to do.
        after_round: called with the kills of the round whenever it ended well.
    """
    chance = random.Random(seed)
    from_nothing()
    needed = _run(command, environment, None) or 0.0
    after_round(0)
    done = rounds = 0
    while done < kills:
        from_nothing()
        rounds, here, ended = rounds + 1, 0, None
        while done < kills and ended is None:
            ended = _run(command, environment, chance.uniform(0.1, 1) * needed)
            if ended is None:
                done, here = done + 1, here + 1
        if ended is None:
            _run(command, environment, None)
        elif not here:
            needed = min(needed, ended)  # nobody disturbed it: a machine that was busy at first is not so now
        after_round(here)
    return Survival(done, rounds)


def _run(command: Sequence[str], environment: Mapping[str, str], seconds: float | None) -> float | None:
    """How long it ran; None when it was killed after ``seconds``."""
    begin = time.monotonic()
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            _, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return None
    assert process.returncode == 0, errors.decode()[-2000:]
    return time.monotonic() - begin
