"""What the lines of a table of images say.

``path``; ``label`` (good or bad, in the usual words) or ``defect_type`` (``good`` for a normal part) or both; and, each
optional, ``split`` (train, calibration, test, or empty: divided as asked), ``mask``, ``category`` (the table's name
without it), ``group`` (equal for images that belong together, such as those of one part or one shift).
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from vqi.datasets.advice import WEB
from vqi.datasets.layout import GOOD, ONLY_GOOD, is_image_name
from vqi.datasets.table_text import COLUMNS, FLAGS, parse_table
from vqi.datasets.words import DEFECTIVE, Meaning, meaning_of, meaning_of_label
from vqi.errors import VqiError
from vqi.redaction import shown

TRUE, FALSE = ("1", "1.0", "true", "t", "yes", "y"), ("0", "0.0", "false", "f", "no", "n")
NO_DEFECT = ("none", "-", "--")  # as a type of defect
EMPTY = ("", "-", "--", "none", "null", "nan", "n/a", "na", "<na>")
SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("calibration", "calibrate", "calib"), "calibration"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(EMPTY, "all"),
}


class Row(NamedTuple):
    """A line of the table, understood."""

    line: int
    written: str  # the path as the table has it
    place: str  # of the image, absolute
    split: str  # train, calibration, test or all
    defect_type: str
    mask: str  # its place; '' for none
    category: str
    group: str = ""  # '' for none


def read_table(data: bytes, table: str, base: str, name: str) -> list[Row]:
    """The lines of a table.

    Args:
        data: Of the file.
        table: What it is called in errors.
        base: The place to which its paths are relative.
        name: The category of lines that name none.

    Raises:
        VqiError: a column is missing or misspelt, a value is not one of those known, or an image is listed twice.
    """
    try:
        columns, lines = parse_table(data, table)
    except (UnicodeDecodeError, csv.Error) as error:
        raise VqiError(
            f"{table} is not a CSV table in UTF-8: {error}; save it as 'CSV UTF-8', with quotes in pairs"
        ) from error
    values = [(number, {column: line[at].strip() for column, at in columns.items()}) for number, line in lines]
    values = _with_slashes([(number, value) for number, value in values if any(value.values())])
    rows = [_row(value, number, table, base, name) for number, value in values]
    if not rows:
        raise VqiError(f"{table} lists no images")
    twice = [place for place, count in Counter((row.category, row.place) for row in rows).items() if count > 1]
    if twice:
        raise VqiError(f"{table}: {twice[0][1]} is listed twice")
    return rows


def file_name(place: str) -> str:
    """The last part of a path or address, without the signature that may follow it."""
    return (shown(place) if place.startswith(WEB) else place).rpartition("/")[2]


def _with_slashes(values: list[tuple[int, dict[str, str]]]) -> list[tuple[int, dict[str, str]]]:
    r"""Paths with '/', where all that have folders use '\', as on Windows."""
    paths = [value.get(column, "") for _, value in values for column in ("path", "mask")]
    if any("/" in path for path in paths) or not any("\\" in path for path in paths):
        return values
    return [
        (number, value | {column: value[column].replace("\\", "/") for column in ("path", "mask") if column in value})
        for number, value in values
    ]


def _row(given: Mapping[str, str], number: int, table: str, base: str, name: str) -> Row:
    def problem(text: str) -> VqiError:
        return VqiError(f"{table}, line {number}: {text}")

    value = {column: given.get(column, "") for column in COLUMNS}
    try:
        if not file_name(value["path"]):
            raise ValueError(f"expected the path of an image, got '{value['path']}'")
        wanted_mask = value["mask"] if value["mask"].lower() not in EMPTY else ""
        if wanted_mask and not is_image_name(file_name(wanted_mask)):
            raise ValueError(f"expected an image as mask, got '{wanted_mask}'")
        if value["split"].lower() not in SPLITS:
            hint = "; good images that set the threshold are 'calibration'" if "val" in value["split"].lower() else ""
            raise ValueError(f"expected split train, calibration, test or nothing, got '{value['split']}'{hint}")
        defect_type = _defect_type(given)
        split = SPLITS[value["split"].lower()]
        if split in ONLY_GOOD and defect_type != GOOD:
            does = "train" if split == "train" else "set the threshold"
            raise ValueError(f"a defective image cannot {does}: expected split test or nothing")
        if "/" in value["category"]:
            raise ValueError(f"a category has no slash in its name, got '{value['category']}'")
        mask = _absolute(wanted_mask, base) if wanted_mask else ""
        place = _absolute(value["path"], base)
    except ValueError as error:
        raise problem(str(error)) from error
    group = value["group"] if value["group"].lower() not in EMPTY else ""
    return Row(number, value["path"], place, split, defect_type, mask, value["category"] or name, group)


def _defect_type(given: Mapping[str, str]) -> str:
    """The type of defect of a line, or ``good``.

    Raises:
        ValueError: It says neither, or both.
    """
    label, kind = given.get("label", ""), given.get("defect_type", "")
    said: dict[str, Meaning] = {}
    if label.lower() not in EMPTY:
        said[f"label '{label}'"] = _label(label)
    for column in FLAGS:
        if given.get(column, "").lower() not in EMPTY:
            said[f"{column} '{given[column]}'"] = _flag(column, given[column])
    if kind.lower() not in EMPTY or (kind.lower() in NO_DEFECT and not said):
        said[f"defect_type '{kind}'"] = _kind_meaning(kind)
    if not said:
        raise ValueError("expected label 0, 1, good or bad, or a defect_type, got ''")
    if len(set(said.values())) > 1 or "/" in kind:
        raise ValueError(f"{' and '.join(said)} do not fit together")
    if next(iter(said.values())) == "good":
        return GOOD
    return kind if kind.lower() not in EMPTY else DEFECTIVE


def _label(label: str) -> Meaning:
    meaning = meaning_of_label(label)
    if meaning not in ("good", "defective"):
        hint = "" if label.lower() in (*TRUE, *FALSE) else "; types of defects belong into the column defect_type"
        raise ValueError(f"expected label 0, 1, good or bad, or a defect_type, got '{label}'{hint}")
    return meaning


def _flag(column: str, value: str) -> Meaning:
    if value.lower() not in (*TRUE, *FALSE):
        raise ValueError(f"expected 0, 1, true or false as {column}, got '{value}'")
    no: Meaning = "good" if FLAGS[column] == "defective" else "defective"
    return FLAGS[column] if value.lower() in TRUE else no


def _kind_meaning(kind: str) -> Meaning:
    """What a type of defect says: 'none' and the like are good."""
    if kind.lower() in NO_DEFECT:
        return "good"
    meaning = meaning_of(kind)
    if meaning == "unclear":
        raise ValueError(f"is defect_type '{kind}' a good part? Write 'good', or '{DEFECTIVE}-{kind}' if it is not")
    return "good" if meaning == "good" else "defective"


def _absolute(place: str, base: str) -> str:
    """A place in the table, relative to the table's own.

    Raises:
        ValueError: a table from elsewhere names a file of this machine.
    """
    local = place.startswith(("/", "~", "file://"))
    if local and "://" in base and not base.startswith("file://"):
        raise ValueError(f"a table from elsewhere may not name files of this machine, got '{place}'")
    return place if "://" in place or local else f"{base.rstrip('/')}/{place}"
