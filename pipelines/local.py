"""The local backend: the compiled pipeline run on this machine, each step a subprocess."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pipelines import cache, state
from pipelines.ir import Component, Dag, FromConstant, FromInput, FromTask, Loop, Pipeline, Source, Task
from pipelines.launch import run_subprocess
from pipelines.placeholders import StepValues, resolve
from pipelines.state import Observer, RunState, TaskState
from pipelines.transfer import ArtifactRef, ObjectStore, RunFolder, Transfer, file_name, link_tree
from pipelines.values import parse_output
from vqi.artifacts import write_json
from vqi.errors import VqiError
from vqi.processor import granted_cpus

BAD_INPUT = 2  # exit code of a step for what a user can mend: final, never tried again
_PARTIAL = ".partial"
_LATEST = "latest"


@dataclass(frozen=True)
class Outputs:
    """What a task, or a whole graph, gave."""

    parameters: dict[str, Any] = field(default_factory=dict)
    artifacts: dict[str, ArtifactRef] = field(default_factory=dict)


@dataclass(frozen=True)
class Scope:
    """What the tasks of a graph see: its inputs, and where its folders stand below the run folder."""

    inputs: Outputs
    prefix: str = ""


def run_pipeline(
    pipeline: Pipeline,
    parameters: Mapping[str, Any],
    *,
    runs_dir: Path,
    parallelism: int,
    use_cache: bool,
    artifacts: str | None,
    environment: Mapping[str, str],
    observer: Observer,
) -> RunState:
    """Run a compiled pipeline.

    Args:
        pipeline: From ``read_ir``.
        parameters: All of its parameters, checked.
        runs_dir: Receives a folder for the run, and ``latest``.
        parallelism: Steps at once.
        use_cache: Whether equal earlier results are taken.
        artifacts: Object store that every artifact passes through; None keeps them in the run folder.
        environment: For the steps, beside that of this process.
        observer: Shows the run.

    Raises:
        VqiError: The runs folder cannot be written to.
    """
    runs_dir = runs_dir.absolute()
    run_id, folder = _new_run(runs_dir, pipeline.name)
    run = RunState(run_id, folder, pipeline.name, dict(parameters), observer)
    transfer: Transfer = ObjectStore(artifacts, run_id) if artifacts else RunFolder()
    execution = _Execution(pipeline, run, runs_dir, transfer, parallelism, use_cache, environment)
    run.save()
    observer.begin(run)
    try:
        asyncio.run(execution.run())
    finally:
        observer.end(run)
    return run


def _new_run(runs_dir: Path, name: str) -> tuple[str, Path]:
    """A new run folder, which ``latest`` then points at."""
    stem = f"{datetime.now(timezone.utc):%Y%m%d-%H%M%S}-{name}"
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        for number in range(1, 1000):
            run_id = stem if number == 1 else f"{stem}-{number}"
            try:
                (runs_dir / run_id).mkdir()
            except FileExistsError:
                continue
            link = runs_dir / f".{_LATEST}.{run_id}"
            link.symlink_to(run_id)
            link.replace(runs_dir / _LATEST)
            return run_id, runs_dir / run_id
    except OSError as error:
        raise VqiError(f"runs folder {runs_dir}: {error.strerror}: choose another with --runs-dir") from error
    raise VqiError(f"runs folder {runs_dir}: too many runs in one second")


class _Execution:
    """One run: graphs are walked as coroutines, at most ``parallelism`` steps at once."""

    def __init__(
        self,
        pipeline: Pipeline,
        run: RunState,
        runs_dir: Path,
        transfer: Transfer,
        parallelism: int,
        use_cache: bool,
        environment: Mapping[str, str],
    ) -> None:
        self._pipeline, self._run, self._runs_dir, self._transfer = pipeline, run, runs_dir, transfer
        self._parallelism, self._use_cache = parallelism, use_cache
        threads = str(max(1, granted_cpus() // parallelism))
        sizes = {"VQI_THREADS": threads, "OMP_NUM_THREADS": threads, "PYTHONUNBUFFERED": "1"}
        self._environment = {**os.environ, **sizes, **environment}

    async def run(self) -> None:
        """Run the root graph; SIGINT and SIGTERM end it."""
        self._slots = asyncio.Semaphore(self._parallelism)
        work = asyncio.ensure_future(self._graph(self._pipeline.root, Scope(Outputs(self._run.parameters))))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, work.cancel)
        try:
            outputs = await work
            self._run.state = state.FAILED if outputs is None else state.DONE
            if outputs is not None:
                await asyncio.to_thread(self._place_outputs, outputs)
        except asyncio.CancelledError:
            self._run.state = state.STOPPED
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
            self._run.seconds = time.monotonic() - self._run.began
            self._run.save()

    # ------------------------------------------------------------------------------------------------------- graphs

    async def _graph(self, dag: Dag, scope: Scope) -> Outputs | None:
        """Run a graph; None when a task of it failed. What does not depend on that runs all the same."""
        results: dict[str, asyncio.Future[Outputs | None]] = {}
        for task in dag.tasks.values():
            if self._component(task).container and not task.loop:
                self._run.task(_join(scope.prefix, task.name))
        for task in dag.tasks.values():
            results[task.name] = asyncio.ensure_future(self._task(task, scope, results))
        try:
            outcomes = dict(zip(results, await asyncio.gather(*results.values()), strict=True))
        except BaseException:
            for future in results.values():
                future.cancel()
            await asyncio.gather(*results.values(), return_exceptions=True)
            raise
        done = {name: outcome for name, outcome in outcomes.items() if outcome is not None}
        if len(done) < len(outcomes):
            return None
        return Outputs(
            {name: done[source.task].parameters[source.output] for name, source in dag.outputs.items()},
            {name: done[source.task].artifacts[source.output] for name, source in dag.artifact_outputs.items()},
        )

    async def _task(
        self, task: Task, scope: Scope, results: Mapping[str, asyncio.Future[Outputs | None]]
    ) -> Outputs | None:
        """Run a task once those that it depends on are done; None when it or one of them failed."""
        component = self._component(task)
        before = {name: await results[name] for name in task.after}
        done = {name: outputs for name, outputs in before.items() if outputs is not None}
        if len(done) < len(before):
            if component.container and not task.loop:
                self._run.change(self._run.task(_join(scope.prefix, task.name)), state.SKIPPED)
            return None
        given = self._inputs(task, component, scope.inputs, done)
        if task.loop:
            return await self._loop(task, task.loop, component, given, scope, done)
        if component.dag:
            return await self._graph(component.dag, Scope(given, scope.prefix))
        return await self._step(task, component, given, self._run.task(_join(scope.prefix, task.name)))

    async def _loop(
        self, task: Task, loop: Loop, component: Component, given: Outputs, scope: Scope, done: Mapping[str, Outputs]
    ) -> Outputs | None:
        """Run a graph for each item, side by side; its output parameters become lists in the items' order."""
        dag = component.dag
        if dag is None:
            raise VqiError(
                f"task '{task.name}': a loop over a single container is not supported: put it in a ParallelFor"
            )
        items = _value(loop.items, given, done)
        if not isinstance(items, list):
            raise VqiError(f"task '{task.name}': expected a list to loop over, got {items!r}")
        slots = asyncio.Semaphore(loop.parallelism or max(1, len(items)))

        async def iteration(label: str, item: Any) -> Outputs | None:
            async with slots:
                inputs = Outputs({**given.parameters, loop.item_input: item}, given.artifacts)
                return await self._graph(dag, Scope(inputs, _join(scope.prefix, label)))

        labels = item_labels(items)
        outcomes = await asyncio.gather(*(iteration(label, item) for label, item in zip(labels, items, strict=True)))
        whole = [outcome for outcome in outcomes if outcome is not None]
        if len(whole) < len(outcomes):
            return None
        return Outputs({name: [outcome.parameters[name] for outcome in whole] for name in dag.outputs})

    def _component(self, task: Task) -> Component:
        return self._pipeline.components[task.component]

    def _inputs(self, task: Task, component: Component, scope: Outputs, done: Mapping[str, Outputs]) -> Outputs:
        """The inputs of a task: what it names, and its component's defaults."""
        parameters = {name: p.default for name, p in component.inputs.items() if p.default is not None}
        parameters |= {name: _value(source, scope, done) for name, source in task.parameters.items()}
        artifacts = {}
        for name, source in task.artifacts.items():
            if isinstance(source, FromTask):
                artifacts[name] = done[source.task].artifacts[source.output]
            else:
                artifacts[name] = scope.artifacts[source.name]
        return Outputs(parameters, artifacts)

    # -------------------------------------------------------------------------------------------------------- steps

    async def _step(self, task: Task, component: Component, given: Outputs, view: TaskState) -> Outputs | None:
        """Run a container step, or take an equal earlier result."""
        key = await asyncio.to_thread(self._key, task, component, given)
        cached = self._use_cache and task.cache
        if cached and (found := await asyncio.to_thread(self._reuse, key, view)):
            self._run.change(view, state.CACHED)
            return found
        tries = 1 + (task.retry.max_retries if task.retry else 0)
        for number in range(1, tries + 1):
            async with self._slots:
                self._run.change(view, state.RUNNING)
                outputs = await self._attempt(task, component, given, view)
            if outputs is not None:
                if task.cache:
                    await asyncio.to_thread(self._remember, key, view, outputs)
                return outputs
            if view.exit_code == BAD_INPUT or number == tries:
                break
        return None

    async def _attempt(self, task: Task, component: Component, given: Outputs, view: TaskState) -> Outputs | None:
        """Run a step once; None when it failed, with the reason in ``view``."""
        partial = view.folder / _PARTIAL
        try:
            values = await asyncio.to_thread(self._prepare, component, given, partial)
            work = partial / "work"
            work.mkdir()
            environment = {**self._environment, **dict(component.container.env if component.container else ())}

            def on_line(text: str) -> None:
                view.last_line = text

            view.exit_code = await run_subprocess(_command(component, values), work, view.log, environment, on_line)
            if view.exit_code != 0:
                raise VqiError(_failure(view))
            outputs = await asyncio.to_thread(self._collect, component, values, view)
        except VqiError as error:
            view.exit_code = view.exit_code or BAD_INPUT
            self._run.change(view, state.FAILED, str(error))
            return None
        except asyncio.CancelledError:
            self._run.change(view, state.STOPPED)
            raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        self._run.change(view, state.DONE)
        write_json(view.folder / "task.json", self._record(task, given, outputs, view))
        return outputs

    def _prepare(self, component: Component, given: Outputs, partial: Path) -> StepValues:
        """Empty folders for a step, its inputs brought there, and the paths that it is told."""
        shutil.rmtree(partial, ignore_errors=True)
        for name in ("inputs", "outputs", "parameters"):
            (partial / name).mkdir(parents=True)
        brought = {}
        for name, ref in given.artifacts.items():
            scratch = partial / "inputs" / name
            scratch.mkdir()
            brought[name] = str(self._transfer.bring(ref, scratch))
        outputs = component.output_artifacts.items()
        return StepValues(
            parameters=given.parameters,
            input_artifacts=brought,
            output_artifacts={name: str(partial / "outputs" / file_name(name, a.schema)) for name, a in outputs},
            output_parameters={name: str(partial / "parameters" / name) for name in component.outputs},
            executor_input=None,
        )

    def _collect(self, component: Component, values: StepValues, view: TaskState) -> Outputs:
        """Read the output parameters and give the artifacts their final place.

        Raises:
            VqiError: The step ended well but did not write what it declares.
        """
        parameters = {}
        for name, declared in component.outputs.items():
            path = Path(values.output_parameters[name])
            if not path.is_file():
                raise VqiError(f"the step ended without writing its output parameter '{name}'")
            parameters[name] = parse_output(path.read_text(encoding="utf-8"), declared.type, name)
        for name, made in values.output_artifacts.items():
            if not Path(made).exists():
                raise VqiError(f"the step ended without writing its output artifact '{name}'")
        artifacts = {
            name: self._transfer.keep(Path(made), view.folder, f"{view.label}/{Path(made).name}")
            for name, made in values.output_artifacts.items()
        }
        return Outputs(parameters, artifacts)

    def _record(self, task: Task, given: Outputs, outputs: Outputs, view: TaskState) -> dict[str, Any]:
        return {
            "task": task.name,
            "component": task.component,
            "parameters": given.parameters,
            "input_artifacts": {name: ref.digest for name, ref in given.artifacts.items()},
            "output_parameters": outputs.parameters,
            "output_artifacts": {name: self._transfer.record(ref) for name, ref in outputs.artifacts.items()},
            "seconds": round(view.seconds, 3),
            "exit_code": view.exit_code,
        }

    # -------------------------------------------------------------------------------------------------------- cache

    @property
    def _entries(self) -> Path:
        return self._runs_dir / ".cache"

    def _key(self, task: Task, component: Component, given: Outputs) -> str:
        """The key of a step's result; paths stand in it by name, for they differ from run to run."""
        names = StepValues(
            parameters=given.parameters,
            input_artifacts={name: f"<{name}>" for name in given.artifacts},
            output_artifacts={name: f"<{name}>" for name in component.output_artifacts},
            output_parameters={name: f"<{name}>" for name in component.outputs},
            executor_input="<executor input>",
        )
        image = component.container.image if component.container else ""
        digests = {name: ref.digest for name, ref in given.artifacts.items()}
        return cache.step_key(task.component, _command(component, names), image, digests, self._transfer.place)

    def _reuse(self, key: str, view: TaskState) -> Outputs | None:
        """The outputs of an equal earlier step; None when there is none or something of it is gone."""
        entry = cache.load_entry(self._entries, key)
        if entry is None:
            return None
        view.folder.mkdir(parents=True, exist_ok=True)
        earlier = self._runs_dir / entry.folder
        artifacts = {}
        for name, record in entry.artifacts.items():
            ref = self._transfer.reuse(record, view.folder, earlier)
            if ref is None:
                return None
            artifacts[name] = ref
        view.log.write_text(f"taken from {entry.folder}: inputs, parameters and code are the same\n", encoding="utf-8")
        return Outputs(dict(entry.parameters), artifacts)

    def _remember(self, key: str, view: TaskState, outputs: Outputs) -> None:
        folder = str(view.folder.relative_to(self._runs_dir))
        artifacts = {name: self._transfer.record(ref) for name, ref in outputs.artifacts.items()}
        cache.save_entry(self._entries, key, cache.Entry(folder, outputs.parameters, artifacts))

    def _place_outputs(self, outputs: Outputs) -> None:
        """The pipeline's own output artifacts at the top of the run folder; of a folder, its files."""
        with_names = sorted(outputs.artifacts.items())
        for name, ref in with_names:
            scratch = self._run.folder / _PARTIAL
            scratch.mkdir()
            source = self._transfer.bring(ref, scratch)
            if source.is_dir():
                for file in sorted(source.iterdir()):
                    link_tree(file, self._run.folder / file.name)
            else:
                link_tree(source, self._run.folder / f"{name}{source.suffix}")
            shutil.rmtree(scratch)


