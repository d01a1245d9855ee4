"""How often alarms are false, against what was promised: by hand-computed cases, and whose operators disagree most."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.vqi.made import metrics
from tests.vqi.models.packages import package
from tests.vqi.verdicts.made import photograph, scored, verdict
from vqi.artifacts.metrics import write_metrics
from vqi.errors import VqiError
from vqi.models.answers import Thresholds, answered_at, books_at
from vqi.models.category import Category
from vqi.models.field import in_the_field, most_contradicted, newest_in_the_field
from vqi.models.registry import publish
from vqi.store.folder import FolderStore
from vqi.verdicts.book import Book


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A store with two versions of mono, and one of ``models``, a category of that name."""
    store = FolderStore(tmp_path / "store")
    for category, versions in (("mono", 2), ("models", 1)):
        for number in range(1, versions + 1):
            files = package(tmp_path / category, number, category)
            write_metrics(files["metrics"], metrics(threshold=float(number), target_fpr=0.02, category=category))
            publish(store, **files)
    return tmp_path / "store"


def book_at(place: Path, category: str = "mono") -> Book:
    return Book(FolderStore(place), "parts", category)


def say(book: Book, *said: tuple[str, float], version: int = 1, by: str = "anna", first: int = 0) -> None:
    """Verdicts on as many photographs, of these scores, with the threshold 1."""
    for number, (text, score) in enumerate(said, first):
        of = scored(photograph(number), score=score, version=version, name=f"p{number}.png")
        book.add([verdict(text, by, number, of)])


def test_counts_and_rates(place: Path) -> None:
    book = book_at(place)
    say(book, ("good", 2), ("good", 3), ("defect", 2), ("defect:x", 0.5), ("good", 0.5), ("good", 0.7), ("unclear", 2))
    say(book, ("defect", 2), by="bob")
    (found,) = in_the_field(book)
    assert found.answered == 7
    assert found.outcomes == {"false alarm": 1, "true defect": 2, "missed defect": 1, "good part": 2, "unclear": 1}
    assert found.disagreements == ("p0.png",)
    assert (found.promised, found.kept_from) == (0.02, 2)  # 1 - 0.975 ** (1 / n) <= 0.02
    alarms, rate = found.false_of_alarms, found.false_alarm_rate
    assert alarms is not None
    assert rate is not None
    assert (alarms.hits, alarms.of, rate.hits, rate.of) == (1, 3, 1, 3)
    assert (rate.low, rate.high) == (pytest.approx(0.00840, abs=1e-5), pytest.approx(0.90570, abs=1e-5))
    (of_all,) = in_the_field(book, 1, scored=103)
    assert of_all.false_alarm_rate is not None
    assert (of_all.false_alarm_rate.hits, of_all.false_alarm_rate.of) == (1, 100)
    with pytest.raises(VqiError, match="6 parts scored, and 7 of v1 answered"):
        in_the_field(book, 1, scored=6)


def test_of_alarms_alone_no_rate_of_good_parts_follows(place: Path) -> None:
    book = book_at(place)
    say(book, ("good", 2), ("defect", 2))
    (found,) = in_the_field(book)
    assert found.false_alarm_rate is None
    assert found.false_of_alarms is not None
    say(book, ("unclear", 2), version=2, first=7)
    newest, _ = in_the_field(book)
    assert (newest.version, newest.false_of_alarms, newest.contradicted) == (2, None, 0.0)
    assert in_the_field(book, 9)[0].promised is None


def test_those_first_whose_operators_disagree_most(place: Path) -> None:
    say(book_at(place), ("defect", 2), ("good", 2))
    say(book_at(place, "models"), ("good", 2), ("unclear", 2), ("defect", 0.5))
    books, version = books_at(str(place), whole=True)
    assert version == 0
    ordered = most_contradicted([one for book in books for one in in_the_field(book)])
    assert [one.category for one in ordered] == ["models", "mono"]


@pytest.mark.parametrize(
    ("uri", "whole", "categories", "version"),
    [
        ("", True, ["models", "mono"], 0),
        ("models/parts", True, ["models", "mono"], 0),
        ("models/parts/mono", True, ["mono"], 0),
        ("models/parts/models", True, ["models"], 0),
        ("models/parts/mono", False, ["mono"], 2),
        ("models/parts/mono/v1", True, ["mono"], 1),
        ("models/parts/models/v1", False, ["models"], 1),
    ],
)
def test_which_verdicts_a_uri_means(place: Path, uri: str, whole: bool, categories: list[str], version: int) -> None:
    for category in ("mono", "models"):
        say(book_at(place, category), ("good", 2))
    books, found = books_at(str(place / uri), whole=whole)
    assert ([one.category for one in books], found) == (categories, version)
    assert all(one.entries() for one in books)


@pytest.mark.parametrize("uri", ["", "models", "models/parts/mono", "models/others"])
def test_where_there_are_none(place: Path, uri: str) -> None:
    with pytest.raises(VqiError, match="no verdicts at"):
        books_at(str(place / uri), whole=True)


def test_a_model_outside_of_a_store_keeps_none(place: Path) -> None:
    (place / "models/parts/mono").rename(place / "mine")
    with pytest.raises(VqiError, match=r"mine/v1: expected a model in a store, such as store/models/parts/bracket"):
        answered_at(str(place / "mine/v1"))


def test_thresholds_are_looked_up_once(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    has = Category.has

    def noted(category: Category, number: int) -> bool:
        asked.append(number)
        return has(category, number)

    monkeypatch.setattr(Category, "has", noted)
    thresholds = Thresholds(Category(FolderStore(place), "models/parts/mono/"))
    assert [thresholds.of(number) for number in (1, 2, 1, 2)] == [1.0, 2.0, 1.0, 2.0]
    for _ in range(2):
        with pytest.raises(VqiError, match="there is no v9 in"):
            thresholds.of(9)
    assert asked == [1, 2, 9]


def test_the_newest_version_of_each_category_that_has_verdicts(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    say(book_at(place), ("good", 2))
    say(book_at(place), ("defect", 2), version=2, first=1)
    say(book_at(place, "models"), ("good", 2))
    say(book_at(place, "damaged"), ("good", 2))
    (damaged,) = (place / "verdicts/parts/damaged").glob("answers/*/*.jsonl")
    damaged.write_text("{}\n")
    found = newest_in_the_field(FolderStore(place), dict.fromkeys(["damaged", "models", "mono", "nothing"], "parts"))
    assert [(one.category, one.version, one.contradicted) for one in found] == [("models", 1, 1.0), ("mono", 2, 0.0)]
    assert "what operators say of damaged is not in the table: " in capsys.readouterr().err
