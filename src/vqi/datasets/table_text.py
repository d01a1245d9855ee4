"""A table of images as people and programs write it -> its columns and lines.

Columns have other usual names, too (``COLUMNS``); those that are not known are left out and named. Commas, semicolons,
tabs or bars between columns; UTF-8, or UTF-16 with its mark; a column of line numbers, named or not, is left out.
"""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from vqi.datasets.layout import is_image_name
from vqi.errors import VqiError
from vqi.progress import message

# column -> its other usual names, all in lower case with '_' between words
COLUMNS = {
    "path": ("image_path", "image", "img", "img_path", "image_file", "file", "file_path", "filepath", "filename",
             "file_name", "image_name", "imagepath", "photo", "photograph", "bild", "datei", "dateiname"),
    "label": ("class", "class_name", "target", "y", "status", "result", "verdict", "quality", "ok_nok", "ok_ng"),
    "defect_type": ("defect", "defect_class", "defect_name", "anomaly_type", "fault", "fault_type"),
    "split": ("subset", "set", "partition"),
    "mask": ("mask_path", "mask_file", "ground_truth", "gt", "gt_path", "maskpath"),
    "category": ("object",),
    "group": ("groups", "group_id"),
}  # fmt: skip
# Columns of yes or no, and what yes means.
FLAGS: dict[str, Literal["good", "defective"]] = {
    **dict.fromkeys(("is_anomaly", "is_anomalous", "anomaly", "anomalous", "is_defect", "is_defective", "defective",
                     "bad", "is_bad", "ng", "nok"), "defective"),
    **dict.fromkeys(("is_good", "good", "ok", "is_ok", "normal", "is_normal", "passed"), "good"),
}  # fmt: skip
SEPARATORS = (",", ";", "\t", "|")
NUMBERS = ("", "id", "index")  # columns that everybody has and that mean nothing
MISSPELT = 0.75  # how near a column is to one that is missing, to be taken for it
NAMED = 10  # columns in a message


class Table(NamedTuple):
    """The text of a table in columns."""

    columns: dict[str, int]  # of ``COLUMNS`` or ``FLAGS`` -> its number
    lines: list[tuple[int, list[str]]]  # number in the file, one value for each column


def parse_table(data: bytes, table: str) -> Table:
    """The lines of a table that is called ``table`` in errors.

    Raises:
        VqiError: a column is missing or misspelt, or a line has too many values.
        UnicodeDecodeError: or csv.Error: it is no table.
    """
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))  # "Unicode text" of a spreadsheet
    text = data.decode("utf-16" if wide else "utf-8-sig")
    first, _, rest = text.partition("\n")
    skipped = int(first.strip().lower() in {f"sep={separator}".strip() for separator in SEPARATORS})  # a spreadsheet's
    reader = csv.reader(io.StringIO(rest if skipped else text, newline=""), delimiter=_separator(text), strict=True)
    lines = [(reader.line_num + skipped, line) for line in reader if any(value.strip() for value in line)]
    header = _names(lines[0][1]) if lines else []
    columns = _known(header)
    _check_columns(header, columns, table)
    return Table(columns, list(_aligned(header, lines[1:], table)))


def _separator(text: str) -> str:
    """The one that gives the most columns that are known."""

    def known(separator: str) -> tuple[int, int]:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        try:
            lines = (line for line in reader if any(map(str.strip, line)) and not _is_mark(line))
            header = _names(next(lines, []))
        except csv.Error:
            return 0, 0
        return len(_known(header)), len(header)

    return max(SEPARATORS, key=known)


def _is_mark(line: Sequence[str]) -> bool:
    """Whether it is the line ``sep=;`` of a spreadsheet, split or not."""
    return line[0].strip().lower().startswith("sep=")


def _names(header: Sequence[str]) -> list[str]:
    """Names of columns in lower case, with '_' between words."""
    return ["_".join(name.lower().replace("-", " ").replace("_", " ").split()) for name in header]


def _known(header: Sequence[str]) -> dict[str, int]:
    """The columns that are understood, and where they are; a column's own name goes before its other ones."""
    found = {column: header.index(column) for column in (*COLUMNS, *FLAGS) if column in header}
    for column, others in COLUMNS.items():
        free = [header.index(other) for other in others if other in header]
        if free and column not in found:
            found[column] = free[0]
    return found


def _check_columns(header: Sequence[str], columns: Mapping[str, int], table: str) -> None:
    unknown = [name for at, name in enumerate(header) if at not in columns.values() and name not in NUMBERS]
    missing = [column for column in COLUMNS if column not in columns]
    for name in unknown:
        if near := difflib.get_close_matches(name, missing, 1, MISSPELT):
            raise VqiError(f"{table}: unknown column '{name}': did you mean '{near[0]}'?")
    if "path" not in columns or not {"label", "defect_type", *FLAGS} & set(columns):
        got = ", ".join(sorted(filter(None, header))[:NAMED]) or "none"
        raise VqiError(f"{table}: expected the columns path and label or defect_type, got {got}")
    if unknown:
        message(f"note: {table}: columns that mean nothing here are left out: {', '.join(unknown[:NAMED])}")


def _aligned(
    header: Sequence[str], lines: Sequence[tuple[int, list[str]]], table: str
) -> Iterator[tuple[int, list[str]]]:
    """The lines with one value for each column: without names of lines that have no column, and padded at the end."""
    width = len(header)
    shift = int(_names_its_lines(width, [line for _, line in lines]))
    for number, line in lines:
        values = line[shift:]
        if any(value.strip() for value in values[width:]):
            raise VqiError(
                f"{table}, line {number}: expected one value per column, {width}, got {len(values)}: put a "
                "value with a separator in it into quotes"
            )
        yield number, [*values[:width], *[""] * (width - len(values))]


def _names_its_lines(width: int, lines: Sequence[Sequence[str]]) -> bool:
    """Whether each line begins with a name or number of its own, for which there is no column, as R writes it."""
    names = {line[0] for line in lines}
    one_more = bool(lines) and all(len(line) == width + 1 and line[-1].strip() for line in lines)
    return one_more and len(names) == len(lines) and not any(map(is_image_name, names))
