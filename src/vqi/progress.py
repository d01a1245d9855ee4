"""Progress of long work on stderr: a bar on a terminal, a plain line every few seconds in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

LOG_SECONDS = 5.0
BAR_SECONDS = 0.1
BAR_CELLS = 30


def track(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """Yield ``items`` one by one and say on stderr how many of ``total`` are done.

    The last state is always said, so that a log shows that the work ended, and where it broke off.
    """
    on_terminal = sys.stderr.isatty()
    interval = BAR_SECONDS if on_terminal else LOG_SECONDS
    started = said = time.monotonic()
    done = 0
    try:
        for item in items:
            yield item
            done += 1
            if time.monotonic() - said >= interval:
                said = time.monotonic()
                _say(what, done, total, said - started, on_terminal)
    finally:
        _say(what, done, total, time.monotonic() - started, on_terminal)
        if on_terminal:
            _write("\n")


def message(text: str) -> None:
    """One line on stderr: what a person should know of a step that goes on."""
    _write(f"{text}\n")


def line(what: str, done: int, total: int, seconds: float) -> str:
    """``decode mono: 300/901 (33 %), 152.3/s``; the rate is left out before there is one."""
    share = f" ({100 * done // total} %)" if total else ""
    rate = f", {done / seconds:.1f}/s" if seconds > 0 and done else ""
    return f"{what}: {done}/{total}{share}{rate}"


def bar(done: int, total: int) -> str:
    """``[#########---------------------]``."""
    filled = BAR_CELLS * min(done, total) // total if total else BAR_CELLS
    return f"[{'#' * filled}{'-' * (BAR_CELLS - filled)}]"


def _say(what: str, done: int, total: int, seconds: float, on_terminal: bool) -> None:
    text = line(what, done, total, seconds)
    _write(f"\r\x1b[K{bar(done, total)} {text}" if on_terminal else f"{text}\n")


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
