"""One container step on this machine: fetches inputs, runs the command, keeps outputs; or reuses an equal result."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vqi.artifacts.files import write_json
from vqi.errors import BAD_INPUT, VqiError
from vqi.redaction import redacted_value, shown_line
from vqi.system.os_errors import explain
from vqi_components.environment import TERMINATION
from vqi_pipelines.ir.graph import Component, Container, Retry, Task
from vqi_pipelines.ir.names import file_name
from vqi_pipelines.ir.placeholders import StepValues, executor_input, of_run, resolve
from vqi_pipelines.ir.values import parse_output, typed
from vqi_pipelines.local import cache, state
from vqi_pipelines.local.again import INPUTS, OUTPUTS, REASON, input_folder, make_folders, start_record
from vqi_pipelines.local.executor_output import read_executor_output
from vqi_pipelines.local.folders import PARTIAL
from vqi_pipelines.local.launch import Job, Launcher
from vqi_pipelines.local.private import make_folder, open_log
from vqi_pipelines.local.secrets import Mask, secretly, shown_secrets, takes_secrets, with_secrets
from vqi_pipelines.local.state import RunState, TaskState
from vqi_pipelines.local.task_record import ArtifactRecord, StartRecord, TaskRecord, write_task
from vqi_pipelines.local.transfer import ArtifactRef, Transfer

EXECUTOR_OUTPUT = "executor_output.json"


@dataclass(frozen=True)
class Outputs:
    """The outputs or inputs of a task or a whole graph."""

    parameters: dict[str, Any] = field(default_factory=dict)
    artifacts: dict[str, ArtifactRef] = field(default_factory=dict)
    skipped: bool = False  # its condition did not hold: there are none
    complete: bool = True  # False for a graph or a loop of which a part failed


@dataclass(frozen=True)
class Step:
    """One container step of a run: what to run, with which inputs, and where it is shown."""

    task: Task
    component: Component
    container: Container
    given: Outputs
    view: TaskState


class StepRunner:
    """Runs steps, at most ``parallelism`` at the same time."""

    def __init__(
        self,
        run: RunState,
        runs_dir: Path,
        transfer: Transfer,
        launcher: Launcher,
        *,
        parallelism: int,
        use_cache: bool,
        settings: Mapping[str, str],
    ) -> None:
        self._run, self._runs_dir, self._transfer, self._launcher = run, runs_dir, transfer, launcher
        self._slots = asyncio.Semaphore(parallelism)
        self._use_cache, self._settings = use_cache, settings
        self._said: set[str] = set()

    def read_code(self, containers: Iterable[Container]) -> None:
        """Read the code that the steps' keys depend on, while the first step runs and this process waits for it."""
        for container in containers:
            with suppress(VqiError, OSError, SyntaxError):  # said when the key of such a step is computed
                self._launcher.code_of(container)

    async def run(self, step: Step) -> Outputs | None:
        """Run a step, or reuse an equal earlier result; None when it failed, with the reason in its view."""
        try:
            key = await asyncio.to_thread(self._key, step) if step.task.cache else ""
        except VqiError as error:
            self._fail(step, str(error))
            return None
        if self._use_cache and step.task.cache:
            found = await self._guarded(step, asyncio.to_thread(self._reuse, key, step))
            if found is not None or step.view.state == state.FAILED:
                return found
        retry = step.task.retry or Retry(0)
        for number in range(retry.max_retries + 1):
            if number:
                await asyncio.sleep(backoff(retry, number))
            async with self._slots:
                outputs = await self._guarded(step, self._attempt(key, step))
            if outputs is not None or step.view.exit_code == BAD_INPUT:
                return outputs
        return None

    async def _guarded(self, step: Step, work: Awaitable[Outputs | None]) -> Outputs | None:
        """The result of ``work``; None, with the step failed or stopped, if it raised an error that a user can fix."""
        try:
            return await work
        except VqiError as error:
            self._fail(step, str(error))
        except OSError as error:
            self._fail(step, explain(error, step.view.folder))
        except asyncio.CancelledError:
            if step.view.state == state.RUNNING:
                self._close(step, state.STOPPED)
            raise
        return None

    def _fail(self, step: Step, message: str) -> None:
        step.view.exit_code = step.view.exit_code or BAD_INPUT
        mask = Mask(step.given.parameters, os.environ)
        self._close(step, state.FAILED, shown_line(mask(message)))

    def _close(self, step: Step, end: str, message: str = "") -> None:
        """Record and show a step without a result."""
        with suppress(OSError):  # for example a full disk, which is why it failed; the message says so
            self._record(step, end, Outputs(), message)
        self._run.change(step.view, end, message)

    # ------------------------------------------------------------------------------------------------------ attempts

    async def _attempt(self, key: str, step: Step) -> Outputs:
        """Run a step once.

        Raises:
            VqiError: It failed.
        """
        partial, view = step.view.folder / PARTIAL, step.view
        view.exit_code, view.last_line = None, ""
        self._run.change(view, state.RUNNING)
        try:
            await asyncio.to_thread(self._prepare, step, partial)
            values = self._values(step, partial, redacted=takes_secrets(step.container.command))
            ended = await self._launcher.run(self._job(step, partial, values))
            view.exit_code = ended.code
            if ended.note:
                self._run.note(ended.note)
            if ended.code != 0:
                raise VqiError(ended.reason or _failure(view, partial / REASON))
            outputs = await asyncio.to_thread(self._collect, step, values)
            await asyncio.to_thread(self._finish, key, step, outputs)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        self._run.change(view, state.DONE)
        return outputs

    def _job(self, step: Step, partial: Path, values: StepValues) -> Job:
        view = step.view

        def on_line(text: str) -> None:
            view.last_line = shown_line(text)

        parameters = step.given.parameters
        command, secret = secretly(command_of(step.container, values), parameters)
        environment = {**os.environ, **self._settings, TERMINATION: str(partial / REASON)}
        self._say_what_is_shown(step, command)
        return Job(
            view.label,
            step.container,
            command,
            folder=partial,
            inputs=[Path(path) for path in values.input_artifacts.values()],
            parameters=parameters,
            environment={**environment, **secret},
            log=view.log,
            on_line=on_line,
            mask=Mask(parameters, environment),
        )

    def _say_what_is_shown(self, step: Step, command: Sequence[str]) -> None:
        """Say once for each program which secrets its command line shows: its author put them there."""
        names = shown_secrets(command, step.given.parameters)
        if names and step.component.name not in self._said:
            self._said.add(step.component.name)
            self._run.note(
                f"{step.view.label}: the secret part of {' and '.join(names)} is on the command line of its program, "
                "which every user of this machine can see: let the program take it from a variable "
                "(kfp.kubernetes.use_secret_as_env) or from a file"
            )

    def _prepare(self, step: Step, partial: Path) -> None:
        """Empty folders for a step, with its inputs fetched into them."""
        shutil.rmtree(partial, ignore_errors=True)
        make_folders(partial)
        for name, ref in step.given.artifacts.items():
            self._transfer.bring(ref, input_folder(partial, name))

    def _values(self, step: Step, partial: Path, *, redacted: bool) -> StepValues:
        """The parameters, whole or redacted, and the paths that a step receives."""
        component, given = step.component, step.given
        outputs = component.output_artifacts.items()
        values = StepValues(
            parameters=redacted_value(given.parameters) if redacted else given.parameters,
            input_artifacts={
                name: str(self._transfer.path_of(ref, partial / INPUTS / name)) for name, ref in given.artifacts.items()
            },
            output_artifacts={name: str(partial / OUTPUTS / file_name(name, a.schema)) for name, a in outputs},
            output_parameters={name: str(partial / "parameters" / name) for name in component.outputs},
            executor_input=None,
            run=self._of_run(step),
        )
        return with_executor_input(values, component, partial / EXECUTOR_OUTPUT)

    def _of_run(self, step: Step) -> dict[str, str]:
        return of_run(self._run.run_id, self._run.uid, self._run.started_at, step.task.name)

    def _collect(self, step: Step, values: StepValues) -> Outputs:
        """Read the output parameters and move the artifacts to their final place.

        Raises:
            VqiError: The step succeeded but did not write what it declares.
        """
        said = read_executor_output(step.view.folder / PARTIAL / EXECUTOR_OUTPUT)
        parameters = {
            name: typed(said.parameters[name], declared.type, f"output parameter '{name}'")
            if name in said.parameters
            else _output_parameter(Path(values.output_parameters[name]), declared.type, name)
            for name, declared in step.component.outputs.items()
        }
        for name, made in values.output_artifacts.items():
            if not Path(made).exists() and said.metadata.get(name):
                write_json(Path(made), said.metadata[name])
            if not Path(made).exists():
                raise VqiError(f"the step ended without writing its output artifact '{name}'")
        view = step.view
        artifacts = {
            name: self._transfer.keep(Path(made), view.folder, f"{view.label}/{Path(made).name}")
            for name, made in values.output_artifacts.items()
        }
        return Outputs(parameters, artifacts)

    def _finish(self, key: str, step: Step, outputs: Outputs) -> None:
        """Record a step that is done: from here on it is not run again for the same input."""
        self._record(step, state.DONE, outputs)
        if step.task.cache:
            self._remember(key, step, outputs)

    def _record(self, step: Step, end: str, outputs: Outputs, message: str = "") -> None:
        """Write ``task.json``. It contains no value of this process's environment, which may be secret."""
        view = step.view
        made = {name: ArtifactRecord(**self._transfer.record(ref)) for name, ref in outputs.artifacts.items()}
        record = TaskRecord(
            task=step.task.name,
            component=step.task.component,
            state=end,
            cached=end == state.CACHED,
            message=message,
            parameters=redacted_value(step.given.parameters),
            input_artifacts={name: self._input(ref) for name, ref in step.given.artifacts.items()},
            output_parameters=redacted_value(outputs.parameters),
            output_artifacts=made,
            started_at=view.started_at,
            seconds=round(view.elapsed(), 3),
            exit_code=view.exit_code,
            start=self._start(step),
        )
        write_task(view.folder, record)

    def _input(self, ref: ArtifactRef) -> ArtifactRecord:
        return ArtifactRecord(**{**self._transfer.record(ref), "location": ref.location})

    def _start(self, step: Step) -> StartRecord | None:
        """How the step is started, for ``vqi step``; None if its command cannot be put together."""
        partial, container = step.view.folder / PARTIAL, step.container
        try:
            command = command_of(container, self._values(step, partial, redacted=True))
        except VqiError:  # the reason why it failed, already in its message
            return None
        secret = with_secrets(step.given.parameters)
        launcher, place = self._launcher.name, self._transfer.place
        return start_record(container, command, partial, launcher, place, self._settings, secret)

    # --------------------------------------------------------------------------------------------------------- cache

    @property
    def _entries(self) -> Path:
        return self._runs_dir / cache.CACHE

    def _key(self, step: Step) -> str:
        """The key of a step's result; it contains names instead of paths, which differ from run to run."""
        component, given = step.component, step.given
        names = StepValues(
            parameters=given.parameters,
            input_artifacts={name: f"<{name}>" for name in given.artifacts},
            output_artifacts={name: f"<{name}>" for name in component.output_artifacts},
            output_parameters={name: f"<{name}>" for name in component.outputs},
            executor_input="<executor input>",
            run=self._of_run(step),
        )
        return cache.step_key(
            step.task.component,
            command_of(step.container, names),
            step.container.image,
            parameters=given.parameters,
            inputs={name: ref.digest for name, ref in given.artifacts.items()},
            env=step.container.env,
            place=self._transfer.place,
            code=self._launcher.code_of(step.container),
        )

    def _reuse(self, key: str, step: Step) -> Outputs | None:
        """The outputs of an equal earlier step; None if there are none or one of them is gone."""
        component = step.component
        try:
            entry = cache.load_entry(self._entries, key, list(component.outputs), list(component.output_artifacts))
        except cache.DamagedEntryError as error:
            self._run.note(f"{step.view.label}: a damaged result of an earlier run is not used, and replaced: {error}")
            return None
        if entry is None:
            return None
        view = step.view
        make_folder(view.folder)
        artifacts = {}
        for name, record in entry.artifacts.items():
            ref = self._transfer.reuse(record, view.folder, self._runs_dir / entry.folder)
            if ref is None:
                return None
            artifacts[name] = ref
        with open_log(view.log) as log:
            log.write(f"taken from {entry.folder}: inputs, parameters and code are the same\n".encode())
        outputs = Outputs(dict(entry.parameters), artifacts)
        self._record(step, state.CACHED, outputs)
        self._remember(key, step, outputs)  # so that the earlier run may be deleted
        self._run.change(view, state.CACHED)
        return outputs

    def _remember(self, key: str, step: Step, outputs: Outputs) -> None:
        if with_secrets(outputs.parameters):  # they would be kept on the disk
            return
        folder = str(step.view.folder.relative_to(self._runs_dir))
        artifacts = {name: cache.ArtifactEntry(**self._transfer.record(ref)) for name, ref in outputs.artifacts.items()}
        entry = cache.Entry(folder=folder, parameters=outputs.parameters, artifacts=artifacts)
        cache.save_entry(self._entries, key, entry)


