"""How long a call takes for one photograph after the other. Needs no package but numpy."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from tests.benchmarks.peers.outcome import Outcome, processor_time

WARM, CALLS = 10, 300


def time_each(
    calls: Mapping[str, Callable[[Path], object]], files: Sequence[Path], warm: int = WARM, count: int = CALLS
) -> Outcome:
    """Several calls in turns: half of all take at most ``p50``, 99 of 100 at most ``p99``, and the ``processor`` time
    of the mean, each in milliseconds.
    """
    chosen = [files[turn % len(files)] for turn in range(count)]
    for call in calls.values():
        for file in chosen[:warm]:
            call(file)
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    processor = dict.fromkeys(calls, 0.0)
    for file in chosen:
        for name, call in calls.items():
            began, before = time.perf_counter(), processor_time()
            call(file)
            seconds[name].append(time.perf_counter() - began)
            processor[name] += processor_time() - before
    outcome = Outcome()
    for name, times in seconds.items():
        p50, p99 = np.percentile(times, [50, 99])
        outcome.figures |= {
            f"{name} p50": 1000 * float(p50),
            f"{name} p99": 1000 * float(p99),
            f"{name} processor": 1000 * processor[name] / count,
        }
    return outcome
