"""The rows that ``vqi predict`` writes: each is in the file, whole, before the next photograph is scored."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import sys
from collections.abc import Iterable
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any

from vqi.errors import VqiError, printable
from vqi.formatting import cell
from vqi.models.rows import COLUMNS, Row


class Rows:
    """Writes rows as CSV, below a line of names, or as JSON lines.

    What is at ``output`` already stays as it is until there is a first row, and is then replaced. A row is written at
    once, so that another program that reads the file never sees a part of one for long, and what was written stays
    when this process is killed.

    Args:
        output: The file to write; None for standard output.
        form: ``csv`` or ``jsonl``.
        append: Whether rows are added to those that the file has; half a row at its end is taken away.

    Raises:
        VqiError: Standard output is closed.
        OSError: It cannot be written.
    """

    def __init__(self, output: Path | None, form: str, *, append: bool = False) -> None:
        self._form, self._output, self._begun = form, output, False
        self._made = output is not None and not os.path.lexists(output)
        self._file = _standard_output() if output is None else _opened(output)
        self._replaces = output is not None and output.is_file()
        if append and self._replaces:
            self._replaces, self._begun = False, _end_whole(self._file) > 0

    def __enter__(self) -> Rows:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and not self._begun:  # nothing to score, and all is well: a table without rows
            self._begin()
        if self._output is not None:
            self._file.close()
            if self._made and not self._begun:
                self._output.unlink()

    def write(self, row: Row) -> None:
        """Write a row; a column that it lacks is empty."""
        if not self._begun:
            self._begin()
        self._put(_as_json(row) if self._form == "jsonl" else _as_csv(_shown(row)))

    def _begin(self) -> None:
        if self._replaces:
            self._file.truncate(0)
        self._begun = True
        if self._form == "csv":
            self._put(_as_csv(COLUMNS))

    def _put(self, text: str) -> None:
        write_all(self._file, text)


def write_all(file: FileIO, text: str) -> None:
    """Write a text; a file without a buffer may take a part of it first.

    Raises:
        OSError: It takes no more.
    """
    left = memoryview(text.encode("utf-8"))
    while left:
        left = left[file.write(left) :]


def _opened(output: Path) -> FileIO:
    """The file to write, not changed yet."""
    if output.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder", str(output))
    if output.is_char_device() or output.is_fifo():
        return output.open("wb", buffering=0)
    output.parent.mkdir(parents=True, exist_ok=True)
    return output.open("ab+", buffering=0)


def _standard_output() -> FileIO:
    """Without its buffer: what cannot be written is said at once, and not once more when the process ends."""
    file: Any = sys.stdout
    if file is None:
        raise VqiError("standard output is closed: name a file with --output")
    file.flush()
    found: FileIO = getattr(file.buffer, "raw", file.buffer)
    return found


def _end_whole(file: FileIO) -> int:
    """Take half a row, which a crash left, from the end of a file; returns how many bytes are in it."""
    size = file.seek(0, os.SEEK_END)
    end, step = size, 1 << 16
    while end:
        begin = max(end - step, 0)
        file.seek(begin)
        newline = (file.read(end - begin) or b"").rfind(b"\n")
        if newline >= 0:
            end = begin + newline + 1
            break
        end = begin
    if end < size:
        file.truncate(end)
    file.seek(0, os.SEEK_END)
    return end


def _shown(row: Row) -> list[object]:
    """The cells of a row, whatever the names: none runs on a terminal or in a spreadsheet."""
    values = [row.get(name) for name in COLUMNS]
    return [cell(printable(value)) if isinstance(value, str) else _flat(value) for value in values]


def _flat(value: object) -> object:
    """Boxes as ``x y width height; ...``."""
    if isinstance(value, list):
        return "; ".join(" ".join(map(str, box)) for box in value)
    return value


def _as_csv(cells: Iterable[object]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerow(cells)
    return file.getvalue()


def _as_json(row: Row) -> str:
    """A row with the exact names: characters that are not printable, and bytes that are no text, as escapes."""
    whole = {name: row.get(name) for name in COLUMNS}
    text = json.dumps(whole, ensure_ascii=False)
    return f"{text if text.isprintable() else json.dumps(whole)}\n"
