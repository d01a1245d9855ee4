"""Runs one step of an earlier run again, from its inputs, with its outputs in a folder of their own.

``task.json`` of a step records how it was started: its command, where its inputs are, and what the run itself set. No
value of the environment is kept; the step gets the current values.
"""

from __future__ import annotations

import asyncio
import shlex
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vqi.errors import VqiError
from vqi.redaction import redacted_value
from vqi.system.locks import held_folder
from vqi_components.environment import TERMINATION
from vqi_pipelines.ir.graph import Container, KeptValue, PodSettings
from vqi_pipelines.ir.values import to_text
from vqi_pipelines.local.launch import Ended, Job, Launcher
from vqi_pipelines.local.launchers import launcher_of
from vqi_pipelines.local.private import PRIVATE, PRIVATE_FOLDER, make_folder, make_private
from vqi_pipelines.local.run_record import RUN_FILE
from vqi_pipelines.local.secrets import Mask, secretly, takes_secrets, with_secrets
from vqi_pipelines.local.task_record import TASK_FILE, ArtifactRecord, StartRecord, TaskRecord, read_task
from vqi_pipelines.local.transfer import ArtifactRef, ObjectStore, RunFolder, Transfer

INPUTS, OUTPUTS = "inputs", "outputs"  # folders of a step that runs
REASON = "termination-log"  # the file in which it says why it failed
_AGAIN = "again"


@dataclass(frozen=True)
class Again:
    """A step that is ready to run again."""

    job: Job
    launcher: Launcher


def make_folders(folder: Path) -> None:
    """The empty folders of a step that is about to start."""
    make_folder(folder.parent)
    folder.mkdir(PRIVATE_FOLDER)
    for name in (INPUTS, OUTPUTS, "parameters", "work"):
        (folder / name).mkdir(PRIVATE_FOLDER)
    (folder / REASON).touch(PRIVATE)


def input_folder(folder: Path, name: str) -> Path:
    """An empty folder for an input that must be fetched."""
    scratch = folder / INPUTS / name
    scratch.mkdir()
    return scratch


def start_record(
    container: Container,
    command: Sequence[str],
    folder: Path,
    launcher: str,
    place: str,
    settings: Mapping[str, str],
    secret: Iterable[str],
) -> StartRecord:
    """What ``task.json`` records about how a step is started.

    Args:
        container: Container of the step.
        command: Command with its placeholders filled in, redacted.
        folder: Folder in which the step writes: the paths of its outputs are below it.
        launcher: Name of the launcher.
        place: Where artifacts are stored between steps.
        settings: The variables that the run itself sets.
        secret: The names of the parameters that hold a secret.
    """
    pod = container.pod
    needs = [name for name, _ in container.env] + [value.variable for value in pod.env if not value.optional]
    return StartRecord(
        command=tuple(command),
        folder=str(folder),
        image=container.image,
        resources=dict(container.resources),
        annotations=dict(pod.annotations),
        launcher=launcher,
        place=place,
        settings=dict(settings),
        needs=tuple(needs),
        may_need=tuple(value.variable for value in pod.env if value.optional),
        secret=tuple(secret),
    )


@contextmanager
def held_run(folder: Path) -> Iterator[None]:
    """Hold the run that a step is of, so that nobody removes what the step reads.

    A run that goes on is held by that.

    Args:
        folder: Of the step.
    """
    run = next((one for one in folder.resolve().parents if (one / RUN_FILE).is_file()), None)
    with ExitStack() as stack:
        if run is not None:
            with suppress(BlockingIOError):
                stack.enter_context(held_folder(run, wait=False))
        yield


def prepare_again(
    folder: Path,
    on_line: Callable[[str], None],
    settings: Mapping[str, str],
    environment: Mapping[str, str],
    given: Mapping[str, str],
) -> Again:
    """Make a step of an earlier run ready, with new folders and its inputs fetched where necessary.

    Args:
        folder: Folder of the step, ``runs/latest/<category>/<step>``.
        on_line: Called with each line that the step prints.
        settings: Replace the variables that the run set.
        environment: Environment of this process.
        given: The parameters whose secret parts the run did not keep, whole.

    Raises:
        VqiError: The folder is not a step's, an input or a variable is missing, or the step cannot be started here.
    """
    folder = folder.resolve()  # 'latest' may change before the step ends
    record, start = _records_of(folder)
    told = {**environment, **start.settings, **settings}
    missing = [name for name in start.needs if name not in told]
    if missing:
        raise VqiError(f"{folder.name} needs {', '.join(missing)} in the environment, as in the run: set it")
    parameters = _whole_parameters(folder.name, record.parameters, start.secret, given)
    launcher = launcher_of(start.launcher)
    launcher.check([start.image])
    transfer: Transfer = RunFolder() if start.place == RunFolder.place else ObjectStore(start.place, "")
    inputs = {name: _ref(one) for name, one in record.input_artifacts.items()}
    if isinstance(transfer, RunFolder):
        _check_inputs(inputs)
    scratch = _new_folder(folder)
    paths = [transfer.bring(ref, input_folder(scratch, name)) for name, ref in inputs.items()]
    command = [text.replace(start.folder, str(scratch)) for text in start.command]
    if not takes_secrets(command):
        command = [_unredacted(text, record.parameters, parameters, start.secret) for text in command]
    command, secret = secretly(command, parameters)
    told |= {TERMINATION: str(scratch / REASON), **secret}
    pod = PodSettings(
        env=tuple(KeptValue(name, "Secret", "", name) for name in (*start.needs, *start.may_need)),
        annotations=start.annotations,
    )
    container = Container(start.image, tuple(command), (), (), start.resources, pod)
    log, mask = scratch / "log.txt", Mask(parameters, told)
    return Again(Job(folder.name, container, command, scratch, paths, parameters, told, log, on_line, mask), launcher)