# ------------------------------------------------------------------------------------------------------- small pieces


def command_of(container: Container, values: StepValues) -> list[str]:
    """A container's command and arguments with the placeholders filled in."""
    return [text for part in (*container.command, *container.args) for text in resolve(part, values)]


def with_executor_input(values: StepValues, component: Component, output_file: Path) -> StepValues:
    """The values, including that of ``{{$}}``."""
    text = executor_input(
        values,
        {name: artifact.schema for name, artifact in component.output_artifacts.items()},
        {name: artifact.schema for name, artifact in component.input_artifacts.items()},
        str(output_file),
    )
    return replace(values, executor_input=text)


def backoff(retry: Retry, number: int) -> float:
    """Seconds to wait before the retry of that number, counted from 1."""
    try:
        wait = retry.backoff_seconds * retry.backoff_factor ** (number - 1)
    except OverflowError:
        return retry.backoff_max_seconds
    return min(retry.backoff_max_seconds, wait)


def _output_parameter(path: Path, kind: str, name: str) -> Any:
    if not path.is_file():
        raise VqiError(f"the step ended without writing its output parameter '{name}'")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise VqiError(f"output parameter '{name}': expected UTF-8 text, got other bytes") from error
    return parse_output(text, kind, name)


def _failure(view: TaskState, reason: Path) -> str:
    """Why a step failed: what it wrote to the file for that, its last line if it is an error, or its exit code."""
    code = view.exit_code or 0
    if code < 0:
        return f"ended by signal {signal.Signals(-code).name}"
    with suppress(OSError):  # the step removed it
        if text := shown_line(reason.read_text(encoding="utf-8", errors="replace")):
            return text
    if view.last_line.startswith("error: "):
        return view.last_line.removeprefix("error: ")
    return f"exit code {code}"
