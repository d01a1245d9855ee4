"""JSON as the standard has it: no NaN, no infinity, no key twice, and no deeper than a person writes."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

DEEPEST = 50  # levels of lists and mappings


def from_json(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: It is not one, and why, in a few words.
    """
    try:
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_unique)
    except RecursionError:
        raise ValueError(f"more than {DEEPEST} levels") from None
    check_depth(value)
    return value


def check_depth(value: Any, left: int = DEEPEST) -> None:
    """Refuse a value of too many levels, before something that calls itself walks it.

    Raises:
        ValueError: It has more than ``DEEPEST``.
    """
    if not left:
        raise ValueError(f"more than {DEEPEST} levels")
    if isinstance(value, (list, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            check_depth(part, left - 1)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number that can be computed with")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key '{key}' is there twice")
        found[key] = value
    return found