# ------------------------------------------------------------------------------------------------------- small pieces


def item_labels(items: list[Any]) -> list[str]:
    """A folder name for each item of a loop: the item itself where it is a plain name of its own, else its place."""
    labels = []
    for place, item in enumerate(items):
        name = item if isinstance(item, str) else json.dumps(item)
        plain = re.fullmatch(r"[^\W_][\w.\- ]{0,99}", name) is not None
        labels.append(name if plain and items.count(item) == 1 else f"item-{place}")
    return labels


def _command(component: Component, values: StepValues) -> list[str]:
    container = component.container
    if container is None:
        raise VqiError(f"component '{component.name}' has no container")
    return [text for part in (*container.command, *container.args) for text in resolve(part, values)]


def _value(source: Source, scope: Outputs, done: Mapping[str, Outputs]) -> Any:
    if isinstance(source, FromConstant):
        return source.value
    if isinstance(source, FromInput):
        return scope.parameters[source.name]
    return done[source.task].parameters[source.output]


def _failure(view: TaskState) -> str:
    """Why a step failed: its own error line, or its exit code or signal."""
    code = view.exit_code or 0
    if code < 0:
        return f"ended by signal {signal.Signals(-code).name}"
    if view.last_line.startswith("error: "):
        return view.last_line.removeprefix("error: ")
    return f"exit code {code}"


def _join(prefix: str, name: str) -> str:
    return f"{prefix}/{name}" if prefix else name
