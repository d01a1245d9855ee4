"""A schedule for a WorkflowTemplate: CronWorkflow."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hera.workflows import models

from vqi.errors import VqiError, unknown
from vqi_pipelines.argo.arguments import literal
from vqi_pipelines.argo.names import dns_label
from vqi_pipelines.argo.workflow import API_VERSION
from vqi_pipelines.ir.graph import Pipeline
from vqi_pipelines.ir.values import from_text, to_text, typed

_MOST_CHARACTERS = 52  # Argo appends the time of a run
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
# The fields of a cron line: their names, their ranges, and names for the values.
_FIELDS: tuple[tuple[str, int, int, list[str]], ...] = (
    ("minute", 0, 59, []),
    ("hour", 0, 23, []),
    ("day of the month", 1, 31, []),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 6, _DAYS),
)
_SHORTHANDS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_ELEMENT = re.compile(r"(?:(?P<all>[*?])|(?P<low>\w+)(?:-(?P<high>\w+))?)(?:/(?P<step>\d+))?")


@dataclass(frozen=True)
class Schedule:
    """When a pipeline runs by itself, and with which parameters."""

    name: str
    schedules: Sequence[str]
    timezone: str = "Etc/UTC"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    suspended: bool = False
    starting_deadline_seconds: int = 600
    successful_kept: int = 3
    failed_kept: int = 3


def cron_workflow(pipeline: Pipeline, template: str, schedule: Schedule) -> models.CronWorkflow:
    """A CronWorkflow that runs a WorkflowTemplate; a run that is due while another one is running is skipped.

    Args:
        pipeline: The pipeline that the template was lowered from.
        template: Name of the WorkflowTemplate.
        schedule: When to run and with which parameters.

    Raises:
        VqiError: An invalid cron line, an unknown time zone or an unknown parameter.
    """
    if not schedule.schedules:
        raise VqiError("schedules: expected a cron line, got an empty list")
    for index, line in enumerate(schedule.schedules):
        check_cron_line(line, f"schedules[{index}]")
    check_timezone(schedule.timezone)
    return models.CronWorkflow(
        api_version=API_VERSION,
        kind="CronWorkflow",
        metadata=models.ObjectMeta(name=dns_label(schedule.name, "schedule", _MOST_CHARACTERS)),
        spec=models.CronWorkflowSpec(
            schedules=list(schedule.schedules),
            timezone=schedule.timezone,
            suspend=schedule.suspended,
            concurrency_policy="Forbid",
            starting_deadline_seconds=schedule.starting_deadline_seconds,
            successful_jobs_history_limit=schedule.successful_kept,
            failed_jobs_history_limit=schedule.failed_kept,
            workflow_spec=models.WorkflowSpec(
                workflow_template_ref=models.WorkflowTemplateRef(name=template),
                arguments=_arguments(pipeline, schedule.parameters),
            ),
        ),
    )


def _arguments(pipeline: Pipeline, given: Mapping[str, Any]) -> models.Arguments | None:
    """The parameters of the schedule, each checked against the pipeline's."""
    found = []
    for name, value in given.items():
        if name not in pipeline.inputs:
            raise unknown("parameter", name, pipeline.inputs)
        place = f"parameter '{name}'"
        convert = from_text if isinstance(value, str) else typed
        text = to_text(convert(value, pipeline.inputs[name].type, place))
        found.append(models.Parameter(name=name, value=literal(text, place)))
    for name, parameter in pipeline.inputs.items():
        if parameter.default is None and name not in given:
            raise VqiError(f"parameter '{name}' has no default: set it in the schedule")
    return models.Arguments(parameters=found) if found else None


def check_timezone(name: str) -> None:
    """Refuse an unknown time zone, which Argo would only notice when a run is due.

    Raises:
        VqiError: The IANA database does not have it.
    """
    known = zoneinfo.available_timezones()
    if name not in known:
        raise unknown("time zone", name, known) if name else VqiError("timezone: expected a name like 'Europe/Berlin'")


def check_cron_line(line: str, place: str) -> None:
    """Refuse a text that is neither a cron line of five fields, as Argo reads them, nor one of its shorthands.

    Raises:
        VqiError: Names the field that does not fit.
    """
    if line in _SHORTHANDS:
        return
    parts = line.split()
    if len(parts) != len(_FIELDS):
        raise VqiError(f"{place}: expected a cron line of five fields, such as '0 3 * * 1', got '{line}'")
    for text, (name, lowest, highest, names) in zip(parts, _FIELDS, strict=True):
        if not all(_fits(element, lowest, highest, names) for element in text.split(",")):
            raise VqiError(f"{place}: expected a {name} from {lowest} to {highest}, got '{text}' in '{line}'")


def _fits(element: str, lowest: int, highest: int, names: list[str]) -> bool:
    match = _ELEMENT.fullmatch(element)
    if match is None or match["step"] == "0":
        return False
    if match["all"]:
        return True
    ends = [_number(match[key], names, lowest) for key in ("low", "high") if match[key]]
    return all(number is not None and lowest <= number <= highest for number in ends) and ends == sorted(
        number for number in ends if number is not None
    )


def _number(text: str, names: list[str], lowest: int) -> int | None:
    if text.isdecimal() and text.isascii():
        return int(text)
    return names.index(text.lower()) + lowest if text.lower() in names else None
