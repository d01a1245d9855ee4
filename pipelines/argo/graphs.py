"""A graph as a template: its tasks with their arguments, its loops, and its outputs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hera.workflows import models

from vqi.errors import VqiError
from vqi_pipelines.argo.arguments import (
    GraphScope,
    artifact_text,
    collected_expression,
    collected_types,
    constant_items,
    input_parameter,
    parameter_text,
)
from vqi_pipelines.argo.conditions import output_of_one, when
from vqi_pipelines.argo.containers import check_parameter_count, input_declaration
from vqi_pipelines.argo.keys import LOOP_PATH, makes_artifacts, path_argument
from vqi_pipelines.argo.names import dns_labels, field_name
from vqi_pipelines.argo.variants import Variant, needs_wrapper, task_variant, wrapper_variant
from vqi_pipelines.ir.graph import (
    Choices,
    Component,
    Dag,
    FromConstant,
    FromInput,
    FromTask,
    Loop,
    Parameter,
    Pipeline,
    Task,
)

ONE = "each"  # the only task of a wrapper
MOST_TASKS = MOST_TEMPLATES = 200  # of a graph, and of a workflow: the custom resources of Argo 4 take no more

_ENDS = ("Succeeded", "Failed", "Errored", "Skipped", "Omitted")  # all that a task can have become


@dataclass(frozen=True)
class Graph:
    """A graph of a pipeline that is lowered: its inputs, its place, and the names of all templates."""

    pipeline: Pipeline
    dag: Dag
    variant: Variant
    place: str
    names: Mapping[Variant, str]

    @property
    def is_root(self) -> bool:
        """Whether its inputs are the workflow's own parameters."""
        return not self.variant.component

    def scope(self) -> GraphScope:
        """What its tasks may refer to."""
        loops = {name: task for name, task in self.dag.tasks.items() if not needs_wrapper(task, self.dag)}
        labels = dns_labels(self.dag.tasks, f"{self.place}.tasks")
        return GraphScope(self.place, self.is_root, labels, collected_types(self.pipeline, loops))


def graph_template(name: str, graph: Graph, tasks: Collection[Task]) -> models.Template:
    """A template that runs tasks of a graph, each when the tasks that it waits for are done.

    Raises:
        VqiError: Something that Argo has no equivalent for; with its place in the IR.
    """
    chosen = [*tasks]
    if not chosen:
        raise VqiError(f"{graph.place}.tasks: expected a task, got no task: Argo refuses an empty graph")
    if len(chosen) > MOST_TASKS:
        raise VqiError(
            f"{graph.place}.tasks: Argo 4 takes {MOST_TASKS} tasks in one graph, got {len(chosen)}: "
            "put some of them into a pipeline of their own, or into a loop"
        )
    scope = graph.scope()
    return models.Template(
        name=name,
        inputs=_inputs(graph),
        outputs=_outputs(graph.dag, scope),
        # tasks that do not depend on a failed one still run
        dag=models.DAGTemplate(
            tasks=[_task(task, graph, scope) for task in chosen], fail_fast=False, target=_target(chosen, graph, scope)
        ),
    )


def wrapper_template(name: str, loop: Loop, graph: Graph, inner: Variant) -> models.Template:
    """A template around a loop (``needs_wrapper``), which limits how many of its iterations run at the same time."""
    component = graph.pipeline.components[inner.component]
    passed: dict[str, FromInput] = {name: FromInput(name) for name in graph.variant.parameters}
    task = Task(
        ONE,
        inner.component,
        parameters=_ordered(passed, component.inputs),
        artifacts={name: FromInput(name) for name in component.input_artifacts if name in inner.artifacts},
        loop=loop,
    )
    outputs = {output: (FromTask(ONE, output),) for output in component.dag.outputs} if component.dag else {}
    whole = Graph(graph.pipeline, Dag({ONE: task}, outputs), graph.variant, graph.place, graph.names)
    labels = {ONE: ONE}
    scope = GraphScope(graph.place, False, labels, collected_types(graph.pipeline, {ONE: task}))
    return models.Template(
        name=name,
        parallelism=loop.parallelism,
        inputs=_inputs(whole),
        outputs=_outputs(whole.dag, scope),
        dag=models.DAGTemplate(tasks=[_loop_task(task, loop, inner, whole, scope)], fail_fast=False),
    )


