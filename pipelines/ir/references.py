"""Everything that a graph names must exist, be complete and have the right type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter

from vqi.errors import VqiError, unknown
from vqi_pipelines.ir.graph import Component, Dag, FromConstant, FromInput, FromTask, Pipeline, Source, Task
from vqi_pipelines.ir.placeholders import CHANNEL, names_in
from vqi_pipelines.ir.values import typed


def check_references(pipeline: Pipeline) -> Pipeline:
    """The pipeline with its constants in their types, after everything that it names was found.

    Raises:
        VqiError: A missing component, task, input or output, a value of another type, a component that contains
            itself; with the place.
    """
    components = pipeline.components
    _check_no_cycle(components)
    root = _checked(pipeline.root, "root.dag", components, {*pipeline.inputs})
    checked = {
        key: replace(part, dag=_checked(part.dag, f"components.{key}.dag", components, _known_inputs(pipeline, part)))
        if part.dag
        else part
        for key, part in components.items()
    }
    return replace(pipeline, root=root, components=checked)


def _known_inputs(pipeline: Pipeline, component: Component) -> set[str]:
    graphs = [pipeline.root, *(other.dag for other in pipeline.components.values() if other.dag)]
    users = [task for graph in graphs for task in graph.tasks.values() if task.component == component.name]
    return {*component.inputs, *component.input_artifacts, *(task.loop.item_input for task in users if task.loop)}


def _check_no_cycle(components: Mapping[str, Component]) -> None:
    holds = {
        key: {task.component for task in part.dag.tasks.values()} if part.dag else set()
        for key, part in components.items()
    }
    try:
        TopologicalSorter(holds).prepare()
    except CycleError as error:
        raise VqiError(f"components: a component contains itself: {' -> '.join(error.args[1])}") from error


def _checked(dag: Dag, place: str, components: Mapping[str, Component], inputs: set[str]) -> Dag:
    tasks = {
        name: _checked_task(task, f"{place}.tasks.{name}", dag, components, inputs) for name, task in dag.tasks.items()
    }
    for name, source in {**dag.outputs, **dag.artifact_outputs}.items():
        if source.task not in dag.tasks:
            raise VqiError(f"{place}.outputs.{name}: there is no task '{source.task}'")
        _check_output(source, f"{place}.outputs.{name}", dag, components)
    return replace(dag, tasks=tasks)


def _checked_task(task: Task, place: str, dag: Dag, components: Mapping[str, Component], inputs: set[str]) -> Task:
    if task.component not in components:
        raise VqiError(f"{place}.componentRef: there is no component '{task.component}'")
    component = components[task.component]
    for name, source in {**task.parameters, **task.artifacts}.items():
        if isinstance(source, FromInput) and source.name not in inputs:
            raise VqiError(f"{place}.inputs.{name}: there is no input '{source.name}'")
        if isinstance(source, FromTask):
            _check_output(source, f"{place}.inputs.{name}", dag, components)
    if task.always and task.producers and not any(dag.tasks[name].loop for name in task.producers):
        raise VqiError(
            f"{place}: it runs even if the tasks before it failed, so it cannot take an output of theirs, except for "
            "what a loop collects"
        )
    _check_complete(task, component, place)
    _check_loop(task, component, place)
    parameters = {
        name: _typed_source(source, task, component, f"{place}.inputs.parameters.{name}", name)
        for name, source in task.parameters.items()
    }
    return replace(task, parameters=parameters)


def _typed_source(source: Source, task: Task, component: Component, place: str, name: str) -> Source:
    """A constant in the type of its input; one with other inputs in it (an f-string) is typed when it is filled in."""
    if name not in component.inputs and not name.startswith(CHANNEL):
        raise VqiError(f"{place}: {unknown(f'input of {component.name}', name, component.inputs)}")
    if not isinstance(source, FromConstant):
        return source
    named = names_in(source.value, place)
    for other in named:
        if other not in task.parameters:
            raise VqiError(f"{place}: the value names the input '{other}', which the task is not given")
    if named or name not in component.inputs:
        return source
    return FromConstant(typed(source.value, component.inputs[name].type, place))


def _check_output(source: FromTask, place: str, dag: Dag, components: Mapping[str, Component]) -> None:
    producer = components.get(dag.tasks[source.task].component)
    if producer and source.output not in {**producer.outputs, **producer.output_artifacts}:
        raise VqiError(f"{place}: task '{source.task}' has no output '{source.output}'")


def _check_complete(task: Task, component: Component, place: str) -> None:
    """A task must be given every input that its component requires."""
    given = {*task.parameters, *task.artifacts, *([task.loop.item_input] if task.loop else [])}
    for name, parameter in component.inputs.items():
        if name not in given and not parameter.optional and parameter.default is None:
            raise VqiError(f"{place}.inputs: the parameter '{name}' is missing")
    for name, artifact in component.input_artifacts.items():
        if name not in given and not artifact.optional:
            raise VqiError(f"{place}.inputs: the artifact '{name}' is missing")
    for name in task.artifacts:
        if name not in component.input_artifacts:
            raise VqiError(f"{place}.inputs.artifacts.{name}: {component.name} has no such input")


def _check_loop(task: Task, component: Component, place: str) -> None:
    if task.loop and not component.dag:
        raise VqiError(f"{place}.parameterIterator: a loop over a single container is not supported")
    if task.loop and isinstance(task.loop.items, FromInput) and task.loop.items.name not in task.parameters:
        raise VqiError(f"{place}.parameterIterator.items: there is no input '{task.loop.items.name}'")
