"""Everything that a graph names must exist, be complete and have the right type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter

from vqi.errors import VqiError, unknown
from vqi_pipelines.ir.conditions import typed_condition
from vqi_pipelines.ir.graph import Choices, Component, Dag, FromConstant, FromInput, FromTask, Pipeline, Source, Task
from vqi_pipelines.ir.placeholders import CHANNEL, has_placeholders, names_in
from vqi_pipelines.ir.values import from_ir, whole_numbers

_MOST_STEPS, _MOST_LEVELS = 10_000, 50


def check_references(pipeline: Pipeline) -> Pipeline:
    """The pipeline with its constants in their types, after everything that it names was found.

    Raises:
        VqiError: A missing component, task, input or output, a value of another type, a component that contains
            itself; with the place.
    """
    components = pipeline.components
    _check_size(pipeline)
    root = _checked(pipeline.root, "root.dag", components, {*pipeline.inputs})
    checked = {
        key: replace(part, dag=_checked(part.dag, f"components.{key}.dag", components, _known_inputs(pipeline, part)))
        if part.dag
        else part
        for key, part in components.items()
    }
    return replace(pipeline, root=root, components=checked)


def _known_inputs(pipeline: Pipeline, component: Component) -> set[str]:
    users = [
        task for graph in pipeline.graphs.values() for task in graph.tasks.values() if task.component == component.name
    ]
    return {*component.inputs, *component.input_artifacts, *(task.loop.item_input for task in users if task.loop)}


def _check_size(pipeline: Pipeline) -> None:
    """Check that no component contains itself, and how deep and how many the steps are when all graphs are unfolded."""
    holds = {
        key: [task.component for task in part.dag.tasks.values()] if part.dag else []
        for key, part in pipeline.components.items()
    }
    try:
        order = list(TopologicalSorter(holds).static_order())
    except CycleError as error:
        raise VqiError(f"components: a component contains itself: {' -> '.join(error.args[1])}") from error
    steps: dict[str, int] = {}
    levels: dict[str, int] = {}
    for key in order:
        inside = holds.get(key, [])
        steps[key] = 1 + sum(steps[name] for name in inside)
        levels[key] = 1 + max((levels[name] for name in inside), default=0)
        if steps[key] > _MOST_STEPS or levels[key] > _MOST_LEVELS:
            raise VqiError(
                f"components.{key}: expected at most {_MOST_STEPS} tasks in {_MOST_LEVELS} levels of pipelines, "
                f"got {steps[key]} in {levels[key]}"
            )


def _checked(dag: Dag, place: str, components: Mapping[str, Component], inputs: set[str]) -> Dag:
    tasks = {
        name: _checked_task(task, f"{place}.tasks.{name}", dag, components, inputs) for name, task in dag.tasks.items()
    }
    for name, choices in {**dag.outputs, **dag.artifact_outputs}.items():
        _check_choices(choices, f"{place}.outputs.{name}", dag, components)
    return replace(dag, tasks=tasks)


def _check_choices(choices: Choices, place: str, dag: Dag, components: Mapping[str, Component]) -> None:
    """Check where an output of a graph may come from."""
    for source in choices:
        if source.task not in dag.tasks:
            raise VqiError(f"{place}: there is no task '{source.task}'")
        _check_output(source, place, dag, components)
    (*others, last) = choices
    if not others and dag.tasks[last.task].condition:
        raise VqiError(f"{place}: task '{last.task}' may be skipped: choose among all branches with dsl.OneOf")
    for source in choices if others else ():
        if not dag.tasks[source.task].condition:
            raise VqiError(f"{place}: dsl.OneOf of '{source.task}', which has no condition, is not supported")


def _checked_task(task: Task, place: str, dag: Dag, components: Mapping[str, Component], inputs: set[str]) -> Task:
    if task.component not in components:
        raise VqiError(f"{place}.componentRef: there is no component '{task.component}'")
    component = components[task.component]
    for name, source in {**task.parameters, **task.artifacts}.items():
        if isinstance(source, FromInput) and source.name not in inputs:
            raise VqiError(f"{place}.inputs.{name}: there is no input '{source.name}'")
        if isinstance(source, FromTask):
            _check_output(source, f"{place}.inputs.{name}", dag, components)
            if dag.tasks[source.task].condition:
                raise VqiError(
                    f"{place}.inputs.{name}: task '{source.task}' may be skipped: take dsl.OneOf of its branches"
                )
    takes_all = task.producers and task.producers == {*task.after}
    if task.always and takes_all and not any(dag.tasks[name].loop for name in task.producers):
        raise VqiError(
            f"{place}: it runs even if the tasks before it failed, so it cannot take an output of each of them, except "
            "for what a loop collects"
        )
    _check_complete(task, component, place)
    _check_loop(task, component, place)
    if component.dag and task.retry and task.retry.max_retries:
        raise VqiError(
            f"{place}.retryPolicy: retries of a whole pipeline in a pipeline are not supported: set them on its steps"
        )
    parameters = {
        name: _typed_source(source, task, component, f"{place}.inputs.parameters.{name}", name)
        for name, source in task.parameters.items()
    }
    condition = typed_condition(task.condition, component.inputs, f"{place}.triggerPolicy.condition")
    return replace(task, parameters=parameters, condition=condition)


def _typed_source(source: Source, task: Task, component: Component, place: str, name: str) -> Source:
    """A constant in the type of its input; one with other inputs in it (an f-string) is typed when it is filled in."""
    if name not in component.inputs and not name.startswith(CHANNEL):
        raise VqiError(f"{place}: {unknown(f'input of {component.name}', name, component.inputs)}")
    if not isinstance(source, FromConstant):
        return source
    for other in names_in(source.value, place):
        if other not in task.parameters:
            raise VqiError(f"{place}: the value names the input '{other}', which the task is not given")
        given = task.parameters[other]
        if isinstance(given, FromConstant) and has_placeholders(given.value):
            raise VqiError(f"{place}: the value names the input '{other}', which names others itself")
    if has_placeholders(source.value) or name not in component.inputs:
        return FromConstant(whole_numbers(source.value, place))
    return FromConstant(from_ir(source.value, component.inputs[name].type, place))


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
    if task.loop and task.condition:
        raise VqiError(
            f"{place}.triggerPolicy.condition: a condition of a loop is not supported: put the loop into a dsl.If"
        )
    if task.loop and not component.dag:
        raise VqiError(f"{place}.parameterIterator: a loop over a single container is not supported")
    if task.loop and isinstance(task.loop.items, FromInput) and task.loop.items.name not in task.parameters:
        raise VqiError(f"{place}.parameterIterator.items: there is no input '{task.loop.items.name}'")
