"""Which templates a pipeline needs: one for each combination of a component, its given inputs and its retry policy.

Argo has no optional parameters and no retries of a task: both belong to the template.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from vqi_pipelines.argo.names import dns_labels, free_label
from vqi_pipelines.ir.graph import Component, Dag, FromInput, Loop, Pipeline, Retry, Source, Task


@dataclass(frozen=True)
class Variant:
    """A component with the inputs that it is given, including defaults, and how it is tried again."""

    component: str
    parameters: frozenset[str]
    artifacts: frozenset[str]
    retry: Retry | None = None
    # Of the template around a loop. Its items may be a list, which has no hash.
    loop: Loop | None = field(default=None, hash=False)


def root_variant(pipeline: Pipeline) -> Variant:
    """The pipeline's own graph, which receives all of its parameters."""
    return Variant("", frozenset(pipeline.inputs), frozenset())


def task_variant(pipeline: Pipeline, task: Task, graph: Variant) -> Variant:
    """The template that a task of a graph needs."""
    component = pipeline.components[task.component]
    defaults = {name for name, parameter in component.inputs.items() if parameter.default is not None}
    given = {name for name, source in task.parameters.items() if _is_given(source, graph.parameters)}
    if task.loop:
        given = given - _unread_items(task.loop, component) | {task.loop.item_input}
    return Variant(
        task.component,
        frozenset(defaults | (given if component.dag else given & component.inputs.keys())),
        frozenset(name for name, source in task.artifacts.items() if _is_given(source, graph.artifacts)),
        task.retry,
    )


def wrapper_variant(inner: Variant, loop: Loop) -> Variant:
    """The template around a loop (``needs_wrapper``)."""
    return replace(inner, parameters=inner.parameters - {loop.item_input} | _items_of(loop), retry=None, loop=loop)


def _items_of(loop: Loop) -> frozenset[str]:
    """The input with the list that a loop runs over; none if that is written in the pipeline."""
    return frozenset({loop.items.name} if isinstance(loop.items, FromInput) else ())


def _unread_items(loop: Loop, component: Component) -> frozenset[str]:
    """That input, if no task inside reads it: each iteration would be given the whole list, for nobody."""
    tasks = component.dag.tasks.values() if component.dag else ()
    sources = [source for task in tasks for source in task.parameters.values()]
    return _items_of(loop) - {source.name for source in sources if isinstance(source, FromInput)}


def needs_wrapper(task: Task, dag: Dag) -> bool:
    """Whether a task is a loop that goes into a graph of its own, with a template around it.

    A loop with a limit, because Argo limits only the children of a template; and one whose failure another task
    tolerates, because ``argo retry`` leaves a loop failed until its graph is looked at again, and resets a graph at
    once: the other task would not wait for the iterations that are tried again.
    """
    if task.loop is None:
        return False
    tolerated = any(task.name in other.after and other.tolerates(task.name) for other in dag.tasks.values())
    return tolerated or task.loop.parallelism is not None


def named_variants(pipeline: Pipeline) -> dict[Variant, str]:
    """All variants of a pipeline with the names of their templates, the pipeline's own graph first.

    Raises:
        VqiError: Two components have the same name in Argo.
    """
    variants = list(dict.fromkeys(_walk(pipeline, root_variant(pipeline), pipeline.root)))
    stems = {key: key.removeprefix("comp-") for key in pipeline.components}
    labels = dns_labels(dict.fromkeys(stems[v.component] for v in variants if v.component), "components")
    names: dict[Variant, str] = {}
    for variant in variants:  # components keep their names; generated names change
        if variant.component and not variant.loop and labels[stems[variant.component]] not in names.values():
            names[variant] = labels[stems[variant.component]]
    taken = {*labels.values()}
    for variant in variants:
        if variant not in names:
            names[variant] = free_label(_made_up(pipeline, variant, labels, stems), taken)
            taken.add(names[variant])
    return {variant: names[variant] for variant in variants}


def _made_up(pipeline: Pipeline, variant: Variant, labels: dict[str, str], stems: dict[str, str]) -> str:
    if not variant.component:
        return dns_labels([pipeline.name], "pipelineInfo.name")[pipeline.name]
    label = labels[stems[variant.component]]
    if not variant.loop:
        return label
    return f"{label[:50]}-{'whole' if variant.loop.parallelism is None else 'at-once'}"


def _walk(pipeline: Pipeline, variant: Variant, dag: Dag) -> Iterator[Variant]:
    """A graph, then what its tasks need, each after the one that refers to it."""
    yield variant
    for task in dag.tasks.values():
        inner = task_variant(pipeline, task, variant)
        if task.loop and needs_wrapper(task, dag):
            yield wrapper_variant(inner, task.loop)
        component = _component(pipeline, inner)
        if component.dag:
            yield from _walk(pipeline, inner, component.dag)
        else:
            yield inner


def _component(pipeline: Pipeline, variant: Variant) -> Component:
    return pipeline.components[variant.component]


def _is_given(source: Source, inputs: frozenset[str]) -> bool:
    """Whether a source has a value; an optional input of the graph may have none."""
    return not isinstance(source, FromInput) or source.name in inputs
