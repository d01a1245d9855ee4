"""Typed records: what travels between steps as JSON or in the header of a file. Frozen; unknown keys are refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from vqi import strict_json
from vqi.errors import VqiError
from vqi.redaction import redacted_value

_LONGEST = 80  # characters of a value in an error


class Record(BaseModel):
    """What all records share. Numbers are finite: NaN and infinity are refused when read and when made."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)


AnyRecord = TypeVar("AnyRecord", bound=Record)


def parse(model: type[AnyRecord], content: Any, place: str, again: str) -> AnyRecord:
    """A record from JSON values.

    Args:
        model: The record.
        content: JSON values.
        place: Where they are, for the error: a file or an address.
        again: What to do where they do not fit, such as "run evaluate again".

    Raises:
        VqiError: A key is missing, unknown, or of another type.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise VqiError(f"{place}: {_first(error)}; {again}") from error


def parse_json(model: type[AnyRecord], text: str | bytes, place: str, again: str) -> AnyRecord:
    """A record from JSON text, which is read strictly; see ``parse``."""
    try:
        strict_json.loads(text)
        return model.model_validate_json(text)
    except ValidationError as error:
        raise VqiError(f"{place}: {_first(error)}; {again}") from error
    except ValueError as error:
        raise VqiError(f"{place}: Invalid JSON: {error}; {again}") from error


def _first(error: ValidationError) -> str:
    """The most informative problem: where the format is another one, all other problems follow from that."""
    found = problems(error)
    return next((text for text in found if text.startswith("format: ")), found[0])


def describe(error: ValidationError) -> str:
    """A pydantic error as one line."""
    return "; ".join(problems(error))


def problems(error: ValidationError, names: Mapping[str, str] | None = None) -> list[str]:
    """What does not fit, a text for each: its name, what was expected, what was got.

    Args:
        error: Of a model.
        names: The names under which the user gave the fields, where they differ.
    """
    found = []
    for problem in error.errors(include_url=False):
        first, *others = [str(part) for part in problem["loc"]] or [""]
        name = ".".join([(names or {}).get(first, first), *others])
        message = problem["msg"].removeprefix("Value error, ")
        got = "" if problem["type"] in ("missing", "value_error") else f", got {_short(problem['input'])}"
        found.append(f"{name}: {message}{got}" if name else f"{message}{got}")
    return found


def _short(value: object) -> str:
    return cut(repr(redacted_value(value)))


def cut(text: str) -> str:
    """A text that somebody gave, at a length that an error can show."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