def _ordered(found: Mapping[str, Any], order: Iterable[str]) -> dict[str, Any]:
    """A mapping in a given order, and then by name, so that compiling twice gives the same result."""
    places = {name: index for index, name in enumerate(order)}
    return {name: found[name] for name in sorted(found, key=lambda name: (places.get(name, len(places)), name))}


# -------------------------------------------------------------------------------------------------------------- tasks


def _task(task: Task, graph: Graph, scope: GraphScope) -> models.DAGTask:
    inner = task_variant(graph.pipeline, task, graph.variant)
    if task.loop and not needs_wrapper(task, graph.dag):
        return _loop_task(task, task.loop, inner, graph, scope)
    if task.loop:
        outer = wrapper_variant(inner, task.loop)
        path = (LOOP_PATH, "" if graph.is_root else input_parameter(LOOP_PATH))
        return _call(task, graph.names[outer], outer, graph, scope, path)
    component = graph.pipeline.components[task.component]
    path = path_argument(component, task, scope.labels[task.name], is_root=graph.is_root)
    return _call(task, graph.names[inner], inner, graph, scope, path)


def _loop_task(task: Task, loop: Loop, inner: Variant, graph: Graph, scope: GraphScope) -> models.DAGTask:
    """A task that Argo runs once for each item of a list."""
    place = f"{scope.place}.tasks.{task.name}"
    component = graph.pipeline.components[task.component]
    path = path_argument(component, task, scope.labels[task.name], is_root=graph.is_root)
    called = _call(task, graph.names[inner], inner, graph, scope, path)
    if isinstance(loop.items, FromConstant):
        items = constant_items(loop.items, f"{place}.parameterIterator.items")
        if items:
            called.with_items = [models.Item(root=item) for item in items]
        else:
            called.with_param = "[]"  # an empty withItems would mean: no loop
    else:
        called.with_param = parameter_text(task.parameters[loop.items.name], scope, task, f"{place}.inputs")
    return called


def _call(
    task: Task, template: str, variant: Variant, graph: Graph, scope: GraphScope, path: tuple[str, str]
) -> models.DAGTask:
    """A task that calls a template with its arguments."""
    place = f"{scope.place}.tasks.{task.name}"
    component = graph.pipeline.components[task.component]
    parameters = [
        models.Parameter(
            name=field_name(name, f"{place}.inputs.parameters"),
            value=parameter_text(
                source, scope, task, f"{place}.inputs.parameters.{name}", to_step=component.container is not None
            ),
        )
        for name, source in task.parameters.items()
        if name in variant.parameters
    ]
    if task.loop and task.loop.item_input in variant.parameters:
        parameters.append(models.Parameter(name=field_name(task.loop.item_input, place), value="{{item}}"))
    if makes_artifacts(graph.pipeline, component):
        parameters.append(models.Parameter(name=path[0], value=path[1]))
    artifacts = [
        models.Artifact(name=name, from_=artifact_text(source, scope))
        for name, source in task.artifacts.items()
        if name in variant.artifacts
    ]
    return models.DAGTask(
        name=scope.labels[task.name],
        template=template,
        when=when(task, component, scope, place),
        depends=" && ".join(_condition(name, task, scope) for name in _waited_for(task, graph)) or None,
        arguments=models.Arguments(parameters=parameters or None, artifacts=artifacts or None)
        if parameters or artifacts
        else None,
    )


