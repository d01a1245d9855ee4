"""How a step is started: what every launcher receives and reports, and the launcher of subprocesses.

A step runs in a process group of its own, in an empty working folder, with its output in a log.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from vqi.errors import VqiError
from vqi.redaction import redacted
from vqi_pipelines.ir.graph import Container
from vqi_pipelines.ir.python_components import is_python_component, without_installation
from vqi_pipelines.local.cache import code_digest
from vqi_pipelines.local.limits import killed
from vqi_pipelines.local.private import open_log
from vqi_pipelines.sources import packages_digest

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
SUBPROCESS = "subprocess"
_LONGEST_LINE = 1 << 20  # bytes that are held until a line ends
GRACE_SECONDS = 6  # from asking a step to end to killing it; with what follows, less than ten


@dataclass(frozen=True)
class Job:
    """A step that is about to start."""

    label: str  # of the task in its run, such as mono/pca-fit
    container: Container
    command: Sequence[str]  # of the container, placeholders filled in
    folder: Path  # for all that it writes; contains the empty folder "work", in which it starts
    inputs: Sequence[Path]  # the artifacts that it reads
    parameters: Mapping[str, Any]
    environment: Mapping[str, str]  # of the run
    log: Path  # its output is appended there
    on_line: Callable[[str], None]  # called with each line of it
    mask: Callable[[str], str] = redacted  # hides what no log may show


@dataclass(frozen=True)
class Ended:
    """How a step ended."""

    code: int  # its exit code; negative: the signal that ended it
    reason: str = ""  # why, if its launcher knows it
    note: str = ""  # what a person should know of besides


class Launcher(Protocol):
    """Starts steps."""

    @property
    def name(self) -> str:
        """Its name for ``--launcher``."""

    def check(self, images: Iterable[str]) -> None:
        """Check before anything runs whether steps of these container images can be started.

        Raises:
            VqiError: They cannot; the message says what to do.
        """

    def code_of(self, container: Container) -> Mapping[str, str]:
        """The identity of a step's code in the key of its result."""

    def shown(self, job: Job) -> tuple[list[str], Mapping[str, str]]:
        """The command that starts a step, for a person to type, and its environment variables.

        Raises:
            VqiError: It cannot be started.
        """

    async def run(self, job: Job) -> Ended:
        """Run a step to its end; a cancellation ends it and everything that it started.

        Raises:
            VqiError: It cannot be started.
        """


class Subprocesses:
    """Steps as subprocesses of this one, with the packages and the code that are installed here."""

    name = SUBPROCESS

    def check(self, images: Iterable[str]) -> None:
        """See ``Launcher.check``: nothing is needed."""

    def code_of(self, container: Container) -> Mapping[str, str]:
        """See ``Launcher.code_of``: the modules of the project that the step imports, and all packages."""
        return {"code": code_digest(container.command[:3]), "packages": packages_digest()}

    def shown(self, job: Job) -> tuple[list[str], Mapping[str, str]]:
        """See ``Launcher.shown``; ``python`` means the interpreter that runs this.

        A Python component of kfp gets the packages of this interpreter: nothing is installed.
        """
        environment = {**job.environment, **dict(job.container.env)}
        command = job.command
        if is_python_component(command):
            folder = str(Path(sys.executable).parent)
            environment["PATH"] = f"{folder}{os.pathsep}{environment.get('PATH', os.defpath)}"
            command = without_installation(command)
        program = sys.executable if command[0] in ("python", "python3") else shutil.which(command[0])
        if program is None:
            raise VqiError(
                f"the step's program '{command[0]}' is not installed on this machine: install it, or run the step in "
                f"its image '{job.container.image}' with --launcher podman or docker"
            )
        return [program, *command[1:]], environment

    async def run(self, job: Job) -> Ended:
        """See ``Launcher.run``."""
        command, environment = self.shown(job)
        code = await run_process(command, job, environment, signal.SIGKILL)
        return Ended(code, killed(job.container, None) if code == -signal.SIGKILL else "")


async def run_process(
    command: Sequence[str], job: Job, environment: Mapping[str, str], with_parent: signal.Signals
) -> int:
    """Run a command to its end and return its exit code; a cancellation ends its whole process group.

    Args:
        command: The command, whose program is a path.
        job: Where it starts, and what receives its output.
        environment: Its whole environment.
        with_parent: Signal that the kernel sends it when this process is killed.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=job.folder / "work",
        env=dict(environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=_end_with_parent(with_parent),
    )
    try:
        await _copy_lines(process, job)
        return await process.wait()
    except BaseException:  # cancelled, or the log cannot be written
        await _end(process)
        raise


async def _copy_lines(process: asyncio.subprocess.Process, job: Job) -> None:
    """Append each line to the log, masked, and report it. What rewrites a line on a terminal ends one here."""
    stream = process.stdout
    if stream is None:
        raise RuntimeError("the step was started without a pipe")
    with open_log(job.log) as file:

        def keep(line: bytes, end: bytes = b"\n") -> None:
            text = job.mask(line.decode("utf-8", errors="replace"))
            file.write(text.encode() + end)
            if text.strip():
                job.on_line(text.strip())

        rest = b""
        while chunk := await stream.read(1 << 16):
            *lines, rest = (rest + chunk).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
            for line in lines:
                keep(line)
            if len(rest) > _LONGEST_LINE:
                keep(rest)
                rest = b""
            file.flush()
        if rest:
            keep(rest, b"")


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask the process group to end, and kill it if it does not end in time, or when asked a second time."""
    if process.returncode is None:
        _signal_group(process.pid, signal.SIGTERM)
        try:
            await asyncio.wait_for(_exit_of(process), GRACE_SECONDS)
        except (TimeoutError, asyncio.CancelledError):
            _signal_group(process.pid, signal.SIGKILL)
    _signal_group(process.pid, signal.SIGKILL)  # processes that it left behind


async def _exit_of(process: asyncio.subprocess.Process) -> None:
    """Wait for the exit and keep reading: a step that prints while it ends must not block on a full pipe."""
    if process.stdout is not None:
        while await process.stdout.read(1 << 16):
            continue
    await process.wait()


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # all of them have ended by themselves
        os.killpg(group, number)


def _end_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """Let the kernel signal the step when the runner is killed. Runs between fork and exec: loads nothing."""
    if _LIBC is None:
        return None
    control = _LIBC.prctl
    return lambda: control(_PR_SET_PDEATHSIG, int(number))
