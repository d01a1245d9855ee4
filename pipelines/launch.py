"""One step as a subprocess: its own process group, an empty working folder, its output in a log."""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from vqi.errors import VqiError

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
GRACE_SECONDS = 10


async def run_subprocess(
    command: Sequence[str],
    work: Path,
    log: Path,
    environment: Mapping[str, str],
    on_line: Callable[[str], None],
) -> int:
    """Run a command to its end and return its exit code; a cancellation ends its whole process group.

    Args:
        command: ``python`` means the interpreter that runs this.
        work: An empty folder that it starts in.
        log: Receives what it prints, appended.
        environment: All of its environment.
        on_line: Is told each line.

    Raises:
        VqiError: The program is not installed.
    """
    program = sys.executable if command[0] in ("python", "python3") else shutil.which(command[0])
    if program is None:
        raise VqiError(f"the step's program '{command[0]}' is not installed on this machine")
    process = await asyncio.create_subprocess_exec(
        program,
        *command[1:],
        cwd=work,
        env=dict(environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=_die_with_parent if sys.platform == "linux" else None,
    )
    try:
        await _copy_lines(process, log, on_line)
        return await process.wait()
    except BaseException:  # cancelled, or the log cannot be written
        await _end(process)
        raise


async def _copy_lines(process: asyncio.subprocess.Process, log: Path, on_line: Callable[[str], None]) -> None:
    stream = process.stdout
    if stream is None:
        raise RuntimeError("the step was started without a pipe")
    with log.open("ab") as file:
        rest = b""
        while chunk := await stream.read(1 << 16):
            file.write(chunk)
            file.flush()
            *lines, rest = (rest + chunk).replace(b"\r", b"\n").split(b"\n")
            for line in lines:
                if text := line.decode("utf-8", errors="replace").strip():
                    on_line(text)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask the process group to end, and end it when it does not in time, or when it is asked for a second time."""
    if process.returncode is None:
        _signal_group(process.pid, signal.SIGTERM)
        try:
            await asyncio.wait_for(_exit_of(process), GRACE_SECONDS)
        except (asyncio.TimeoutError, asyncio.CancelledError):
            _signal_group(process.pid, signal.SIGKILL)
    _signal_group(process.pid, signal.SIGKILL)  # what it started and left behind


async def _exit_of(process: asyncio.subprocess.Process) -> None:
    """Wait for the exit, reading on: a step that prints while it ends must not block on a full pipe."""
    if process.stdout is not None:
        while await process.stdout.read(1 << 16):
            continue
    await process.wait()


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # all of it has ended by itself
        os.killpg(group, number)


def _die_with_parent() -> None:
    """Let the kernel end the step when the runner is killed. Runs between fork and exec: loads nothing."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
