"""A table of verdicts -> records, checked as a whole before anything is kept.

Columns: ``path`` or ``sha256`` or both, ``verdict`` (``good``, ``defect``, ``defect:scratch``, ``unclear``; empty: not
answered), ``score``; and, each optional, ``defect_type``, ``version``, ``threshold``, ``by``, ``at``. So the rows of
``vqi predict`` with one more column are such a table.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

from vqi.digests import sha256_bytes
from vqi.errors import VqiError, closest
from vqi.formatting import count, text_of
from vqi.progress import message
from vqi.records import cut
from vqi.system.concurrency import at_once
from vqi.system.files import read_regular
from vqi.system.os_errors import explain
from vqi.verdicts.book import Book, ending_of
from vqi.verdicts.records import Scored, Verdict, said_of, verdict_of
from vqi.verdicts.standing import standing

COLUMNS = ("path", "sha256", "verdict", "defect_type", "score", "threshold", "version", "by", "at")
_OF_PREDICT = ("decision", "p_value", "boxes", "map", "error")  # its other columns, which say nothing here
_SEPARATORS = ",;\t"
_NEAR = 1e-6  # of a threshold: what writing it as text may change
_LARGEST = 1 << 30  # bytes of a photograph's file
_DIGEST = re.compile("[0-9a-f]{64}")


class BadRowsError(VqiError):
    """Rows that cannot be taken: a line of text for each."""

    def __init__(self, table: str, problems: Sequence[str], rows: int) -> None:
        super().__init__(f"{table}: {len(problems):,} of {count(rows, 'row')} cannot be taken, so nothing was written")
        self.problems = tuple(problems)


@dataclass(frozen=True)
class Defaults:
    """What is meant where a row does not say it, and what is known of the versions."""

    version: int
    by: str
    at: datetime
    threshold_of: Callable[[int], float]  # of a version; VqiError where there is none


class Imported(NamedTuple):
    """What became of the rows of a table."""

    kept: int
    known: int  # that were kept before, or stand twice in the table
    unanswered: int  # without a verdict


class _Line(NamedTuple):
    number: int
    values: Mapping[str, str]  # by column, '' where there is none


class _Row(NamedTuple):
    line: int
    verdict: Verdict
    path: Path | None  # of the photograph; None where only its digest is known


def import_table(book: Book, file: Path, defaults: Defaults, *, keep: bool) -> Imported:
    """Keep the verdicts of a table, all of them or, where one row cannot be taken, none.

    Args:
        book: Of the category.
        file: The table; its paths are those that ``vqi predict`` was given.
        defaults: What is meant where a row does not say it.
        keep: Whether the photographs are kept, where the table has their paths.

    Raises:
        BadRowsError: Rows cannot be taken.
        VqiError: It is no table of verdicts, or the store cannot be read or written.
        OSError: It cannot be read.
    """
    lines = _lines(file.read_bytes(), str(file))
    answered = [line for line in lines if line.values["verdict"]]
    rows, problems = _rows(answered, defaults)
    once, contradictions = _once(rows)
    problems = sorted([*problems, *contradictions])
    if problems:
        raise BadRowsError(str(file), [f"line {number}: {text}" for number, text in problems], len(lines))
    new = _unknown(once, book, keep=keep)
    if new:
        book.add(_kept(new, book) if keep else [row.verdict for row in new])
    return Imported(len(new), len(rows) - len(new), len(lines) - len(answered))


def _lines(data: bytes, table: str) -> list[_Line]:
    try:
        text = data.decode("utf-8-sig")
        first = text.partition("\n")[0]
        separator = max(_SEPARATORS, key=first.count)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        read = [(reader.line_num, cells) for cells in reader if any(map(str.strip, cells))]
    except (UnicodeDecodeError, csv.Error) as error:
        raise VqiError(f"{table}: not a table in UTF-8: {error}: save it as CSV") from error
    names = [name.strip().casefold() for name in read[0][1]] if read else []
    _check_columns(names, table)
    found = []
    for number, cells in read[1:]:
        if len(cells) != len(names):
            raise VqiError(f"{table}, line {number}: expected {count(len(names), 'value')}, got {len(cells)}")
        given = {name: cell.strip() for name, cell in zip(names, cells, strict=True)}
        found.append(_Line(number, {name: text_of(given.get(name, "")) for name in COLUMNS}))
    return found


def _check_columns(names: Sequence[str], table: str) -> None:
    needed = f"{table}: expected the columns verdict, score, and path or sha256"
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise VqiError(f"{needed}, got '{twice}' twice")
    for name in names:
        if name not in (*COLUMNS, *_OF_PREDICT) and (near := closest(name, {*COLUMNS} - {*names})):
            raise VqiError(f"{table}: unknown column '{cut(name)}': did you mean '{near}'?")
    if not {"verdict", "score"} <= {*names} or not {"path", "sha256"} & {*names}:
        raise VqiError(f"{needed}, got {cut(', '.join(names)) or 'none'}")
    if others := [name for name in names if name not in (*COLUMNS, *_OF_PREDICT)]:
        message(f"note: {table}: columns that mean nothing here are left out: {cut(', '.join(others))}")


def _rows(lines: Sequence[_Line], defaults: Defaults) -> tuple[list[_Row], list[tuple[int, str]]]:
    """The rows that can be taken, and what is wrong with the others: line and text."""
    paths = [Path(line.values["path"]) if line.values["path"] else None for line in lines]
    digests = dict(zip(paths, at_once(_digest, paths, "read photographs"), strict=True)) if any(paths) else {}
    rows: list[_Row] = []
    problems: list[tuple[int, str]] = []
    for line, path in zip(lines, paths, strict=True):
        try:
            rows.append(_Row(line.number, _verdict(line.values, digests.get(path, ""), defaults), path))
        except VqiError as error:
            problems.append((line.number, str(error)))
    return rows, problems


def _digest(path: Path | None) -> str | VqiError:
    """The sha256 of a photograph's file; '' for none; an error where it is no photograph."""
    if path is None:
        return ""
    try:
        data = read_regular(path, _LARGEST)
        ending_of(data, str(path))
    except OSError as error:
        return VqiError(f"cannot read {explain(error, path)}")
    except VqiError as error:
        return error
    return sha256_bytes(data)


