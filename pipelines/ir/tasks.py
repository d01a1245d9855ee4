"""Reading of the graphs of a compiled pipeline: tasks, where their inputs come from, loops, retries."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter

from vqi.errors import VqiError
from vqi_pipelines.ir.graph import ArtifactSource, Dag, FromConstant, FromInput, FromTask, Loop, Retry, Source, Task
from vqi_pipelines.ir.node import Node

_STRATEGIES = ("ALL_UPSTREAM_TASKS_SUCCEEDED", "ALL_UPSTREAM_TASKS_COMPLETED")


def read_dag(node: Node) -> Dag:
    """A graph; each of its tasks comes after the tasks that it waits for.

    Raises:
        VqiError: An unknown construct, a missing task, or tasks that wait for each other.
    """
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
        raise VqiError(f"{node.at('tasks')}: a task waits for '{missing[0]}', which does not exist")
    return Dag({name: tasks[name] for name in order}, parameters, artifacts)


def _output_parameter(node: Node) -> FromTask:
    if node.has("valueFromOneof"):
        node.end(valueFromOneof="one of several outputs (dsl.OneOf)")
    source = node.node("valueFromParameter")
    found = FromTask(source.take("producerSubtask", str), source.take("outputParameterKey", str))
    source.end()
    node.end()
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
    node.name(name)
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
        after=_after(node.texts("dependentTasks"), [*parameters.values(), *artifacts.values()]),
        parameters=parameters,
        artifacts=artifacts,
        loop=_loop(node),
        cache=cache,
        retry=_retry(node.node("retryPolicy")) if node.has("retryPolicy") else None,
        always=_always(node),
    )
    node.end(artifactIterator="a loop over artifacts")
    return task


def _always(node: Node) -> bool:
    """Whether a task runs even if the tasks that it waits for failed."""
    policy = node.node("triggerPolicy")
    strategy = policy.maybe("strategy", str, _STRATEGIES[0])
    if strategy not in _STRATEGIES:
        raise VqiError(f"{policy.at('strategy')}: {strategy} is not supported")
    policy.end(condition="a condition (dsl.If)")
    return bool(strategy == _STRATEGIES[1])


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
        if not value.has("constant"):
            value.end(runtimeParameter="a runtime parameter")
        found = FromConstant(value.take("constant"))
        value.end()
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
    source = _raw_items(items) if items.has("raw") else FromInput(items.take("inputParameter", str))
    items.end()
    policy = node.node("iteratorPolicy")
    limit = policy.maybe("parallelismLimit", int, 0)
    if limit < 0:
        raise VqiError(f"{policy.at('parallelismLimit')}: expected 0 (no limit) or more, got {limit}")
    policy.end()
    loop = Loop(source, iterator.take("itemInput", str), limit or None)
    iterator.end()
    return loop


def _raw_items(items: Node) -> FromConstant:
    text = items.take("raw", str)
    try:
        value = json.loads(text)
    except ValueError as error:
        raise VqiError(f"{items.at('raw')}: expected a JSON list, got '{text[:200]}'") from error
    if not isinstance(value, list):
        raise VqiError(f"{items.at('raw')}: expected a JSON list, got '{text[:200]}'")
    return FromConstant(value)


def _retry(node: Node) -> Retry:
    tries = node.maybe("maxRetryCount", (int, float), 0)
    if tries < 0 or int(tries) != tries:
        raise VqiError(f"{node.at('maxRetryCount')}: expected a whole number of at least 0, got {tries}")
    retry = Retry(
        max_retries=int(tries),
        backoff_seconds=_seconds(node, "backoffDuration", "0s"),
        backoff_factor=float(node.maybe("backoffFactor", (int, float), 2.0)),
        backoff_max_seconds=_seconds(node, "backoffMaxDuration", "3600s"),
    )
    node.end()
    return retry


def _seconds(node: Node, key: str, otherwise: str) -> float:
    """A duration as protobuf writes it, ``1.5s``, in seconds."""
    text = node.maybe(key, str, otherwise)
    try:
        value = float(text.removesuffix("s"))
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise VqiError(f"{node.at(key)}: expected a duration such as '5s', got '{text}'")
    return value
