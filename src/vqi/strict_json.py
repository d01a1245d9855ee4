"""JSON text from files and services, read strictly: what two readers could take for two things is refused.

Python's reader takes ``NaN`` and ``Infinity``, the last of several equal keys, numbers that overflow, and half of a
surrogate pair, which no file takes again.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

MOST_BYTES = 64 << 20  # of one text
MOST_DEPTH = 64  # lists and objects within each other
MOST_WHOLE = 2**63 - 1  # of a whole number, either sign
_LONGEST = 40  # characters of a number in an error


def loads(text: str | bytes) -> Any:
    """The JSON value in a text; bytes are UTF-8.

    Raises:
        ValueError: It is not JSON, repeats a key, holds a number that is none or too large, or is too long or too deep.
    """
    if len(text) > MOST_BYTES:
        raise ValueError(f"{len(text):,} bytes of JSON, at most {MOST_BYTES:,} are read")
    try:
        value = json.loads(
            text.decode("utf-8") if isinstance(text, bytes) else text,
            object_pairs_hook=_object,
            parse_constant=_no_number,
            parse_float=_finite,
            parse_int=_whole,
        )
    except RecursionError:
        raise _too_deep() from None
    check_nesting(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the key {_short(name)!r} stands twice")
        found[name] = value
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {_short(text)} is too large")
    return value


def _whole(text: str) -> int:
    if len(text) > len(f"-{MOST_WHOLE}") or abs(int(text)) > MOST_WHOLE:
        raise ValueError(f"the number {_short(text)} is too large")
    return int(text)


def check_nesting(value: Any) -> None:
    """Refuse what is too deep, and text that is not Unicode; level by level, since recursion has its own limit.

    Raises:
        ValueError: It is either of them.
    """
    level, depth = [value], 0
    while level:
        if depth == MOST_DEPTH and any(isinstance(one, dict | list) for one in level):
            raise _too_deep()
        below: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                below += one.keys()
                below += one.values()
            elif isinstance(one, list):
                below += one
            elif isinstance(one, str):
                one.encode("utf-8")  # UnicodeEncodeError is a ValueError
        level, depth = below, depth + 1


def _too_deep() -> ValueError:
    return ValueError(f"lists and objects more than {MOST_DEPTH} deep")


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
