"""Reading of the graphs of a compiled pipeline: tasks, where their inputs come from, loops, retries."""

from __future__ import annotations

import re
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter

from vqi.errors import VqiError
from vqi_pipelines.ir.conditions import read_condition
from vqi_pipelines.ir.documents import load_json
from vqi_pipelines.ir.graph import (
    ArtifactSource,
    Choices,
    Comparison,
    Dag,
    FromConstant,
    FromInput,
    FromTask,
    Loop,
    Retry,
    Source,
    Task,
)
from vqi_pipelines.ir.node import Node
from vqi_pipelines.ir.values import from_ir

_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)s")
_MOST_SECONDS = 10 * 365 * 24 * 3600  # Go's durations, which Argo has, end at 292 years
_MOST_TRIES, _MOST_FACTOR = 1000, 1000
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


def _output_parameter(node: Node) -> Choices:
    if node.has("valueFromOneof"):
        one_of = node.node("valueFromOneof")
        found = _selected(one_of, "parameterSelectors", "outputParameterKey")
        one_of.end()
    else:
        found = (_selector(node.node("valueFromParameter"), "outputParameterKey"),)
    node.end()
    return found


def _output_artifact(node: Node) -> Choices:
    found = _selected(node, "artifactSelectors", "outputArtifactKey")
    node.end()
    return found


def _selected(node: Node, key: str, output: str) -> Choices:
    """What one output may come from: one task, or one of several (dsl.OneOf)."""
    selectors = node.take(key, list)
    if not selectors:
        raise VqiError(f"{node.at(key)}: expected an output of a task, got an empty list")
    return tuple(_selector(Node(one, f"{node.at(key)}[{n}]"), output) for n, one in enumerate(selectors))


def _selector(node: Node, output: str) -> FromTask:
    found = FromTask(node.take("producerSubtask", str), node.take(output, str))
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
    cache_key = caching.maybe("cacheKey", str, "")
    caching.end()
    inputs = node.node("inputs")
    parameters = {key: _source(part) for key, part in inputs.node("parameters").nodes()}
    artifacts = {key: _artifact_source(part) for key, part in inputs.node("artifacts").nodes()}
    inputs.end()
    condition, always = _trigger(node.node("triggerPolicy"))
    task = Task(
        name,
        component,
        after=_after(node.texts("dependentTasks"), [*parameters.values(), *artifacts.values()]),
        parameters=parameters,
        artifacts=artifacts,
        loop=_loop(node),
        cache=cache,
        cache_key=cache_key,
        retry=_retry(node.node("retryPolicy")) if node.has("retryPolicy") else None,
        condition=condition,
        always=always,
    )
    node.end(artifactIterator="a loop over artifacts")
    return task


def _trigger(policy: Node) -> tuple[tuple[Comparison, ...], bool]:
    """The condition of a task, and whether it runs even if the tasks that it waits for failed."""
    strategy = policy.maybe("strategy", str, _STRATEGIES[0])
    if strategy not in _STRATEGIES:
        raise VqiError(f"{policy.at('strategy')}: {strategy} is not supported")
    text = policy.maybe("condition", str, "")
    condition = read_condition(text, policy.at("condition")) if text else ()
    policy.end()
    return condition, strategy == _STRATEGIES[1]


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
    place = items.at("raw")
    return FromConstant(from_ir(load_json(items.take("raw", str), place), "LIST", place))


def _retry(node: Node) -> Retry:
    retry = Retry(
        max_retries=_tries(node),
        backoff_seconds=_seconds(node, "backoffDuration", "0s"),
        backoff_factor=_factor(node),
        backoff_max_seconds=_seconds(node, "backoffMaxDuration", "3600s"),
    )
    node.end()
    return retry


def _tries(node: Node) -> int:
    tries = node.maybe("maxRetryCount", (int, float), 0)
    if not 0 <= tries <= _MOST_TRIES or tries % 1:
        raise VqiError(f"{node.at('maxRetryCount')}: expected a whole number from 0 to {_MOST_TRIES}, got {tries}")
    return int(tries)


def _factor(node: Node) -> float:
    factor = node.maybe("backoffFactor", (int, float), 0) or 2.0  # 0 is protobuf's "not set"
    if not 0 < factor <= _MOST_FACTOR:
        raise VqiError(f"{node.at('backoffFactor')}: expected a number up to {_MOST_FACTOR}, got {factor}")
    return float(factor)


def _seconds(node: Node, key: str, otherwise: str) -> float:
    """A duration as protobuf writes it, ``1.5s``, in seconds."""
    text = node.maybe(key, str, otherwise)
    match = _DURATION.fullmatch(text)
    if not match or float(match[1]) > _MOST_SECONDS:
        raise VqiError(f"{node.at(key)}: expected a duration such as '5s', up to {_MOST_SECONDS} s, got '{text[:50]}'")
    return float(match[1])
