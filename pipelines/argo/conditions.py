"""Conditions of tasks as ``when``, and outputs of one of several branches as expressions.

Argo has no output of a task that was skipped: up to 4.0.6 a task whose argument names one waits for ever or gets an
empty text, since then the argument is missing. So nothing but an expression over the tasks' states names them.
"""

from __future__ import annotations

import json

from vqi.errors import VqiError
from vqi_pipelines.argo.arguments import GraphScope
from vqi_pipelines.ir.graph import (
    Choices,
    Comparison,
    Component,
    FromConstant,
    FromInput,
    FromTask,
    Source,
    Task,
)
from vqi_pipelines.ir.placeholders import has_placeholders


def when(task: Task, component: Component, scope: GraphScope, place: str) -> str | None:
    """The condition of a task; None without one.

    Raises:
        VqiError: It needs a value that the task is not given.
    """
    if not task.condition:
        return None
    parts = [_comparison(one, task, component, scope, f"{place}.triggerPolicy.condition") for one in task.condition]
    return f"{{{{={' && '.join(parts)}}}}}"


def _comparison(one: Comparison, task: Task, component: Component, scope: GraphScope, place: str) -> str:
    sides = (_side(side, one.type, task, component, scope, place) for side in (one.left, one.right))
    text = f" {one.operator} ".join(sides)
    return f"!({text})" if one.negated else text


def _side(
    side: FromConstant | FromInput, kind: str, task: Task, component: Component, scope: GraphScope, place: str
) -> str:
    source = side if isinstance(side, FromConstant) else _source_of(side.name, task, component, place)
    if isinstance(source, FromConstant):
        return _constant(source.value, kind, place)
    text = _reference(source, scope)  # a text, as all parameters of Argo
    return {"NUMBER_DOUBLE": f"asFloat({text})", "BOOLEAN": f"lower({text})"}.get(kind, text)


def _source_of(name: str, task: Task, component: Component, place: str) -> Source:
    if name in task.parameters:
        return task.parameters[name]
    default = component.inputs[name].default
    if default is None:
        raise VqiError(f"{place}: the condition needs the input '{name}', which the task is not given")
    return FromConstant(default)


def _constant(value: object, kind: str, place: str) -> str:
    if has_placeholders(value):
        raise VqiError(f"{place}: a condition on a value with placeholders is not supported: {value!r}")
    if kind == "BOOLEAN":
        return "'true'" if value else "'false'"
    text = json.dumps(value, ensure_ascii=False)
    return text.replace("{", "\\u007b").replace("}", "\\u007d")  # two of them would end the expression


def _reference(source: FromInput | FromTask, scope: GraphScope) -> str:
    if isinstance(source, FromInput):
        return f"{'workflow' if scope.is_root else 'inputs'}.parameters['{source.name}']"
    return f"tasks['{scope.labels[source.task]}'].outputs.parameters['{source.output}']"


def output_of_one(choices: Choices, kind: str, scope: GraphScope) -> str:
    """The expression for the output of the first task that was not skipped.

    Args:
        choices: The tasks and their outputs, at least two.
        kind: ``parameters`` or ``artifacts``.
        scope: Of the graph.
    """
    *others, last = (_output(source, kind, scope) for source in choices)
    tests = [f"tasks['{scope.labels[source.task]}'].status == 'Succeeded' ? " for source in choices]
    return "".join(f"{test}{output} : " for test, output in zip(tests, others, strict=False)) + last


def _output(source: FromTask, kind: str, scope: GraphScope) -> str:
    return f"tasks['{scope.labels[source.task]}'].outputs.{kind}['{source.output}']"
