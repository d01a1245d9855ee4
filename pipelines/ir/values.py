"""Parameter values by type: as the IR writes them, as a command line gives them, as a step receives and writes them."""

from __future__ import annotations

import json
import math
from typing import Any, Final

from vqi import strict_json
from vqi.errors import VqiError
from vqi.records import cut

KINDS = {
    "NUMBER_INTEGER": "a whole number",
    "NUMBER_DOUBLE": "a number",
    "STRING": "a text",
    "BOOLEAN": "true or false",
    "LIST": "a list",
    "STRUCT": "a mapping",
}
_FORMS = {"LIST": """, such as '["a", "b"]' or a,b"""}  # how it is written on a command line
_PYTHON = {"STRING": str, "BOOLEAN": bool, "LIST": list, "STRUCT": dict}
# The format's numbers are floats: above this one, several whole numbers are the same float.
MOST_WHOLE: Final = 2**53 - 1
_HOLD_WHOLE = ("NUMBER_INTEGER", "LIST", "STRUCT")


def from_ir(value: Any, kind: str, place: str) -> Any:
    """A constant of the IR, which writes all numbers as floats, checked against its type.

    Whole numbers are whole again, also inside lists and mappings, as Kubeflow gives them to a step.

    Raises:
        VqiError: It does not fit, or a whole number is beyond 2^53, of which the IR does not hold all digits.
    """
    return typed(whole_numbers(value, place) if kind in _HOLD_WHOLE else value, kind, place)


def as_given(value: Any, kind: str, place: str) -> Any:
    """A value that a person gives, as a text or in a parameter file, checked against its type.

    Raises:
        VqiError: It does not fit, or a whole number is beyond 2^53: Kubeflow would get another one.
    """
    made = from_text(value, kind, place) if isinstance(value, str) else typed(value, kind, place)
    if kind in _HOLD_WHOLE:
        whole_numbers(made, place)
    return made


def whole_numbers(value: Any, place: str) -> Any:
    """A value of the IR with its whole numbers as such; see ``from_ir``."""
    if isinstance(value, dict):
        return {key: whole_numbers(part, f"{place}.{key}") for key, part in value.items()}
    if isinstance(value, list):
        return [whole_numbers(part, f"{place}[{number}]") for number, part in enumerate(value)]
    if not isinstance(value, int | float) or isinstance(value, bool) or value % 1:
        return value
    if abs(value) > MOST_WHOLE:
        raise VqiError(
            f"{place}: expected a whole number below 2^53, got {str(value)[:30]}: kfp's format does not hold all "
            "digits of a larger one: give it as a text"
        )
    return int(value)


def typed(value: Any, kind: str, place: str) -> Any:
    """A value checked against its type; numbers get the type's form.

    Raises:
        VqiError: It does not fit.
    """
    if kind in _PYTHON:
        if isinstance(value, _PYTHON[kind]):
            return _standard(value, kind, place)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        if kind == "NUMBER_DOUBLE" and _is_finite(value):
            return float(value)
        if kind == "NUMBER_INTEGER" and (isinstance(value, int) or value.is_integer()):
            return int(value)
    raise VqiError(f"{place}: expected {KINDS[kind]}, got {cut(repr(value))}")


def _standard(value: Any, kind: str, place: str) -> Any:
    """A value that JSON can hold, and a command line.

    Raises:
        VqiError: NaN or infinity in it, too many levels, or a character that no command line can have.
    """
    if isinstance(value, str) and "\0" in value:
        raise VqiError(f"{place}: expected {KINDS[kind]} without a character of value 0, got {cut(repr(value))}")
    try:
        text = value if isinstance(value, str) else json.dumps(value, allow_nan=False, ensure_ascii=False)
        text.encode()
        if isinstance(value, (list, dict)):
            strict_json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise VqiError(f"{place}: expected {KINDS[kind]} of what JSON and UTF-8 can hold: {error}") from error
    return value


def _is_finite(value: float) -> bool:
    """Whether it is a number that JSON and a float can represent."""
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number too large for a float
        return False


def from_text(text: str, kind: str, place: str) -> Any:
    """A value from a command line; a list is JSON or ``a,b``.

    Raises:
        VqiError: It does not fit.
    """
    if kind == "STRING":
        return typed(text, kind, place)
    if kind == "LIST" and not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        value = (
            float(text) if kind == "NUMBER_DOUBLE" else strict_json.loads(text.lower() if kind == "BOOLEAN" else text)
        )
    except ValueError as error:
        why = "" if isinstance(error, json.JSONDecodeError) or kind == "NUMBER_DOUBLE" else f" ({error})"
        raise VqiError(f"{place}: expected {KINDS[kind]}{_FORMS.get(kind, '')}, got '{cut(text)}'{why}") from None
    return typed(value, kind, place)


def to_text(value: Any) -> str:
    """A value as a step receives it: lists and mappings as JSON, booleans in lower case."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def parse_output(text: str, kind: str, name: str) -> Any:
    """An output parameter as a step wrote it.

    Raises:
        VqiError: It is not of the declared type.
    """
    if kind == "STRING":
        return text
    place = f"output parameter '{name}'"
    try:
        value = strict_json.loads(text)
    except ValueError:
        raise VqiError(f"{place}: expected {KINDS[kind]} as JSON, got '{cut(text)}'") from None
    return typed(value, kind, place)
