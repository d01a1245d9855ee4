"""The rows of ``vqi predict``: where they begin when a file has some, and what a terminal shows meanwhile."""

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from vqi.errors import VqiError
from vqi_pipelines.commands import rows, scoring
from vqi_pipelines.commands.rows import Rows, write_all
from vqi_pipelines.commands.scoring import Progress, named

HEAD = ",".join(rows.COLUMNS) + "\n"


@pytest.mark.parametrize(
    ("there", "kept"),
    [
        (None, HEAD),
        ("", HEAD),
        (f"{HEAD}a,1,,,,,,\n", f"{HEAD}a,1,,,,,,\n"),
        (f"{HEAD}a,1,,,,,,\nb,2,", f"{HEAD}a,1,,,,,,\n"),
        ("half a line, " * 20_000, HEAD),
        (HEAD + "half a line, " * 20_000, HEAD),
    ],
    ids=["no file", "empty", "rows", "half a row", "nothing whole", "half a long row"],
)
def test_rows_are_added_to_whole_ones(there: str | None, kept: str, tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    if there is not None:
        path.write_text(there)
    with Rows(path, "csv", append=True) as table:
        table.write({"path": "z", "score": 3.5})
    assert path.read_text() == f"{kept}z,3.5,,,,,,\n"


class Slow(io.FileIO):
    """Takes three bytes at a time, as a disk that is nearly full."""

    def write(self, data: Any) -> int:
        return super().write(bytes(data)[:3])


def test_a_file_that_takes_a_part_of_a_row_first(tmp_path: Path) -> None:
    with Slow(tmp_path / "out", "w") as file:
        write_all(file, "a row of bytes: ü\n")
    assert (tmp_path / "out").read_text() == "a row of bytes: ü\n"


def test_without_rows_there_is_a_head(tmp_path: Path) -> None:
    for form, text in (("csv", HEAD), ("jsonl", "")):
        (tmp_path / form).write_text("of yesterday")
        with Rows(tmp_path / form, form):
            pass
        assert (tmp_path / form).read_text() == text


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_how_many_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(scoring, "BAR_SECONDS", 0.0)
    progress = Progress(quiet=False)
    progress.show(3, 1, 0)
    progress.show(3, 1, 2)
    progress.clear()
    first, second, last = sys.stderr.getvalue().split("\r\x1b[K")[1:]  # type: ignore[attr-defined]
    assert first.startswith("scored 3, 1 flagged, ")
    assert second.startswith("scored 3, 1 flagged, 2 not read, ")
    assert last == ""


@pytest.mark.parametrize(("stream", "quiet"), [(Terminal(), True), (io.StringIO(), False)], ids=["rows there", "a log"])
def test_nothing_is_shown_between_rows_or_in_a_log(
    stream: io.StringIO, quiet: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    progress = Progress(quiet=quiet)
    progress.show(1, 0, 0)
    progress.clear()
    assert stream.getvalue() == ""


def test_no_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(VqiError, match="standard input is closed: name the images, or give their names there"):
        next(named(["-"]))
