"""Walks the graph of a pipeline: runs what can run, loops and their folders, and skips what needs a failed step."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vqi.errors import BAD_INPUT, VqiError
from vqi.system.processor import granted_cpus
from vqi_pipelines.ir.conditions import holds
from vqi_pipelines.ir.graph import (
    Choices,
    Component,
    Dag,
    FromConstant,
    FromInput,
    FromTask,
    Loop,
    Pipeline,
    Source,
    Task,
)
from vqi_pipelines.ir.names import item_labels
from vqi_pipelines.ir.placeholders import fill_constant, fill_run, of_run
from vqi_pipelines.ir.values import to_text, typed
from vqi_pipelines.local import state
from vqi_pipelines.local.folders import PARTIAL, new_run
from vqi_pipelines.local.launch import Launcher, Subprocesses
from vqi_pipelines.local.private import PRIVATE_FOLDER
from vqi_pipelines.local.refusals import check_runs_here
from vqi_pipelines.local.run_record import Note, write_note
from vqi_pipelines.local.state import Observer, RunState
from vqi_pipelines.local.steps import Outputs, Step, StepRunner
from vqi_pipelines.local.transfer import ObjectStore, RunFolder, Transfer, link_tree

_NO_NOTE = Note()
_NOTHING_EXPECTED: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True)
class Scope:
    """What the tasks of a graph see: its inputs, where its folders are below the run folder, and its place."""

    inputs: Outputs
    prefix: str = ""
    place: tuple[int, ...] = ()  # in the order of the pipeline, one number per level


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
    launcher: Launcher | None = None,
    note: Note = _NO_NOTE,
    expected: Mapping[str, float] = _NOTHING_EXPECTED,
) -> RunState:
    """Run a compiled pipeline.

    Args:
        pipeline: From ``read_ir``.
        parameters: All of its parameters, checked.
        runs_dir: Receives a folder for the run, and ``latest``.
        parallelism: How many steps run at the same time.
        use_cache: Whether equal earlier results are used.
        artifacts: Object store that every artifact passes through; None keeps them in the run folder.
        environment: For the steps, in addition to that of this process; kept in ``task.json``, so no secrets.
        observer: Shows the run.
        launcher: Starts the steps; as subprocesses when None.
        note: What a person says of the run.
        expected: How many seconds steps took before, by label.

    Raises:
        VqiError: The runs folder cannot be written to, the launcher cannot start the steps, or one of them needs
            what only a cluster has.
    """
    check_runs_here(pipeline, {**os.environ, **environment})
    launcher = launcher or Subprocesses()
    launcher.check(sorted({part.container.image for part in pipeline.components.values() if part.container}))
    runs_dir = runs_dir.absolute()
    notes: list[str] = []
    with new_run(runs_dir, pipeline.name, notes.append) as folder:
        run = RunState(
            folder.name, folder, pipeline.name, dict(parameters), observer, parallelism=parallelism, expected=expected
        )
        transfer: Transfer = ObjectStore(artifacts, run.run_id) if artifacts else RunFolder()
        threads = str(max(1, granted_cpus() // parallelism))
        sizes = {"VQI_THREADS": threads, "OMP_NUM_THREADS": threads, "PYTHONUNBUFFERED": "1"}
        steps = StepRunner(
            run,
            runs_dir,
            transfer,
            launcher,
            parallelism=parallelism,
            use_cache=use_cache,
            settings={**sizes, **environment},
        )
        run.save()
        write_note(folder, note)
        observer.begin(run)
        try:
            for text in notes:
                run.note(text)
            asyncio.run(_Execution(pipeline, run, steps, transfer).run())
        finally:
            observer.end(run)
    return run


class _Execution:
    """One run: graphs are walked as coroutines, with at most ``parallelism`` steps at the same time."""

    def __init__(self, pipeline: Pipeline, run: RunState, steps: StepRunner, transfer: Transfer) -> None:
        self._pipeline, self._run, self._steps, self._transfer = pipeline, run, steps, transfer
        graphs = [pipeline.root, *(part.dag for part in pipeline.components.values() if part.dag)]
        self._task_names = frozenset(name for dag in graphs for name in dag.tasks)

    async def run(self) -> None:
        """Run the root graph; SIGINT and SIGTERM stop it, a second one immediately."""
        work = asyncio.ensure_future(self._whole())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, work.cancel)
        try:
            self._run.state = state.DONE if await work else state.FAILED
        except asyncio.CancelledError:
            self._run.state = state.STOPPED
        except BaseException:
            self._run.state = state.FAILED
            raise
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
            self._run.seconds = time.monotonic() - self._run.began
            self._run.save()

    async def _whole(self) -> bool:
        """Run the root graph and place its outputs; returns whether everything succeeded."""
        containers = [part.container for part in self._pipeline.components.values() if part.container]
        ahead = asyncio.ensure_future(asyncio.to_thread(self._steps.read_code, containers))
        outputs = await self._graph(self._pipeline.root, Scope(Outputs(self._run.parameters)))
        await ahead
        await asyncio.to_thread(self._place_outputs, outputs)
        return outputs.complete

    # ------------------------------------------------------------------------------------------------------- graphs

    async def _graph(self, dag: Dag, scope: Scope) -> Outputs:
        """Run a graph; when a task of it failed, those that do not depend on it still run, and it has their outputs."""
        results: dict[str, asyncio.Future[Outputs | None]] = {}
        places = {name: (*scope.place, index) for index, name in enumerate(dag.tasks)}
        self._announce(dag, scope.prefix, scope.place)
        for task in dag.tasks.values():
            results[task.name] = asyncio.ensure_future(self._task(task, places[task.name], scope, results))
        try:
            outcomes = dict(zip(results, await asyncio.gather(*results.values()), strict=True))
        except BaseException:
            for future in results.values():
                future.cancel()
            await asyncio.gather(*results.values(), return_exceptions=True)
            raise
        done = {name: outcome for name, outcome in outcomes.items() if outcome is not None and outcome.complete}
        return Outputs(
            {name: done[one.task].parameters[one.output] for name, one in _chosen(dag.outputs, done)},
            {name: done[one.task].artifacts[one.output] for name, one in _chosen(dag.artifact_outputs, done)},
            complete=len(done) == len(outcomes),
        )

    def _announce(self, dag: Dag, prefix: str, place: tuple[int, ...]) -> None:
        """Show the steps of a graph before they run."""
        for index, task in enumerate(dag.tasks.values()):
            label = _join(prefix, task.name)
            if self._component(task).container and not task.loop:
                self._run.task(label, (*place, index))
            else:
                self._run.unfolded.add(label)

    async def _task(
        self, task: Task, place: tuple[int, ...], scope: Scope, results: Mapping[str, asyncio.Future[Outputs | None]]
    ) -> Outputs | None:
        """Run a task once those that it depends on are done; None when it or one of them failed."""
        component = self._component(task)
        before = {name: await results[name] for name in task.after}
        self._run.unfolded.discard(_join(scope.prefix, task.name))
        done = {name: outputs for name, outputs in before.items() if outputs is not None}
        if not _may_run(task, done):
            if component.container and not task.loop:
                self._run.change(self._run.task(_join(scope.prefix, task.name)), state.SKIPPED)
            return None
        try:
            given = self._inputs(task, component, scope.inputs, done)
            runs = holds(task.condition, given.parameters)
            items = self._items(task.loop, given) if task.loop else []
        except VqiError as error:
            view = self._run.task(_join(scope.prefix, task.name), place)
            view.exit_code = BAD_INPUT
            self._run.change(view, state.FAILED, str(error))
            return None
        if not runs:
            if component.container:
                self._run.change(self._run.task(_join(scope.prefix, task.name)), state.SKIPPED)
            return Outputs(skipped=True)
        if task.loop and component.dag:
            return await self._loop(task.loop, component.dag, items, Scope(given, scope.prefix, place))
        below = _join(scope.prefix, task.name)
        if component.dag:
            return await self._graph(component.dag, Scope(given, below, place))
        if component.container is None:
            raise RuntimeError(f"component '{component.name}' has neither a container nor a graph")
        return await self._steps.run(Step(task, component, component.container, given, self._run.task(below)))

    async def _loop(self, loop: Loop, dag: Dag, items: list[Any], scope: Scope) -> Outputs | None:
        """Run a graph for each item in parallel; its output parameters become lists in the items' order.

        What failed for an item is left out of the lists; None when it failed for all of them.
        """
        slots = asyncio.Semaphore(loop.parallelism or max(1, len(items)))

        labels = item_labels(items, self._task_names)
        for index, label in enumerate(labels):
            self._announce(dag, _join(scope.prefix, label), (*scope.place, index))

        async def iteration(index: int, item: Any) -> Outputs:
            async with slots:
                inputs = Outputs({**scope.inputs.parameters, loop.item_input: item}, scope.inputs.artifacts)
                return await self._graph(dag, Scope(inputs, _join(scope.prefix, labels[index]), (*scope.place, index)))

        outcomes = await asyncio.gather(*(iteration(index, item) for index, item in enumerate(items)))
        whole = [outcome for outcome in outcomes if outcome.complete]
        if outcomes and not whole:
            return None
        lists = {name: [outcome.parameters[name] for outcome in whole] for name in dag.outputs}
        return Outputs(lists, complete=len(whole) == len(outcomes))

    def _items(self, loop: Loop, given: Outputs) -> list[Any]:
        """What a loop runs over.

        Raises:
            VqiError: It is not a list.
        """
        items = _value(loop.items, given, {}, {})
        if not isinstance(items, list):
            raise VqiError(f"expected a list to loop over, got {items!r}")
        return items

    def _component(self, task: Task) -> Component:
        return self._pipeline.components[task.component]

    def _inputs(self, task: Task, component: Component, scope: Outputs, done: Mapping[str, Outputs]) -> Outputs:
        """The inputs of a task: the values that it names, and its component's defaults for the others.

        Raises:
            VqiError: A value is not of the type that the component declares, or is missing.
        """
        names = of_run(self._run.run_id, self._run.uid, self._run.started_at, task.name)
        named = {name: _value(source, scope, done, names) for name, source in task.parameters.items()}
        filled = {
            name: fill_constant(value, named) if isinstance(task.parameters[name], FromConstant) else value
            for name, value in named.items()
        }
        parameters = {name: p.default for name, p in component.inputs.items() if p.default is not None}
        parameters |= {name: value for name, value in filled.items() if value is not None}
        artifacts = {}
        for name, source in task.artifacts.items():
            if isinstance(source, FromTask):
                artifacts[name] = done[source.task].artifacts[source.output]
            elif source.name in scope.artifacts:
                artifacts[name] = scope.artifacts[source.name]
        if component.container:
            parameters = _declared(component, parameters)
        return Outputs(parameters, artifacts)

    def _place_outputs(self, outputs: Outputs) -> None:
        """The pipeline's own output artifacts at the top of the run folder; of a folder, its files.

        Raises:
            VqiError: Two of them would have the same path.
        """
        for name, ref in sorted(outputs.artifacts.items()):
            scratch = self._run.folder / PARTIAL
            scratch.mkdir(PRIVATE_FOLDER)
            source = self._transfer.bring(ref, scratch)
            files = {file.name: file for file in sorted(source.iterdir())} if source.is_dir() else {}
            for top, file in (files or {f"{name}{source.suffix}": source}).items():
                if (self._run.folder / top).exists():
                    raise VqiError(f"output '{name}' of the pipeline: '{top}' is already in {self._run.folder}")
                link_tree(file, self._run.folder / top)
            shutil.rmtree(scratch)


# ------------------------------------------------------------------------------------------------------- small pieces


def _may_run(task: Task, done: Mapping[str, Outputs]) -> bool:
    """Whether a task can run with what the tasks before it gave.

    One that runs ``always`` needs what it takes from others; of a loop that is what did not fail.
    """
    if not task.always:
        return all(name in done and done[name].complete for name in task.after)
    return task.producers <= done.keys()


def _value(source: Source, scope: Outputs, done: Mapping[str, Outputs], of_run: Mapping[str, str]) -> Any:
    """The value of a source; None if an optional input was not given."""
    if isinstance(source, FromConstant):
        return fill_run(source.value, of_run)
    if isinstance(source, FromInput):
        return scope.parameters.get(source.name)
    return done[source.task].parameters[source.output]


def _chosen(outputs: Mapping[str, Choices], done: Mapping[str, Outputs]) -> Iterator[tuple[str, FromTask]]:
    """For each output of a graph the first of its sources whose task was not skipped; none where that task failed.

    Raises:
        VqiError: All of them were.
    """
    for name, choices in outputs.items():
        source = next((one for one in choices if one.task not in done or not done[one.task].skipped), None)
        if source is None:
            raise VqiError(f"output '{name}': all of {', '.join(one.task for one in choices)} were skipped")
        if source.task in done:
            yield name, source


def _declared(component: Component, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that a step declares, in their types; others were only needed to fill in constants."""
    for name, declared in component.inputs.items():
        if name not in parameters and not declared.optional:
            raise VqiError(f"the parameter '{name}' is not given")
    return {
        name: _fitting(value, component.inputs[name].type, f"parameter '{name}'")
        for name, value in parameters.items()
        if name in component.inputs
    }


def _fitting(value: Any, kind: str, place: str) -> Any:
    """A value in the type that a step declares; a text may be anything, because a step receives only texts."""
    return to_text(value) if kind == "STRING" else typed(value, kind, place)


def _join(prefix: str, name: str) -> str:
    return f"{prefix}/{name}" if prefix else name