def _verdict(values: Mapping[str, str], digest: str | VqiError, defaults: Defaults) -> Verdict:
    if isinstance(digest, VqiError):
        raise digest
    name = values["path"] or values["sha256"]
    version = _whole(values["version"]) if values["version"] else defaults.version
    threshold = defaults.threshold_of(version)
    if not values["score"]:
        raise VqiError(f"{cut(name)}: it was never scored: expected its score, as 'vqi predict' writes it")
    if values["threshold"] and not math.isclose(_number("threshold", values["threshold"]), threshold, rel_tol=_NEAR):
        raise VqiError(
            f"{cut(name)}: its threshold is {values['threshold']}, that of v{version} is {threshold:.7g}: which version"
            " scored it? Name that one, or add a column 'version'"
        )
    scored = Scored(
        _sha256(values["sha256"], digest, name), name, version, _number("score", values["score"]), threshold
    )
    kind = values["defect_type"]
    said = said_of(f"{values['verdict']}:{kind}" if kind and ":" not in values["verdict"] else values["verdict"])
    at = _moment(values["at"]) if values["at"] else defaults.at
    return verdict_of(scored, said, values["by"] or defaults.by, at)


def _sha256(given: str, computed: str, name: str) -> str:
    given = given.lower()
    if not given and not computed:
        raise VqiError("neither path nor sha256: name a photograph")
    if given and not _DIGEST.fullmatch(given):
        raise VqiError(f"sha256: expected 64 hex digits, got '{cut(given)}'")
    if given and computed and given != computed:
        raise VqiError(f"{cut(name)}: expected sha256 {given}, got {computed}: it is another photograph")
    return given or computed


def _number(column: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise VqiError(f"{column}: expected a number, got '{cut(text)}'") from None


def _whole(text: str) -> int:
    try:
        return int(text.lower().removeprefix("v"))
    except ValueError:
        raise VqiError(f"version: expected a number, such as 3, got '{cut(text)}'") from None


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise VqiError(f"at: expected a time with its zone, such as 2026-05-04T03:12:00+00:00, got '{cut(text)}'")
    return found


def _once(rows: Sequence[_Row]) -> tuple[list[_Row], list[tuple[int, str]]]:
    """The rows without those that say the same once more; and those by which somebody says two things at a time."""
    first: dict[tuple[object, ...], _Row] = {}
    problems = []
    for row in rows:
        one = row.verdict
        before = first.setdefault((one.sha256, one.by, one.at), row)
        if before.verdict.text != one.text:
            problems.append((row.line, f"{one.name}: '{one.text}', and '{before.verdict.text}' in line {before.line}, "
                                       f"both by {one.by}: remove one"))  # fmt: skip
    return list(first.values()), problems


def _unknown(rows: Sequence[_Row], book: Book, *, keep: bool) -> list[_Row]:
    """Those that say anything new: not kept before, nor what that person's last verdict says anyway."""
    entries = book.entries()
    before = {_told(one) for one in entries if isinstance(one, Verdict)}
    last = {(one.sha256, one.by): one for of in standing(entries).values() for one in of.verdicts}

    def says_anew(row: _Row) -> bool:
        one = row.verdict
        stands = last.get((one.sha256, one.by))
        same = stands is not None and (stands.text, stands.version) == (one.text, one.version)
        photograph = keep and row.path is not None and not (stands and stands.photograph)
        return _told(one) not in before and (not same or photograph)

    return [row for row in rows if says_anew(row)]


def _told(verdict: Verdict) -> tuple[object, ...]:
    return verdict.sha256, verdict.by, verdict.at, verdict.text, verdict.version


def _kept(rows: Sequence[_Row], book: Book) -> list[Verdict]:
    """The verdicts of rows, after their photographs were kept. Raises as ``_photograph``."""
    there = {row.verdict.sha256: row.path for row in rows if row.path is not None}
    names = at_once(partial(_photograph, book), list(there.items()), "keep photographs") if there else []
    kept = dict(zip(there, names, strict=True))
    return [row.verdict.model_copy(update={"photograph": kept.get(row.verdict.sha256, "")}) for row in rows]


def _photograph(book: Book, known: tuple[str, Path]) -> str:
    """Keep a photograph of a digest; the name under which it is kept.

    Raises:
        VqiError: It is not what it was when the table was checked.
    """
    sha256, path = known
    try:
        data = read_regular(path, _LARGEST)
    except OSError as error:
        raise VqiError(f"cannot read {explain(error, path)}: no verdict was written") from error
    if sha256_bytes(data) != sha256:
        raise VqiError(f"{path} changed while the table was read: no verdict was written")
    return book.keep(data, str(path))
