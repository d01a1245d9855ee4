"""How values are written for Argo: literal texts, references in double braces, and expressions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vqi.errors import VqiError
from vqi_pipelines.ir.graph import ArtifactSource, FromConstant, FromInput, FromTask, Pipeline, Source, Task
from vqi_pipelines.ir.placeholders import JOB_ID, JOB_NAMES, JOB_TIME, TASK_NAME, has_placeholders, names_in
from vqi_pipelines.ir.values import to_text

# What the placeholders of a run are on Argo: the workflow's name and id are unique, and its name is shown.
OF_RUN = {
    **dict.fromkeys(JOB_NAMES, "{{workflow.name}}"),
    JOB_ID: "{{workflow.uid}}",
    JOB_TIME: "{{workflow.creationTimestamp.RFC3339}}",
}
_REFERENCE = re.compile(r"\{\{\$\.(?:inputs\.parameters\['([^']+)'\]|(\w+))\}\}")
_MARK = "\0"  # in no YAML
# An item that may be part of an artifact's key as it is; any other is replaced by its digest, after a character with
# which no plain item begins.
_PLAIN_ITEM = r"[A-Za-z0-9][A-Za-z0-9._ -]{0,99}"
ITEM_FOLDER = f"{{{{=item matches '^{_PLAIN_ITEM}$' ? item : '_' + sprig.sha256sum(item)}}}}"


@dataclass(frozen=True)
class GraphScope:
    """What the arguments of a graph's tasks may refer to."""

    place: str  # in the IR
    is_root: bool
    labels: Mapping[str, str]  # of the tasks, by their names in the IR
    collected: Mapping[tuple[str, str], str]  # (loop, output) -> type of the collected values


def literal(text: str, place: str) -> str:
    """A text that Argo leaves unchanged.

    Raises:
        VqiError: It contains ``{{``, which begins a reference and cannot be escaped.
    """
    if "{{" in text:
        shown = " ".join(text[max(0, text.index("{{") - 20) :][:80].split())
        raise VqiError(f"{place}: '{shown}' contains '{{{{', which Argo would fill in")
    return text


def unexpanded(text: str, before: str = "") -> str:
    """A text that Kubernetes leaves unchanged in a container's command, arguments and environment.

    It replaces ``$(NAME)`` there, and ``$$`` by ``$``. What follows at the end of a text, or as a reference, is not
    known: ``before`` is a character that stands for one.
    """
    return re.sub(rf"\$(?=[$({before}]|\Z)", "$$", text)


def input_parameter(name: str, is_root: bool = False) -> str:
    """A reference to an input of a graph or step; the inputs of the root are the workflow's."""
    return f"{{{{{'workflow' if is_root else 'inputs'}.parameters.{name}}}}}"


def parameter_text(source: Source, scope: GraphScope, task: Task, place: str, *, to_step: bool = False) -> str:
    """The argument that stands for the source of a task's parameter.

    Args:
        source: Of the parameter.
        scope: Of the graph.
        task: Whose parameter it is.
        place: Place in the IR.
        to_step: Whether a container takes it, on whose command line Kubernetes replaces ``$(NAME)``. What comes from
            elsewhere is not known here and stays as it is: it may go through conditions and keys of artifacts.

    Raises:
        VqiError: The value cannot be written in Argo.
    """
    if isinstance(source, FromInput):
        return input_parameter(source.name, scope.is_root)
    if isinstance(source, FromTask):
        return _task_output(source, scope)
    if not has_placeholders(source.value):
        text = literal(to_text(source.value), place)
        return unexpanded(text) if to_step else text
    if names_in(source.value, place) and not isinstance(source.value, str):
        raise VqiError(
            f"{place}: inputs inside a list or a mapping are not supported on Argo: {str(source.value)[:200]!r}"
        )
    return _filled(to_text(source.value), scope, task, place, to_step)


def _filled(text: str, scope: GraphScope, task: Task, place: str, to_step: bool) -> str:
    """A constant with references in place of what it names."""
    of_run = {**OF_RUN, TASK_NAME: task.name}
    if to_step:
        text = unexpanded(_REFERENCE.sub(lambda match: f"{_MARK}{match[0]}", text), _MARK).replace(_MARK, "")
    parts = _REFERENCE.split(text)  # text, input, name of the run, text, ...
    filled = [literal(parts[0], place)]
    for name, run, rest in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        value = parameter_text(task.parameters[name], scope, task, place, to_step=to_step) if name else of_run[run]
        filled.append(value)
        filled.append(literal(rest, place))
    return "".join(filled)


def _task_output(source: FromTask, scope: GraphScope) -> str:
    if (source.task, source.output) in scope.collected:
        return f"{{{{={collected_expression(source, scope)}}}}}"
    return f"{{{{tasks.{scope.labels[source.task]}.outputs.parameters.{source.output}}}}}"


def collected_expression(source: FromTask, scope: GraphScope) -> str:
    """The list that a loop collects, each element in its type.

    Argo converts the texts to JSON: objects and lists if all of them look like it, otherwise texts, even for numbers.
    """
    whole = f"tasks['{scope.labels[source.task]}'].outputs.parameters['{source.output}']"
    kind = scope.collected[source.task, source.output]
    if kind == "STRING":
        return f"toJson(map(fromJSON({whole}), {{type(#) == 'string' ? # : toJson(#)}}))"
    if kind in ("LIST", "STRUCT"):
        return whole
    return f"toJson(map(fromJSON({whole}), {{fromJSON(#)}}))"


def artifact_text(source: ArtifactSource, scope: GraphScope) -> str:
    """The ``from`` of an artifact."""
    if isinstance(source, FromInput):
        return f"{{{{inputs.artifacts.{source.name}}}}}"
    return f"{{{{tasks.{scope.labels[source.task]}.outputs.artifacts.{source.output}}}}}"


def collected_types(pipeline: Pipeline, tasks: Mapping[str, Task]) -> dict[tuple[str, str], str]:
    """For each output of the loops among the tasks, the type of one iteration's output."""
    found = {}
    for task in tasks.values():
        dag = pipeline.components[task.component].dag
        if task.loop and dag:
            for name, (source, *_) in dag.outputs.items():
                producer = dag.tasks[source.task]
                declared = pipeline.components[producer.component].outputs[source.output].type
                found[task.name, name] = "LIST" if producer.loop else declared
    return found


def json_value(name: str, kind: str) -> str:
    """An input parameter as JSON inside a larger JSON text."""
    return f"{{{{=toJson(inputs.parameters['{name}'])}}}}" if kind == "STRING" else input_parameter(name)


def constant_items(source: FromConstant, place: str) -> list[Any]:
    """The items of a loop over constants.

    Raises:
        VqiError: An item contains ``{{``.
    """
    for index, item in enumerate(source.value):
        literal(item if isinstance(item, str) else json.dumps(item), f"{place}[{index}]")
    return list(source.value)
