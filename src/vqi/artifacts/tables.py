"""CSV tables between steps: written with every name as it is, read strictly."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from vqi import strict_json
from vqi.artifacts.files import atomic_path
from vqi.errors import VqiError
from vqi.system.files import read_regular
from vqi.system.os_errors import reason

Row = TypeVar("Row")

_NUMBER = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?(e[+-]?[0-9]{1,3})?")  # as repr() writes it


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table, whole or not at all; texts are in quotes, because a name may hold a CR."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        table.writerow(columns)
        table.writerows(rows)


def read_table(
    path: Path, columns: Sequence[str], row_of: Callable[[dict[str, str]], Row], what: str, again: str
) -> list[Row]:
    """Read a table of exactly these columns.

    Args:
        path: The file.
        columns: Their names, in order.
        row_of: Makes a row of its texts; ValueError says what does not fit.
        what: The name of the table, for the error: "a training log".
        again: What to do where it is damaged.

    Raises:
        VqiError: The file is missing, is not such a table, or a row of it does not fit.
    """
    place = ""
    try:
        text = read_regular(path, strict_json.MOST_BYTES).decode("utf-8")
        lines = csv.reader(_lines(text), strict=True)
        if (found := next(lines, [])) != list(columns):
            raise ValueError(f"columns {', '.join(found)[:100] or 'none'} instead of {', '.join(columns)}")
        rows = []
        for number, line in enumerate(lines):
            place = f"row {number}: "
            if len(line) != len(columns):
                raise ValueError(f"{len(line)} fields instead of {len(columns)}")
            rows.append(row_of(dict(zip(columns, line, strict=True))))
    except (OSError, ValueError, csv.Error) as error:
        raise VqiError(f"{path}: expected {what}, got: {place}{reason(error)}; {again}") from error
    return rows


def whole(text: str, least: int = 0) -> int:
    """A whole number of at least ``least``, in digits.

    Raises:
        ValueError: It is none.
    """
    if not (text.isascii() and text.isdecimal() and len(text) < 19 and int(text) >= least):
        raise ValueError(f"expected a whole number of at least {least}, got {text[:40]!r}")
    return int(text)


def finite(text: str) -> float:
    """A finite number.

    Raises:
        ValueError: It is none.
    """
    if not _NUMBER.fullmatch(text) or not math.isfinite(value := float(text)):
        raise ValueError(f"expected a finite number, got {text[:40]!r}")
    return value


def one_of(text: str, known: Sequence[str]) -> str:
    """One of some texts.

    Raises:
        ValueError: It is another one.
    """
    if text not in known:
        raise ValueError(f"expected {' or '.join(map(repr, known))}, got {text[:40]!r}")
    return text


def _lines(text: str) -> Iterable[str]:
    """The lines with their ends; csv puts those together that a name with a line end takes."""
    begin = 0
    while begin < len(text):
        end = text.find("\n", begin) + 1 or len(text)
        yield text[begin:end]
        begin = end
