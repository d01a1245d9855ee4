"""The placeholders of a container's command, filled in for one run of a step."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from vqi.errors import VqiError
from vqi_pipelines.ir.documents import load_json
from vqi_pipelines.ir.values import to_text

CHANNEL = "pipelinechannel--"  # begins the name of an input that only other inputs' values refer to
_PLACEHOLDER = re.compile(r"\{\{\$(.*?)\}\}")
_PATHS = {
    "input_artifacts": re.compile(r"\.inputs\.artifacts\['([^']+)'\]\.path"),
    "output_artifacts": re.compile(r"\.outputs\.artifacts\['([^']+)'\]\.path"),
    "output_parameters": re.compile(r"\.outputs\.parameters\['([^']+)'\]\.output_file"),
}
# kfp's PIPELINE_JOB_NAME, _RESOURCE_NAME and _ID, PIPELINE_JOB_CREATE_TIME_UTC, PIPELINE_TASK_NAME.
JOB_ID = "pipeline_job_uuid"
JOB_NAMES = ("pipeline_job_name", "pipeline_job_resource_name", JOB_ID)
JOB_TIME = "pipeline_job_create_time_utc"
TASK_NAME = "pipeline_task_name"
_OF_RUN = re.compile(rf"\.({'|'.join((*JOB_NAMES, JOB_TIME, TASK_NAME))})")
_PARAMETER = re.compile(r"\.inputs\.parameters\['([^']+)'\]")
_STRUCTURES = {"Concat": ({"Concat"}, {"Concat"}), "IfPresent": ({"InputName", "Then"}, {"InputName", "Then", "Else"})}


@dataclass(frozen=True)
class StepValues:
    """The values of a step's placeholders."""

    parameters: Mapping[str, Any]
    input_artifacts: Mapping[str, str]  # paths
    output_artifacts: Mapping[str, str]
    output_parameters: Mapping[str, str]
    executor_input: str | None  # JSON
    run: Mapping[str, str] = field(default_factory=dict)  # of the run and the task; see ``JOB_NAMES``


def of_run(run: str, uid: str, started_at: str, task: str) -> dict[str, str]:
    """The values of a run's placeholders where a run has one name, for a task; ``uid`` is no other run's anywhere."""
    return {**dict.fromkeys(JOB_NAMES, run), JOB_ID: uid, JOB_TIME: started_at, TASK_NAME: task}


def executor_input(
    values: StepValues, schemas: Mapping[str, str], input_schemas: Mapping[str, str], output_file: str
) -> str:
    """The value of ``{{$}}``: all of a step's inputs and outputs as JSON.

    Args:
        values: Its parameters and paths.
        schemas: Schemas of the output artifacts, such as ``system.HTML``.
        input_schemas: Schemas of the input artifacts.
        output_file: Where the step may write its ExecutorOutput.

    Source: ``ExecutorInput`` in pipeline_spec.proto.
    """
    inputs = {
        "parameterValues": dict(values.parameters),
        "artifacts": _artifacts(values.input_artifacts, input_schemas),
    }
    outputs = {
        "parameters": {name: {"outputFile": path} for name, path in values.output_parameters.items()},
        "artifacts": _artifacts(values.output_artifacts, schemas),
        "outputFile": output_file,
    }
    return json.dumps({"inputs": inputs, "outputs": outputs}, ensure_ascii=False)


def _artifacts(paths: Mapping[str, str], schemas: Mapping[str, str]) -> dict[str, Any]:
    return {
        name: {"artifacts": [{"name": name, "type": {"schemaTitle": schemas[name]}, "uri": path, "metadata": {}}]}
        for name, path in paths.items()
    }


def check_template(
    part: str,
    parameters: Container[str],
    input_artifacts: Container[str],
    output_artifacts: Container[str],
    output_parameters: Container[str],
) -> None:
    """Check one element of a command against the inputs and outputs that its placeholders may name.

    Raises:
        VqiError: An unknown placeholder, or one that names what the component does not have.
    """
    known = {
        "input_artifacts": input_artifacts,
        "output_artifacts": output_artifacts,
        "output_parameters": output_parameters,
    }
    for text in _texts(part, parameters, input_artifacts):
        for inside in _PLACEHOLDER.findall(text):
            if inside == "":
                continue
            kind, name = _named(inside)
            if kind != "run" and name not in known.get(kind, parameters):
                raise VqiError(f"the placeholder '{{{{${inside}}}}}' names '{name}', which the component does not have")


def _texts(part: str, parameters: Container[str], artifacts: Container[str]) -> list[str]:
    """All texts of an element, including those inside ``Concat`` and ``IfPresent``."""
    structure = _structure(part)
    if structure is None:
        return [part]
    if "Concat" in structure:
        elements = structure["Concat"]
    else:
        name = structure["InputName"]
        if name not in parameters and name not in artifacts:
            raise VqiError(f"IfPresent names '{name}', which the component does not have")
        elements = [*_as_list(structure["Then"]), *_as_list(structure.get("Else", []))]
    return [text for element in elements for text in _texts(_as_text(element), parameters, artifacts)]


