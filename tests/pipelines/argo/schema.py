"""A strict JSON schema of Argo's objects, from hera's models: a key that they do not know is an error."""

from __future__ import annotations

from functools import cache
from typing import Any

from hera.workflows import models
from jsonschema import Draft202012Validator

KINDS = {"WorkflowTemplate": models.WorkflowTemplate, "CronWorkflow": models.CronWorkflow}


def problems(document: dict[str, Any]) -> list[str]:
    """What does not fit, each with its place."""
    found = validator(document["kind"]).iter_errors(document)
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in found]


@cache
def validator(kind: str) -> Draft202012Validator:
    return Draft202012Validator(closed(KINDS[kind].model_json_schema(by_alias=True)))


def closed(schema: Any) -> Any:
    """The schema with ``additionalProperties: false`` in every object that lists its keys."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    inside = {key: closed(part) for key, part in schema.items()}
    return {**inside, "additionalProperties": False} if "properties" in schema else inside