def run_again(again: Again) -> Ended:
    """Run the step to its end; SIGINT and SIGTERM stop it.

    Raises:
        VqiError: The step cannot be started.
    """

    async def run() -> Ended:
        work = asyncio.ensure_future(again.launcher.run(again.job))
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, work.cancel)
        try:
            return await work
        except asyncio.CancelledError:
            return Ended(-signal.SIGINT, "stopped")
        finally:
            make_private(again.job.folder)

    return asyncio.run(run())


def shell_line(again: Again, environment: Mapping[str, str]) -> str:
    """The command as one line for a shell, with the variables that differ from ``environment``; without secrets."""
    command, variables = again.launcher.shown(again.job)
    if with_secrets(again.job.parameters):
        raise VqiError(f"{again.job.label} has secret parameters, which no line may show: leave out --shell")
    own = [f"{name}={shlex.quote(value)}" for name, value in variables.items() if environment.get(name) != value]
    return f"cd {shlex.quote(str(again.job.folder / 'work'))} && {' '.join([*own, shlex.join(command)])}"


def _records_of(folder: Path) -> tuple[TaskRecord, StartRecord]:
    if not (folder / TASK_FILE).is_file():
        raise VqiError(
            f"{folder}: expected a step's folder in a run, runs/latest/<category>/<step>: there is no {TASK_FILE} in it"
        )
    record = read_task(folder)
    if record.start is None:
        raise VqiError(f"{folder / TASK_FILE}: it does not record how the step is started: run the pipeline again")
    return record, record.start


def _whole_parameters(
    step: str, recorded: Mapping[str, Any], secret: Sequence[str], given: Mapping[str, str]
) -> dict[str, Any]:
    """The parameters of a step, with those that are given again because of their secrets.

    Raises:
        VqiError: One of them is missing, or another one is given.
    """
    for name, value in given.items():
        if name not in secret:
            raise VqiError(
                f"-p {name}=...: {step} runs with what the run gave it: give {' and '.join(secret) or 'none'}"
            )
        if to_text(redacted_value(value)) != to_text(recorded[name]):
            raise VqiError(f"-p {name}=...: expected {to_text(recorded[name])}, as in the run, with its secret parts")
    missing = [name for name in secret if name not in given]
    if missing:
        again = " ".join(f"-p {name}=..." for name in missing)
        shown = ", ".join(to_text(recorded[name]) for name in missing)
        raise VqiError(f"{step} needs the secret parts of {shown}, which a run does not keep: add {again}")
    return {**recorded, **given}


def _unredacted(text: str, recorded: Mapping[str, Any], whole: Mapping[str, Any], secret: Sequence[str]) -> str:
    for name in secret:
        text = text.replace(to_text(recorded[name]), to_text(whole[name]))
    return text


def _ref(record: ArtifactRecord) -> ArtifactRef:
    return ArtifactRef(record.location, record.digest, record.files)


def _check_inputs(inputs: Mapping[str, ArtifactRef]) -> None:
    for name, ref in inputs.items():
        if not Path(ref.location).exists():
            raise VqiError(f"input '{name}' is no longer at {ref.location}, as after 'vqi gc': run the pipeline again")


def _new_folder(folder: Path) -> Path:
    """A folder for the outputs, next to those of the run, which it never replaces."""
    for number in range(1, 1000):
        scratch = folder / (_AGAIN if number == 1 else f"{_AGAIN}-{number}")
        try:
            make_folders(scratch)
        except FileExistsError:
            continue
        except OSError as error:
            raise VqiError(f"{scratch}: {error.strerror}: the run folder must be writable") from error
        return scratch
    raise VqiError(f"{folder}: the step ran a thousand times again: delete its folders '{_AGAIN}-...'")
