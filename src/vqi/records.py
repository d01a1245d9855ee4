"""Typed records: what travels between steps as JSON or in the header of a file. Frozen; unknown keys are refused."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from vqi.errors import VqiError


class Record(BaseModel):
    """What all records share. Numbers are finite: NaN and infinity are refused when read and when made."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


AnyRecord = TypeVar("AnyRecord", bound=Record)


def parse(model: type[AnyRecord], content: Any, place: str, again: str) -> AnyRecord:
    """A record from JSON values.

    Args:
        model: The record.
        content: JSON values.
        place: Where they stand, for the error: a file or an address.
        again: What to do where they do not fit, as "run evaluate again".

    Raises:
        VqiError: A key is missing, unknown, or of another type.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise VqiError(f"{place}: {describe(error)}; {again}") from error


def parse_json(model: type[AnyRecord], text: str | bytes, place: str, again: str) -> AnyRecord:
    """A record from JSON text; see ``parse``."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise VqiError(f"{place}: {describe(error)}; {again}") from error


def describe(error: ValidationError) -> str:
    """A pydantic error as one line: each name, what was expected, what was got."""
    problems = []
    for problem in error.errors(include_url=False):
        name = ".".join(str(part) for part in problem["loc"]) or "parameters"
        message = problem["msg"].removeprefix("Value error, ")
        got = "" if problem["type"] in ("missing", "value_error") else f", got {problem['input']!r}"
        problems.append(f"{name}: {message}{got}")
    return "; ".join(problems)
