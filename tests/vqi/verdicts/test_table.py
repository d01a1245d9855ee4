"""Tables of verdicts: those that people and programs write, and what is wrong with others, before anything is kept."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz import fuzz_cases
from tests.vqi.verdicts.made import MORNING, photograph
from vqi.digests import sha256_bytes
from vqi.errors import VqiError
from vqi.store.folder import FolderStore
from vqi.verdicts.answering import take_back
from vqi.verdicts.book import Book
from vqi.verdicts.records import Verdict
from vqi.verdicts.table import BadRowsError, Defaults, Imported, import_table

THRESHOLDS = {3: 1.0, 2: 5.0}
DIGEST = "a" * 64


def threshold_of(version: int) -> float:
    if version not in THRESHOLDS:
        raise VqiError(f"there is no v{version}")
    return THRESHOLDS[version]


DEFAULTS = Defaults(3, "anna", MORNING, threshold_of)


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(FolderStore(tmp_path / "store"), "parts", "mono")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Photographs in the working folder."""
    monkeypatch.chdir(tmp_path)
    for value in (1, 2, 3):
        Path(f"p{value}.png").write_bytes(photograph(value))
    Path("text.png").write_text("no photograph")


def table(*lines: str, name: str = "answers.csv", encoding: str = "utf-8") -> Path:
    path = Path(name)
    path.write_text("".join(f"{line}\n" for line in lines), encoding=encoding)
    return path


def taken(book: Book, *lines: str, keep: bool = True, **options: Any) -> Imported:
    return import_table(book, table(*lines, **options), DEFAULTS, keep=keep)


def verdicts(book: Book) -> list[Verdict]:
    return [one for one in book.entries() if isinstance(one, Verdict)]


def test_rows_of_predict_with_one_more_column(book: Book) -> None:
    done = taken(
        book,
        "path,score,threshold,decision,p_value,boxes,map,error,verdict",
        "p1.png,1.5,1.0,1,0.01,1 2 3 4,,,good",
        "p2.png,1.7,1.0,1,0.01,,,,defect:scratch",
        "p3.png,0.5,1.0,0,0.5,,,,",
    )
    assert done == Imported(kept=2, known=0, unanswered=1)
    first, second = sorted(verdicts(book), key=lambda one: one.name)
    assert (first.outcome, first.by, first.at, first.version, first.threshold) == (
        "false alarm",
        "anna",
        MORNING,
        3,
        1.0,
    )
    assert second.text == "defect:scratch"
    assert book.photograph(first.photograph) == photograph(1)


def test_digests_types_people_times_and_versions_of_a_table_from_elsewhere(book: Book) -> None:
    done = taken(
        book,
        "SHA256;Verdict;Defect_type;Score;Version;By;At",
        f"{DIGEST.upper()};defect;Kratzer;7.5;v2;bob;2026-05-01T10:00:00+02:00",
        encoding="utf-8-sig",
    )
    assert done.kept == 1
    (one,) = verdicts(book)
    assert (one.sha256, one.text, one.version, one.threshold, one.by) == (DIGEST, "defect:Kratzer", 2, 5.0, "bob")
    assert one.at.isoformat() == "2026-05-01T10:00:00+02:00"
    assert one.photograph == ""


def test_columns_that_mean_nothing_here_are_named(book: Book, capsys: pytest.CaptureFixture[str]) -> None:
    taken(book, "path,verdict,score,line,shift", "p1.png,good,2,4,B")
    assert "note: answers.csv: columns that mean nothing here are left out: line, shift" in capsys.readouterr().err


def test_without_the_photographs(book: Book) -> None:
    taken(book, "path,verdict,score", "p1.png,good,2", keep=False)
    assert not [one for one in book.store.list() if "photographs/" in one.key]
    assert verdicts(book)[0].sha256 == sha256_bytes(photograph(1))


def test_what_is_known_is_not_written_again(book: Book) -> None:
    rows = ("path,verdict,score,at", "p1.png,good,2,", "p1.png,good,2,", "p2.png,defect,2,2026-01-01T00:00:00+00:00")
    assert taken(book, *rows) == Imported(2, 1, 0)
    before = list(book.store.list())
    assert taken(book, *rows) == Imported(0, 3, 0)
    assert list(book.store.list()) == before
    later = Defaults(3, "anna", MORNING.replace(hour=9), threshold_of)
    assert import_table(book, Path("answers.csv"), later, keep=True) == Imported(0, 3, 0)
    changed = table("path,verdict,score", "p1.png,defect,2")
    assert import_table(book, changed, later, keep=True) == Imported(1, 0, 0)
    assert import_table(book, changed, DEFAULTS, keep=True) == Imported(0, 1, 0)


def test_a_photograph_that_was_not_kept_before_is_kept(book: Book) -> None:
    taken(book, "path,verdict,score", "p1.png,good,2", keep=False)
    later = Defaults(3, "anna", MORNING.replace(hour=9), threshold_of)
    assert import_table(book, Path("answers.csv"), later, keep=True).kept == 1


