"""Verdicts in a store: nothing is lost or changed, whoever writes at a time; in a folder and on a real server."""

from __future__ import annotations

import errno
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.vqi.verdicts.made import MORNING, photograph, scored, verdict
from vqi.digests import sha256_bytes
from vqi.errors import VqiError
from vqi.store.folder import FolderStore
from vqi.store.interface import Store
from vqi.verdicts import answering
from vqi.verdicts.answering import answer, take_back
from vqi.verdicts.book import Book, books_in, ending_of
from vqi.verdicts.records import said_of

PEOPLE = 16


@pytest.fixture
def book(store: Store) -> Book:
    return Book(store, "parts", "a/b")


def test_an_answer_and_its_photograph(book: Book) -> None:
    data = photograph()
    done = answer(book, scored(data), said_of("good"), "anna", data)
    assert (done.new, done.verdict.outcome, done.verdict.by, done.verdict.name) == (
        True,
        "false alarm",
        "anna",
        "p17.png",
    )
    assert done.verdict.photograph == f"{sha256_bytes(data)}.png"
    assert book.photograph(done.verdict.photograph) == data
    assert book.entries() == book.of(sha256_bytes(data)) == [done.verdict]
    assert done.standing is not None
    assert done.standing.last == done.verdict
    assert [(one.dataset, one.category) for one in books_in(book.store)] == [("parts", "a/b")]
    assert Book(book.store, "parts", "a").entries() == []


def test_the_same_once_more_writes_nothing(book: Book) -> None:
    data = photograph()
    answer(book, scored(data), said_of("good"), "anna", None)
    assert not answer(book, scored(data), said_of("good"), "anna", None).new
    before = list(book.store.list())
    assert answer(book, scored(data), said_of("good"), "anna", data).new  # now the photograph is kept, too
    assert len(list(book.store.list())) == len(before) + 2
    assert not answer(book, scored(data), said_of("good"), "anna", data).new
    assert answer(book, scored(data, version=4), said_of("good"), "anna", data).new
    assert answer(book, scored(data), said_of("good"), "bob", data).new
    assert sum("photographs/" in one.key for one in book.store.list()) == 1


def test_taken_back_and_what_counts_then(book: Book) -> None:
    data = photograph()
    sha256 = sha256_bytes(data)
    answer(book, scored(data), said_of("good"), "anna", None)
    second = answer(book, scored(data), said_of("defect:scratch"), "anna", None)
    assert second.standing is not None
    assert second.standing.last.text == "defect:scratch"
    assert not second.standing.disagree  # one person, who looked again
    taken = take_back(book, sha256, "anna", "p.png")
    assert taken.verdict == second.verdict
    assert taken.standing is not None
    assert taken.standing.last.text == "good"
    assert take_back(book, sha256, "anna", "p.png").standing is None
    with pytest.raises(VqiError, match=r"p\.png: no verdict by anna to take back: there is none at all"):
        take_back(book, sha256, "anna", "p.png")
    answer(book, scored(data), said_of("unclear"), "bob", None)
    with pytest.raises(VqiError, match="no verdict by anna to take back: there are verdicts by bob"):
        take_back(book, sha256, "anna", "p.png")
    assert len(book.entries()) == 5  # nothing was ever removed


def test_two_people_disagree(book: Book) -> None:
    answer(book, scored(), said_of("good"), "anna", None)
    done = answer(book, scored(), said_of("defect"), "bob", None)
    assert done.standing is not None
    assert done.standing.disagree
    assert done.standing.last.by == "bob"


def test_a_clock_that_is_behind(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    first = answer(book, scored(), said_of("good"), "anna", None).verdict

    class Behind:
        @staticmethod
        def now(_: object) -> object:
            return MORNING.replace(year=2000)

    monkeypatch.setattr(answering, "datetime", Behind)
    second = answer(book, scored(), said_of("defect"), "anna", None)
    assert second.verdict.at > first.at
    assert second.standing is not None
    assert second.standing.last == second.verdict


def test_many_people_at_a_time_lose_nothing(book: Book) -> None:
    data = photograph()

    def one(number: int) -> None:
        answer(book, scored(data), said_of(("good", "defect")[number % 2]), f"person {number}", data)

    with ThreadPoolExecutor(PEOPLE) as pool:
        list(pool.map(one, range(PEOPLE)))
    assert Counter(entry.by for entry in book.entries()) == {f"person {number}": 1 for number in range(PEOPLE)}


def test_one_of_an_import_is_found_by_its_photograph(book: Book) -> None:
    two = [verdict(of=scored()), verdict(of=scored(photograph(7)))]
    book.add(two)
    book.add(two[:1])
    assert book.of(two[1].sha256) == two[1:]
    assert book.entries() == [two[0], *two]


def test_what_is_written_twice_is_there_once(book: Book) -> None:
    book.add([verdict()])
    book.add([verdict()])
    assert book.entries() == [verdict()]


def test_a_photograph_that_was_changed(book: Book) -> None:
    data = photograph()
    kept = book.keep(data, "p.png")
    book.store.put_bytes(book.key(f"photographs/{kept}"), photograph(3))
    with pytest.raises(VqiError, match="not the photograph whose digest is its name"):
        book.photograph(kept)


@pytest.mark.parametrize(
    ("kind", "ending"),
    [("PNG", "png"), ("JPEG", "jpg"), ("TIFF", "tif"), ("BMP", "bmp"), ("WEBP", "webp"), ("GIF", "gif")],
)
def test_the_ending_is_that_of_the_content(kind: str, ending: str) -> None:
    assert ending_of(photograph(kind=kind), "p.dat") == ending


def test_what_is_no_photograph_is_not_kept(book: Book) -> None:
    with pytest.raises(VqiError, match=r"p17\.png: not an image of a known format"):
        answer(book, scored(b"text"), said_of("good"), "anna", b"text")
    assert list(book.store.list()) == []


def test_a_store_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(tmp_path))

    monkeypatch.setattr(FolderStore, "_commit", fails)
    with pytest.raises(VqiError, match=r"cannot write file://.*/photographs/.*: .*the disk is read-only"):
        answer(Book(FolderStore(tmp_path), "parts", "mono"), scored(), said_of("good"), "anna", photograph())
