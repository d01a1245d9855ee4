"""The text of a compiled pipeline as documents that JSON could hold: what kfp writes, and nothing that YAML adds."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import yaml

from vqi.errors import VqiError
from vqi_pipelines.ir.node import StrictLoader

_BAD = re.compile("[\0\ud800-\udfff]")
MOST_LEVELS = 100  # kfp's own files have about twenty
MOST_VALUES = 500_000  # the training pipeline has 2,300
# The pipelines of kfp's own tests stay below 1 MB.
MOST_BYTES = 32 * 2**20


def load_documents(text: str) -> list[Any]:
    """The YAML documents of a compiled pipeline, without empty ones.

    Raises:
        VqiError: It is not YAML, or holds what JSON cannot: other keys than texts, NaN, characters that no command line
            can have; or too many values or levels.
    """
    if len(text) > MOST_BYTES:
        raise VqiError(f"the compiled pipeline: expected at most {MOST_BYTES >> 20} MiB, got {len(text) >> 20} MiB")
    try:
        documents = [document for document in yaml.load_all(text, StrictLoader) if document]
    except (yaml.YAMLError, ValueError) as error:  # ValueError: such as a number of 5,000 digits
        raise VqiError(f"the compiled pipeline is not YAML: {' '.join(str(error).split())[:300]}") from error
    except RecursionError as error:
        raise VqiError(f"the compiled pipeline: more than {MOST_LEVELS} levels") from error
    check_json(documents, "")
    return documents


def load_json(text: str, place: str) -> Any:
    """A text of the compiled pipeline that is JSON.

    Raises:
        VqiError: It is not, or has too many levels.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise VqiError(f"{place}: expected JSON, got '{text[:200]}'") from error
    check_json(value, place)
    return value


def check_json(value: Any, place: str) -> None:
    """Check that a value is what JSON can hold, how many values are in it, and how deep it is.

    Raises:
        VqiError: It is not; with the place.
    """
    count = 0
    waiting: list[tuple[Any, str, int]] = [(value, place, 0)]
    while waiting:
        part, where, level = waiting.pop()
        count += 1
        if count > MOST_VALUES:  # YAML's aliases are unfolded: a few lines may stand for billions of values
            raise VqiError(f"{where[:100]}...: more than {MOST_VALUES} values")
        if not isinstance(part, dict | list):
            _check_plain(part, where)
            continue
        if level > MOST_LEVELS:
            raise VqiError(f"{where[:100]}...: more than {MOST_LEVELS} levels")
        waiting += [(inner, below, level + 1) for below, inner in _inside(part, where)]


def _inside(whole: dict[Any, Any] | list[Any], place: str) -> Iterator[tuple[str, Any]]:
    """The parts of a mapping or list with their places; that of the documents is empty, and so are theirs."""
    if isinstance(whole, list):
        yield from ((f"{place}[{number}]" if place else "", part) for number, part in enumerate(whole))
        return
    for key, part in whole.items():
        if not isinstance(key, str):
            raise VqiError(f"{place or 'pipeline'}: expected texts as keys, got {key!r}")
        _check_plain(key, place)
        yield f"{place}.{key}" if place else key, part


def _check_plain(value: Any, place: str) -> None:
    """No command line can have a NUL, no file half of a character of two (a surrogate), and JSON no NaN or date."""
    if isinstance(value, str):
        if _BAD.search(value):
            raise VqiError(f"{place}: expected a text, got a character that no command line can have: {value[:50]!r}")
    elif isinstance(value, float) and not math.isfinite(value):
        raise VqiError(f"{place}: expected a number that JSON has, got {value}")
    elif not isinstance(value, bool | int | float | None):
        raise VqiError(f"{place}: expected a text, number, list or mapping, got {type(value).__name__} {value!r}")
