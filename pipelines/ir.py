"""Strict, typed reader of the subset of the kfp PipelineSpec (IR) that all backends run.

An unknown construct is an error that names it and its place; nothing is skipped. Format: ``pipeline_spec.proto`` of
kfp-pipeline-spec 2.17.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any

import yaml

from pipelines.node import Node, StrictLoader
from pipelines.values import KINDS, typed
from vqi.errors import VqiError


@dataclass(frozen=True)
class Parameter:
    """An input or output parameter."""

    name: str
    type: str  # NUMBER_INTEGER | NUMBER_DOUBLE | STRING | BOOLEAN | LIST | STRUCT
    default: Any = None
    optional: bool = False
    description: str = ""


@dataclass(frozen=True)
class Artifact:
    """An input or output artifact."""

    name: str
    schema: str  # as system.HTML
    optional: bool = False


@dataclass(frozen=True)
class FromConstant:
    """A value that stands in the pipeline."""

    value: Any


@dataclass(frozen=True)
class FromInput:
    """An input of the graph that the task stands in."""

    name: str


@dataclass(frozen=True)
class FromTask:
    """An output of another task of the same graph."""

    task: str
    output: str


Source = FromConstant | FromInput | FromTask
ArtifactSource = FromInput | FromTask


@dataclass(frozen=True)
class Loop:
    """A task that runs once for each item of a list."""

    items: FromConstant | FromInput  # an input of the task's own component
    item_input: str
    parallelism: int | None = None


@dataclass(frozen=True)
class Retry:
    """How often a failed step is tried again, and how long to wait."""

    max_retries: int
    backoff_seconds: float = 0.0
    backoff_factor: float = 2.0
    backoff_max_seconds: float = 3600.0


@dataclass(frozen=True)
class Task:
    """A component at its place in a graph."""

    name: str
    component: str
    after: tuple[str, ...] = ()  # all tasks that it waits for
    parameters: Mapping[str, Source] = field(default_factory=dict)
    artifacts: Mapping[str, ArtifactSource] = field(default_factory=dict)
    loop: Loop | None = None
    cache: bool = False
    retry: Retry | None = None


@dataclass(frozen=True)
class Dag:
    """A graph of tasks, each after those that it waits for."""

    tasks: Mapping[str, Task]
    outputs: Mapping[str, FromTask] = field(default_factory=dict)
    artifact_outputs: Mapping[str, FromTask] = field(default_factory=dict)


@dataclass(frozen=True)
class Container:
    """What a step runs."""

    image: str
    command: tuple[str, ...]
    args: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    resources: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Component:
    """A container step or a graph, with its inputs and outputs."""

    name: str
    inputs: Mapping[str, Parameter]
    input_artifacts: Mapping[str, Artifact]
    outputs: Mapping[str, Parameter]
    output_artifacts: Mapping[str, Artifact]
    container: Container | None = None
    dag: Dag | None = None


@dataclass(frozen=True)
class Pipeline:
    """A compiled pipeline."""

    name: str
    description: str
    inputs: Mapping[str, Parameter]
    root: Dag
    components: Mapping[str, Component]


def read_ir(text: str) -> Pipeline:
    """Read a compiled pipeline.

    Args:
        text: YAML as kfp 2 writes it.

    Raises:
        VqiError: It is no such file, or it holds something that the backends cannot run; the message says where.
    """
    try:
        documents = [document for document in yaml.load_all(text, StrictLoader) if document]
    except yaml.YAMLError as error:
        raise VqiError(f"the compiled pipeline is no YAML: {' '.join(str(error).split())}") from error
    if not documents:
        raise VqiError("the compiled pipeline is empty: compile it with kfp 2")
    if len(documents) > 1:
        raise VqiError("platforms.kubernetes (the second document) is not supported")
    return _pipeline(Node(documents[0], ""))


def _pipeline(node: Node) -> Pipeline:
    info = node.node("pipelineInfo")
    name, description = info.take("name", str), info.maybe("description", str, "")
    info.end()
    executors = _executors(node.node("deploymentSpec"))
    components = {key: _component(key, part, executors) for key, part in node.node("components").nodes()}
    root = node.node("root")
    inputs, _ = _definitions(root.node("inputDefinitions"))
    _definitions(root.node("outputDefinitions"))
    dag = _dag(root.node("dag"))
    root.end()
    for key, kind in (("schemaVersion", str), ("sdkVersion", str)):
        node.maybe(key, kind, "")
    node.end(defaultPipelineRoot="a pipeline root")
    _check_references(dag, "root.dag", components, set(inputs))
    for key, component in components.items():
        if component.dag:
            known = {*component.inputs, *component.input_artifacts}
            known |= {
                task.loop.item_input for task in _all_tasks(dag, components) if task.loop and task.component == key
            }
            _check_references(component.dag, f"components.{key}.dag", components, known)
    return Pipeline(name, description, inputs, dag, components)


# ------------------------------------------------------------------------------------------------------- components


def _executors(node: Node) -> dict[str, Container]:
    found = {}
    for key, executor in node.node("executors").nodes():
        found[key] = _container(executor.node("container"))
        executor.end(importer="an importer")
    node.end()
    return found


def _container(node: Node) -> Container:
    env = tuple((str(pair["name"]), str(pair["value"])) for pair in node.maybe("env", list, []))
    container = Container(
        image=node.take("image", str),
        command=tuple(node.maybe("command", list, [])),
        args=tuple(node.maybe("args", list, [])),
        env=env,
        resources=node.maybe("resources", dict, {}),
    )
    node.end()
    return container


def _component(name: str, node: Node, executors: Mapping[str, Container]) -> Component:
    inputs, input_artifacts = _definitions(node.node("inputDefinitions"))
    outputs, output_artifacts = _definitions(node.node("outputDefinitions"))
    container, dag = None, None
    if node.has("dag"):
        dag = _dag(node.node("dag"))
    else:
        label = node.take("executorLabel", str)
        if label not in executors:
            raise VqiError(f"components.{name}.executorLabel: there is no executor '{label}'")
        container = executors[label]
    node.end()
    return Component(name, inputs, input_artifacts, outputs, output_artifacts, container, dag)


def _definitions(node: Node) -> tuple[dict[str, Parameter], dict[str, Artifact]]:
    parameters = {key: _parameter(key, part) for key, part in node.node("parameters").nodes()}
    artifacts = {key: _artifact(key, part) for key, part in node.node("artifacts").nodes()}
    node.end()
    return parameters, artifacts


def _parameter(name: str, node: Node) -> Parameter:
    kind = node.take("parameterType", str)
    if kind not in KINDS:
        raise VqiError(f"{node.at('parameterType')}: {kind} is not supported")
    default = typed(node.take("defaultValue"), kind, node.at("defaultValue")) if node.has("defaultValue") else None
    parameter = Parameter(
        name, kind, default, node.maybe("isOptional", bool, False), node.maybe("description", str, "")
    )
    node.end(literals="a list of literals")
    return parameter


def _artifact(name: str, node: Node) -> Artifact:
    kind = node.node("artifactType")
    schema = kind.take("schemaTitle", str)
    kind.maybe("schemaVersion", str, "")
    kind.end()
    node.maybe("description", str, "")
    artifact = Artifact(name, schema, node.maybe("isOptional", bool, False))
    node.end(isArtifactList="a list of artifacts (dsl.Collected of an artifact)")
    return artifact


# ------------------------------------------------------------------------------------------------------------ graphs


def _dag(node: Node) -> Dag:
    tasks = {key: _task(key, part) for key, part in node.node("tasks").nodes()}
    outputs = node.node("outputs")
    parameters = {key: _output_parameter(part) for key, part in outputs.node("parameters").nodes()}
    artifacts = {key: _output_artifact(part) for key, part in outputs.node("artifacts").nodes()}
    outputs.end()
    node.end()
    try:
        order = list(TopologicalSorter({name: task.after for name, task in tasks.items()}).static_order())
    except CycleError as error:
        raise VqiError(f"{node.at('tasks')}: the tasks wait for each other: {' -> '.join(error.args[1])}") from error
    missing = [name for name in order if name not in tasks]
    if missing:
        raise VqiError(f"{node.at('tasks')}: a task waits for '{missing[0]}', which is not there")
    return Dag({name: tasks[name] for name in order}, parameters, artifacts)


def _output_parameter(node: Node) -> FromTask:
    source = node.node("valueFromParameter")
    found = FromTask(source.take("producerSubtask", str), source.take("outputParameterKey", str))
    source.end()
    node.end(valueFromOneof="one of several outputs (dsl.OneOf)")
    return found


def _output_artifact(node: Node) -> FromTask:
    selectors = node.take("artifactSelectors", list)
    if len(selectors) != 1:
        raise VqiError(f"{node.at('artifactSelectors')}: one of several outputs (dsl.OneOf) is not supported")
    selector = Node(selectors[0], f"{node.at('artifactSelectors')}[0]")
    found = FromTask(selector.take("producerSubtask", str), selector.take("outputArtifactKey", str))
    selector.end()
    node.end()
    return found


def _task(name: str, node: Node) -> Task:
    reference = node.node("componentRef")
    component = reference.take("name", str)
    reference.end()
    info = node.node("taskInfo")
    info.maybe("name", str, "")
    info.end()
    caching = node.node("cachingOptions")
    cache = caching.maybe("enableCache", bool, False)
    caching.end(cacheKey="a cache key")
    inputs = node.node("inputs")
    parameters = {key: _source(part) for key, part in inputs.node("parameters").nodes()}
    artifacts = {key: _artifact_source(part) for key, part in inputs.node("artifacts").nodes()}
    inputs.end()
    task = Task(
        name,
        component,
        after=_after(node.maybe("dependentTasks", list, []), [*parameters.values(), *artifacts.values()]),
        parameters=parameters,
        artifacts=artifacts,
        loop=_loop(node),
        cache=cache,
        retry=_retry(node.node("retryPolicy")) if node.has("retryPolicy") else None,
    )
    node.end(
        triggerPolicy="a condition (dsl.If) or an exit handler",
        artifactIterator="a loop over artifacts",
    )
    return task


def _after(named: Iterable[str], sources: Iterable[Source]) -> tuple[str, ...]:
    producers = {source.task for source in sources if isinstance(source, FromTask)}
    return tuple(sorted({*named, *producers}))


def _source(node: Node) -> Source:
    found: Source
    if node.has("componentInputParameter"):
        found = FromInput(node.take("componentInputParameter", str))
    elif node.has("taskOutputParameter"):
        output = node.node("taskOutputParameter")
        found = FromTask(output.take("producerTask", str), output.take("outputParameterKey", str))
        output.end()
    elif node.has("runtimeValue"):
        value = node.node("runtimeValue")
        found = FromConstant(value.take("constant"))
        value.end(runtimeParameter="a runtime parameter")
    else:
        node.end(taskFinalStatus="the status of a task")
        raise VqiError(f"{node.place}: expected where the parameter comes from, got nothing")
    node.end(parameterExpressionSelector="an expression on a parameter (a loop over mappings)")
    return found


def _artifact_source(node: Node) -> ArtifactSource:
    found: ArtifactSource
    if node.has("componentInputArtifact"):
        found = FromInput(node.take("componentInputArtifact", str))
    else:
        output = node.node("taskOutputArtifact")
        found = FromTask(output.take("producerTask", str), output.take("outputArtifactKey", str))
        output.end()
    node.end()
    return found


def _loop(node: Node) -> Loop | None:
    if not node.has("parameterIterator"):
        return None
    iterator = node.node("parameterIterator")
    items = iterator.node("items")
    source: FromConstant | FromInput
    if items.has("raw"):
        source = FromConstant(json.loads(items.take("raw", str)))
    else:
        source = FromInput(items.take("inputParameter", str))
    items.end()
    policy = node.node("iteratorPolicy")
    limit = policy.maybe("parallelismLimit", int, 0)
    policy.end()
    loop = Loop(source, iterator.take("itemInput", str), limit or None)
    iterator.end()
    return loop


def _retry(node: Node) -> Retry:
    def seconds(key: str, otherwise: float) -> float:
        return float(str(node.maybe(key, str, f"{otherwise}s")).rstrip("s"))

    retry = Retry(
        max_retries=int(node.maybe("maxRetryCount", (int, float), 0)),
        backoff_seconds=seconds("backoffDuration", 0.0),
        backoff_factor=float(node.maybe("backoffFactor", (int, float), 2.0)),
        backoff_max_seconds=seconds("backoffMaxDuration", 3600.0),
    )
    node.end()
    return retry


# -------------------------------------------------------------------------------------------------------- references


def _all_tasks(root: Dag, components: Mapping[str, Component]) -> list[Task]:
    graphs = [root, *(component.dag for component in components.values() if component.dag)]
    return [task for graph in graphs for task in graph.tasks.values()]


def _check_references(dag: Dag, place: str, components: Mapping[str, Component], inputs: set[str]) -> None:
    """Every component, input and output that a graph names must be there."""
    for task in dag.tasks.values():
        here = f"{place}.tasks.{task.name}"
        if task.component not in components:
            raise VqiError(f"{here}.componentRef: there is no component '{task.component}'")
        for name, source in {**task.parameters, **task.artifacts}.items():
            if isinstance(source, FromInput) and source.name not in inputs:
                raise VqiError(f"{here}.inputs.{name}: there is no input '{source.name}'")
            if isinstance(source, FromTask):
                _check_output(source, f"{here}.inputs.{name}", dag, components)
        _check_complete(task, components[task.component], here)
    for name, source in {**dag.outputs, **dag.artifact_outputs}.items():
        if source.task not in dag.tasks:
            raise VqiError(f"{place}.outputs.{name}: there is no task '{source.task}'")
        _check_output(source, f"{place}.outputs.{name}", dag, components)


def _check_output(source: FromTask, place: str, dag: Dag, components: Mapping[str, Component]) -> None:
    producer = components.get(dag.tasks[source.task].component)
    if producer and source.output not in {**producer.outputs, **producer.output_artifacts}:
        raise VqiError(f"{place}: task '{source.task}' has no output '{source.output}'")


def _check_complete(task: Task, component: Component, place: str) -> None:
    """A task must be given what its component cannot do without."""
    given = {*task.parameters, *task.artifacts, *([task.loop.item_input] if task.loop else [])}
    for name, parameter in component.inputs.items():
        if name not in given and not parameter.optional:
            raise VqiError(f"{place}.inputs: the parameter '{name}' is missing")
    for name, artifact in component.input_artifacts.items():
        if name not in given and not artifact.optional:
            raise VqiError(f"{place}.inputs: the artifact '{name}' is missing")
