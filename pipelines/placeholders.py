"""The placeholders of a container's command, filled in for one run of a step."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.values import to_text
from vqi.errors import VqiError

_PLACEHOLDER = re.compile(r"\{\{\$(.*?)\}\}")
_PATHS = {
    "input_artifacts": re.compile(r"\.inputs\.artifacts\['([^']+)'\]\.path"),
    "output_artifacts": re.compile(r"\.outputs\.artifacts\['([^']+)'\]\.path"),
    "output_parameters": re.compile(r"\.outputs\.parameters\['([^']+)'\]\.output_file"),
}
_PARAMETER = re.compile(r"\.inputs\.parameters\['([^']+)'\]")


@dataclass(frozen=True)
class StepValues:
    """What the placeholders of a step stand for."""

    parameters: Mapping[str, Any]
    input_artifacts: Mapping[str, str]  # paths
    output_artifacts: Mapping[str, str]
    output_parameters: Mapping[str, str]
    executor_input: str | None  # JSON


def resolve(part: str, values: StepValues) -> list[str]:
    """One element of a command with its placeholders filled in, each once; an ``IfPresent`` may give none or several.

    Raises:
        VqiError: A placeholder that is not known, or that names what the step does not have.
    """
    structure = _structure(part)
    if structure is None:
        return [_PLACEHOLDER.sub(lambda match: _lookup(match[1], values), part)]
    if "Concat" in structure:
        return ["".join(text for element in structure["Concat"] for text in resolve(_as_text(element), values))]
    condition = structure["IfPresent"]
    present = values.parameters.get(condition["InputName"]) is not None or (
        condition["InputName"] in values.input_artifacts
    )
    chosen = condition["Then"] if present else condition.get("Else", [])
    elements = chosen if isinstance(chosen, list) else [chosen]
    return [text for element in elements for text in resolve(_as_text(element), values)]


def _structure(part: str) -> dict[str, Any] | None:
    """The JSON of a ``Concat`` or ``IfPresent``; None for anything else."""
    if not part.startswith(('{"Concat"', '{"IfPresent"')):
        return None
    structure: dict[str, Any] = json.loads(part)
    return structure


def _as_text(element: Any) -> str:
    return element if isinstance(element, str) else json.dumps(element)


def _lookup(inside: str, values: StepValues) -> str:
    """What stands between ``{{$`` and ``}}``."""
    if inside == "" and values.executor_input is not None:
        return values.executor_input
    if match := _PARAMETER.fullmatch(inside):
        return to_text(_get(values.parameters, match[1], inside))
    for name, pattern in _PATHS.items():
        if match := pattern.fullmatch(inside):
            return str(_get(getattr(values, name), match[1], inside))
    raise VqiError(f"the placeholder '{{{{${inside}}}}}' is not supported")


def _get(known: Mapping[str, Any], name: str, inside: str) -> Any:
    if name not in known:
        raise VqiError(f"the placeholder '{{{{${inside}}}}}' names '{name}', which the step is not given")
    return known[name]
