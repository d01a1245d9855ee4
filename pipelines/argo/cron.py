"""A schedule for a WorkflowTemplate: CronWorkflow."""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hera.workflows import models

from vqi.errors import VqiError, unknown
from vqi_pipelines.argo.arguments import literal
from vqi_pipelines.argo.cron_lines import check_cron_line
from vqi_pipelines.argo.names import dns_label
from vqi_pipelines.argo.workflow import API_VERSION
from vqi_pipelines.ir.graph import Pipeline
from vqi_pipelines.ir.values import as_given, to_text

_MOST_CHARACTERS = 52  # Argo appends the time of a run


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
    lines = [check_cron_line(line, f"schedules[{index}]") for index, line in enumerate(schedule.schedules)]
    check_timezone(schedule.timezone)
    return models.CronWorkflow(
        api_version=API_VERSION,
        kind="CronWorkflow",
        metadata=models.ObjectMeta(name=dns_label(schedule.name, "schedule", _MOST_CHARACTERS)),
        spec=models.CronWorkflowSpec(
            schedules=lines,
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
        text = to_text(as_given(value, pipeline.inputs[name].type, place))
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