def _condition(name: str, task: Task, scope: GraphScope) -> str:
    """What a task that is waited for must have become."""
    label = scope.labels[name]
    return f"({' || '.join(f'{label}.{end}' for end in _ENDS)})" if task.tolerates(name) else label


def _target(tasks: Collection[Task], graph: Graph, scope: GraphScope) -> str | None:
    """The tasks that decide whether a graph succeeded; None for what Argo itself asks, those that no other waits for.

    A task whose failure is tolerated decides, too: the run has failed, although what came after it succeeded.
    """
    tolerated = {name for task in tasks for name in _waited_for(task, graph) if task.tolerates(name)}
    if not tolerated:
        return None
    waited_for = {name for task in tasks for name in task.after} - tolerated
    return " ".join(scope.labels[task.name] for task in tasks if task.name not in waited_for)


def _waited_for(task: Task, graph: Graph) -> list[str]:
    """The tasks before a task; with a graph or loop among them also those before that.

    They add no constraint, but a graph that was stopped may have no last node that Argo could make the parent of the
    next task, and ``argo retry`` fails on a task without a parent.
    """
    found = dict.fromkeys(task.after)
    for name in task.after:
        before = graph.dag.tasks[name]
        if graph.pipeline.components[before.component].dag:
            found |= dict.fromkeys(_waited_for(before, graph))
    return list(found)


# ------------------------------------------------------------------------------------------------- inputs and outputs


def _inputs(graph: Graph) -> models.Inputs | None:
    """The inputs of a graph; the root's inputs are the workflow's."""
    if graph.is_root:
        return None
    component = graph.pipeline.components[graph.variant.component]
    place = f"components.{component.name}"
    known = {name: component.inputs.get(name, Parameter(name, "STRING")) for name in graph.variant.parameters}
    parameters = [input_declaration(p, place) for p in _ordered(known, component.inputs).values()]
    if makes_artifacts(graph.pipeline, component):
        parameters.append(models.Parameter(name=LOOP_PATH))
    check_parameter_count(parameters, place)
    artifacts = [
        models.Artifact(name=field_name(name, f"{place}.inputDefinitions.artifacts"))
        for name in component.input_artifacts
        if name in graph.variant.artifacts
    ]
    return (
        models.Inputs(parameters=parameters or None, artifacts=artifacts or None) if parameters or artifacts else None
    )


def _outputs(dag: Dag, scope: GraphScope) -> models.Outputs | None:
    parameters = [
        models.Parameter(name=field_name(name, f"{scope.place}.outputs"), value_from=_value_from(choices, scope))
        for name, choices in dag.outputs.items()
    ]
    artifacts = [
        _artifact_from(field_name(name, f"{scope.place}.outputs"), choices, scope)
        for name, choices in dag.artifact_outputs.items()
    ]
    return (
        models.Outputs(parameters=parameters or None, artifacts=artifacts or None) if parameters or artifacts else None
    )


def _value_from(choices: Choices, scope: GraphScope) -> models.ValueFrom:
    source, *others = choices
    if others:
        return models.ValueFrom(expression=output_of_one(choices, "parameters", scope))
    if (source.task, source.output) in scope.collected:
        return models.ValueFrom(expression=collected_expression(source, scope))
    return models.ValueFrom(parameter=f"{{{{tasks.{scope.labels[source.task]}.outputs.parameters.{source.output}}}}}")


def _artifact_from(name: str, choices: Choices, scope: GraphScope) -> models.Artifact:
    source, *others = choices
    if others:
        return models.Artifact(name=name, from_expression=output_of_one(choices, "artifacts", scope))
    return models.Artifact(name=name, from_=artifact_text(source, scope))


def component_graph(
    pipeline: Pipeline, component: Component, variant: Variant, names: Mapping[Variant, str]
) -> Graph | None:
    """The graph of a component; None when it is a container."""
    return Graph(pipeline, component.dag, variant, f"components.{component.name}.dag", names) if component.dag else None