def resolve(part: str, values: StepValues) -> list[str]:
    """One element of a command with its placeholders filled in, each once; an ``IfPresent`` may yield none or several.

    Raises:
        VqiError: An unknown placeholder, or one that names what the step does not have.
    """
    structure = _structure(part)
    if structure is None:
        return [_filled(part, values)]
    if "Concat" in structure:
        return ["".join(text for element in structure["Concat"] for text in resolve(_as_text(element), values))]
    name = structure["InputName"]
    present = values.parameters.get(name) is not None or name in values.input_artifacts
    elements = _as_list(structure["Then"] if present else structure.get("Else", []))
    return [text for element in elements for text in resolve(_as_text(element), values)]


def _filled(text: str, values: StepValues) -> str:
    return _PLACEHOLDER.sub(lambda match: _lookup(match[1], values), text)


def names_in(value: Any, place: str) -> list[str]:
    """The inputs that a constant's placeholders name (kfp compiles an f-string to such a constant).

    Raises:
        VqiError: A placeholder of another kind.
    """
    if isinstance(value, dict):
        return [name for part in value.values() for name in names_in(part, place)]
    if isinstance(value, list):
        return [name for part in value for name in names_in(part, place)]
    found = []
    for inside in _PLACEHOLDER.findall(value) if isinstance(value, str) else []:
        match = _PARAMETER.fullmatch(inside)
        if match:
            found.append(match[1])
        elif not _OF_RUN.fullmatch(inside):
            raise VqiError(f"{place}: the placeholder '{{{{${inside}}}}}' is not supported")
    return found


def has_placeholders(value: Any) -> bool:
    """Whether a constant is to be filled in."""
    if isinstance(value, dict | list):
        return any(map(has_placeholders, value.values() if isinstance(value, dict) else value))
    return isinstance(value, str) and _PLACEHOLDER.search(value) is not None


def fill_run(value: Any, run: Mapping[str, str]) -> Any:
    """A constant with the placeholders of the run and the task filled in."""
    if isinstance(value, dict):
        return {key: fill_run(part, run) for key, part in value.items()}
    if isinstance(value, list):
        return [fill_run(part, run) for part in value]
    if not isinstance(value, str):
        return value
    return _PLACEHOLDER.sub(lambda match: run.get(match[1].removeprefix("."), match[0]), value)


def fill_constant(value: Any, parameters: Mapping[str, Any]) -> Any:
    """A constant with its placeholders filled in; one that consists only of a placeholder keeps the value's type."""
    if isinstance(value, dict):
        return {key: fill_constant(part, parameters) for key, part in value.items()}
    if isinstance(value, list):
        return [fill_constant(part, parameters) for part in value]
    if not isinstance(value, str):
        return value
    whole = _PLACEHOLDER.fullmatch(value)
    if whole and (match := _PARAMETER.fullmatch(whole[1])):
        return _get(parameters, match[1], whole[1])
    return _filled(value, StepValues(parameters, {}, {}, {}, None))


def _structure(part: str) -> dict[str, Any] | None:
    """The JSON of a ``Concat`` or ``IfPresent``; None for anything else."""
    if not part.startswith(('{"Concat"', '{"IfPresent"')):
        return None
    whole = load_json(part, "Concat or IfPresent")
    kind = next(iter(whole))
    structure = whole if kind == "Concat" else whole["IfPresent"]
    needed, allowed = _STRUCTURES[kind]
    fits = len(whole) == 1 and isinstance(structure, dict) and needed <= structure.keys() <= allowed
    if not fits or not isinstance(structure.get("Concat", []), list):
        raise VqiError(f"expected a Concat or IfPresent with {sorted(needed)}, got '{part[:200]}'")
    return dict(structure)


def _as_text(element: Any) -> str:
    return element if isinstance(element, str) else json.dumps(element)


def _as_list(element: Any) -> list[Any]:
    return element if isinstance(element, list) else [element]


def _named(inside: str) -> tuple[str, str]:
    """The kind of a placeholder and the name in it."""
    if match := _PARAMETER.fullmatch(inside):
        return "parameters", match[1]
    if match := _OF_RUN.fullmatch(inside):
        return "run", match[1]
    for kind, pattern in _PATHS.items():
        if match := pattern.fullmatch(inside):
            return kind, match[1]
    raise VqiError(f"the placeholder '{{{{${inside}}}}}' is not supported")


def _lookup(inside: str, values: StepValues) -> str:
    """The text between ``{{$`` and ``}}``."""
    if inside == "" and values.executor_input is not None:
        return values.executor_input
    kind, name = _named(inside)
    if kind == "run" and name not in values.run:
        raise VqiError(
            f"the placeholder '{{{{${inside}}}}}' is not supported in a container, whose template several tasks "
            "share: give it as an argument, step(name=dsl.PIPELINE_TASK_NAME_PLACEHOLDER)"
        )
    return to_text(_get(getattr(values, kind), name, inside))


def _get(known: Mapping[str, Any], name: str, inside: str) -> Any:
    if name not in known:
        raise VqiError(f"the placeholder '{{{{${inside}}}}}' names '{name}', which the step is not given")
    return known[name]
