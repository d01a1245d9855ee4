"""Progress of long work on stderr: a bar on a terminal, a plain line every few seconds in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from vqi.errors import printable

Item = TypeVar("Item")

LOG_SECONDS = 5.0
BAR_SECONDS = 0.1
BAR_CELLS = 30


def track(
    items: Iterable[Item], total: int, what: str, *, unit: str = "", size: Callable[[Item], int] | None = None
) -> Iterator[Item]:
    """Yield ``items`` one by one and report on stderr how many of ``total`` are done, how fast, and what time is left.

    The last state is always reported, so that a log shows that the work ended, or where it broke off.

    Args:
        items: What is worked through.
        total: How many there are, counted by ``size``.
        what: The name of the work.
        unit: What is counted, for the rate.
        size: How many an item counts as; one when None.
    """
    on_terminal = sys.stderr.isatty()
    interval = BAR_SECONDS if on_terminal else LOG_SECONDS
    started = said = time.monotonic()
    done = 0
    try:
        for item in items:
            yield item
            done += size(item) if size else 1
            if time.monotonic() - said >= interval:
                said = time.monotonic()
                _say(line(what, done, total, said - started, unit), done, total, on_terminal)
    finally:
        _say(line(what, done, total, time.monotonic() - started, unit), done, total, on_terminal)
        if on_terminal:
            _write("\n")


def message(text: str) -> None:
    """One line on stderr: what a person should know of a step that continues."""
    _write(f"{printable(text)}\n")


def line(what: str, done: int, total: int, seconds: float, unit: str = "") -> str:
    """``decode mono: 300/901 (33 %), 152.3/s, 0:04 left``; rate and time are left out before there are any."""
    share = f" ({100 * done // total} %)" if total else ""
    if not done or seconds <= 0:
        return f"{what}: {done}/{total}{share}"
    rate = f", {done / seconds:.1f}{f' {unit}' if unit else ''}/s"
    left = f", {clock((total - done) * seconds / done)} left" if done < total else ""
    return f"{what}: {done}/{total}{share}{rate}{left}"


def clock(seconds: float) -> str:
    """``0:07``, ``12:30``, ``1:00:05``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def bar(done: int, total: int) -> str:
    """``[#########---------------------]``."""
    filled = BAR_CELLS * min(done, total) // total if total else BAR_CELLS
    return f"[{'#' * filled}{'-' * (BAR_CELLS - filled)}]"


def _say(text: str, done: int, total: int, on_terminal: bool) -> None:
    text = printable(text)
    _write(f"\r\x1b[K{bar(done, total)} {text}" if on_terminal else f"{text}\n")


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
