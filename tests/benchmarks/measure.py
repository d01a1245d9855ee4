"""Time and memory of functions and of commands."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

MB = 1 << 20


@dataclass(frozen=True)
class Cost:
    seconds: float
    peak_mb: float
    processor: float = 0.0  # seconds, of the command and its children, on all cores
    own_mb: float = 0.0  # of the peak what is not the contents of files, which the system takes back when it needs room


def best_of(function: Callable[[], Any], repeats: int = 3) -> float:
    """The shortest time in seconds: the one that other load on the machine affects least."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return min(times)


def allocated(function: Callable[[], Any]) -> float:
    """The peak of what a function allocates on top of what was there, in bytes."""
    tracemalloc.start()
    function()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def processor_seconds(command: Sequence[str], **options: Any) -> float:
    """The processor time that a command and its children take, on all cores."""
    before = _children()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, **options)
    return _children() - before


def _children() -> float:
    """The processor time of the processes that ended, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def command_cost(command: Sequence[str], **options: Any) -> Cost:
    """Run a command; its time, and the most memory that it and its children held at the same time (sampled)."""
    begin, before = time.perf_counter(), _children()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **options) as process:
        peak = Memory(0, 0)
        ended = threading.Event()

        def sample() -> None:
            nonlocal peak
            while not ended.wait(0.05):
                peak = Memory(*map(max, peak, tree_memory(process.pid)))

        sampler = threading.Thread(target=sample)
        sampler.start()
        _, errors = process.communicate()
        ended.set()
        sampler.join()
    if process.returncode:
        raise RuntimeError(f"{command}: exit code {process.returncode}: {errors.decode()[-2000:]}")
    return Cost(time.perf_counter() - begin, peak.held / MB, _children() - before, peak.own / MB)


class Memory(NamedTuple):
    """Bytes of memory; a page that several processes share counts in part for each."""

    held: int
    own: int  # without the contents of files


def tree_memory(pid: int) -> Memory:
    """What a process and its descendants hold."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it ended
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        current = todo.pop()
        todo += parents.get(current, [])
        found.append(_proportional(current))
    return Memory(*map(sum, zip(*found, strict=True)))


def _proportional(pid: int) -> Memory:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:  # it ended
        return Memory(0, 0)
    told = dict(re.findall(r"^(\w+): +(\d+) kB$", text, re.MULTILINE))
    own = int(told["Pss_Anon"]) + int(told["Pss_Shmem"])
    return Memory(1024 * int(told["Pss"]), 1024 * own)


def vqi(*arguments: str) -> list[str]:
    """The ``vqi`` command of this environment."""
    return [str(Path(sys.executable).with_name("vqi")), *arguments]


def table(title: str, heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a Markdown table."""
    print(f"\n## {title} ({os.cpu_count()} cores)\n")
    print("| " + " | ".join(heads) + " |")
    print("| " + " | ".join(["---"] + ["---:"] * (len(heads) - 1)) + " |")
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |", flush=True)