BAD = {
    "nowhere.png,,good,2,,,": "cannot read nowhere.png: No such file",
    "text.png,,good,2,,,": "text.png: not an image of a known format",
    ".,,good,2,,,": "cannot read .: ",
    "p1.png,,gut,2,,,": "unknown verdict 'gut'",
    "p1.png,,good,,,,": "p1.png: it was never scored: expected its score, as 'vqi predict' writes it",
    "p1.png,,good,nan,,,": "p1.png: score: Input should be a finite number, got nan",
    "p1.png,,good,-1,,,": "p1.png: score: Input should be greater than or equal to 0, got -1.0",
    "p1.png,,good,high,,,": "score: expected a number, got 'high'",
    "p1.png,,good,2,7,,": "there is no v7",
    "p1.png,,good,2,new,,": "version: expected a number, such as 3, got 'new'",
    "p1.png,,good,2,,4.0,": "p1.png: its threshold is 4.0, that of v3 is 1: which version scored it?",
    "p1.png,,good,2,,,yesterday": "at: expected a time with its zone",
    "p1.png,,good,2,,,2026-05-04T03:12:00": "at: expected a time with its zone",
    f"p1.png,{DIGEST},good,2,,,": f"p1.png: expected sha256 {DIGEST}, got ",
    ",abc,good,2,,,": "sha256: expected 64 hex digits, got 'abc'",
    ",,good,2,,,": "neither path nor sha256: name a photograph",
    "p1.png,,good:scratch,2,,,": "verdict 'good:scratch': a type of defect, 'scratch', with the verdict 'good'",
}


@pytest.mark.parametrize("row", BAD)
def test_one_bad_row_and_nothing_is_written(book: Book, row: str) -> None:
    with pytest.raises(BadRowsError) as error:
        taken(book, "path,sha256,verdict,score,version,threshold,at", "p2.png,,good,2,,,", row)
    assert str(error.value) == "answers.csv: 1 of 2 rows cannot be taken, so nothing was written"
    (problem,) = error.value.problems
    assert problem.startswith(f"line 3: {BAD[row]}")
    assert list(book.store.list()) == []


def test_somebody_who_says_two_things_at_a_time(book: Book) -> None:
    rows = ["path,verdict,score,by", "p1.png,good,2,anna", "p1.png,defect,2,bob", "p1.png,defect:scratch,2,anna"]
    with pytest.raises(BadRowsError) as error:
        taken(book, *rows)
    assert error.value.problems == ("line 4: p1.png: 'defect:scratch', and 'good' in line 2, both by anna: remove one",)
    assert taken(book, *rows[:3]).kept == 2


NO_TABLES = {
    b"": "expected the columns verdict, score, and path or sha256, got none",
    b"path,verdict\n": "expected the columns verdict, score, and path or sha256, got path, verdict",
    b"path,verdict,scorre\n": "unknown column 'scorre': did you mean 'score'?",
    b"path,verdict,score,path\n": "got 'path' twice",
    b"path,verdict,score\np1.png,good\n": "line 2: expected 3 values, got 2",
    b"\xff\xfe\x00": "not a table in UTF-8",
    b'path,verdict,score\n"p1.png,good,2\n': "not a table in UTF-8: unexpected end of data",
}


@pytest.mark.parametrize("data", NO_TABLES)
def test_what_is_no_table(book: Book, data: bytes) -> None:
    Path("answers.csv").write_bytes(data)
    with pytest.raises(VqiError) as error:
        import_table(book, Path("answers.csv"), DEFAULTS, keep=True)
    assert NO_TABLES[data] in str(error.value)


def test_a_photograph_that_changes_meanwhile(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = book.entries

    def changes() -> Any:
        Path("p1.png").write_bytes(photograph(9))
        return unknown()

    monkeypatch.setattr(Book, "entries", lambda _: changes())
    with pytest.raises(VqiError, match=r"p1\.png changed while the table was read: no verdict was written"):
        taken(book, "path,verdict,score", "p1.png,good,2", "p2.png,good,2")
    monkeypatch.undo()
    assert not [one for one in book.store.list() if "/imports/" in one.key or "/answers/" in one.key]


@pytest.mark.slow
def test_a_table_of_many_rows(book: Book) -> None:
    many = fuzz_cases(small=20_000, full=100_000)
    rows = [f"{hashlib.sha256(str(number).encode()).hexdigest()},good,{number % 7}" for number in range(many)]
    assert taken(book, "sha256,verdict,score", *rows) == Imported(many, 0, 0)
    assert len(list(book.store.list())) == 1
    assert taken(book, "sha256,verdict,score", *rows) == Imported(0, many, 0)
    with pytest.raises(BadRowsError) as error:
        taken(book, "sha256,verdict,score", *rows[:-1], "x,good,1")
    assert error.value.problems == (f"line {many + 1}: sha256: expected 64 hex digits, got 'x'",)


def test_a_verdict_that_was_taken_back_stays_so_where_the_table_has_its_time(book: Book) -> None:
    rows = ("path,verdict,score,at", "p1.png,good,2,2026-01-01T00:00:00+00:00")
    taken(book, *rows)
    take_back(book, sha256_bytes(photograph(1)), "anna", "p1.png")
    assert taken(book, *rows) == Imported(0, 1, 0)
