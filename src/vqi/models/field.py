"""What operators' verdicts say of a model: how often its alarms are false, against what was promised."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from vqi.errors import UnavailableError, VqiError
from vqi.intervals import least_number, proportion_interval
from vqi.models.answers import book_of
from vqi.models.category import Category, category_of
from vqi.models.figures import metrics_of
from vqi.models.overview import version_in_store
from vqi.progress import message
from vqi.store.interface import Store
from vqi.verdicts.book import Book
from vqi.verdicts.field import Field, Rate
from vqi.verdicts.standing import Standing, standing


def in_the_field(book: Book, version: int = 0, scored: int = 0) -> list[Field]:
    """The versions of a category that have verdicts, the newest first.

    Args:
        book: Of the category.
        version: The one that is wanted; 0 for all.
        scored: How many parts that version scored, where that is known: then those that nobody answered count as
            parts without a false alarm. 0: the rate is that of the good parts that were answered.

    Raises:
        VqiError: An entry is damaged, or more photographs were answered than scored.
    """
    of_versions = _by_version(book)
    wanted = sorted(of_versions, reverse=True) if not version else [version]
    return [_field(book, number, of_versions.get(number, []), scored) for number in wanted]


def newest_in_the_field(store: Store, datasets: Mapping[str, str]) -> list[Field]:
    """Of each category the newest version that has verdicts, that first whose operators disagree with it most.

    Verdicts that cannot be read cost no more than themselves, and are said.

    Args:
        store: Of models and verdicts.
        datasets: The names of the categories, and of each that of its dataset.

    Raises:
        UnavailableError: The store does not respond.
    """
    found = []
    for category, dataset in datasets.items():
        book = Book(store, dataset, category)
        try:
            if of_versions := _by_version(book):
                newest = max(of_versions)
                found.append(_field(book, newest, of_versions[newest], 0))
        except UnavailableError:
            raise
        except VqiError as error:
            message(f"note: what operators say of {category} is not in the table: {error}")
    return most_contradicted(found)


def fields_of(model: str) -> list[Field]:
    """What operators say of all versions of a category, the newest first.

    Verdicts that cannot be read cost no more than themselves, and are said.

    Args:
        model: The uri of one of the versions.

    Raises:
        UnavailableError: The store does not respond.
    """
    category, _ = version_in_store(model)
    book = book_of(category)
    try:
        return [] if book is None else in_the_field(book)
    except UnavailableError:
        raise
    except VqiError as error:
        message(f"note: what operators say is not in the report: {error}")
        return []


def most_contradicted(fields: Sequence[Field]) -> list[Field]:
    """Those first whose operators disagree with the model most."""
    return sorted(fields, key=lambda one: (-one.contradicted, one.dataset, one.category, -one.version))


def _by_version(book: Book) -> dict[int, list[Standing]]:
    of_versions: dict[int, list[Standing]] = defaultdict(list)
    for one in standing(book.entries()).values():
        of_versions[one.last.version].append(one)
    return of_versions


def _field(book: Book, version: int, found: Sequence[Standing], scored: int) -> Field:
    outcomes = Counter(one.last.outcome for one in found)
    false, true = outcomes["false alarm"], outcomes["true defect"]
    passed = outcomes["good part"]
    if scored and scored < len(found):
        raise VqiError(
            f"{book.dataset}/{book.category}: {scored:,} parts scored, and {len(found):,} of v{version} answered: "
            "expected the number of all parts that this version scored"
        )
    good = scored - true - outcomes["missed defect"] if scored else false + passed if passed else 0
    promised = _promised(category_of(book.store, book.dataset, book.category), version)
    return Field(
        dataset=book.dataset,
        category=book.category,
        version=version,
        answered=len(found),
        outcomes=dict(outcomes),
        disagreements=tuple(one.last.name for one in found if one.disagree),
        false_of_alarms=_rate(false, false + true),
        false_alarm_rate=_rate(false, good),
        promised=promised,
        kept_from=least_number(false, promised) if promised else None,
    )


def _rate(hits: int, of: int) -> Rate | None:
    if not of:
        return None
    low, high = proportion_interval(hits, of)
    return Rate(hits=hits, of=of, share=hits / of, low=low, high=high)


def _promised(category: Category, version: int) -> float | None:
    try:
        return metrics_of(category, version).target_fpr if category.has(version) else None
    except UnavailableError:
        raise
    except VqiError:  # of an earlier vqi: its figures are not known
        return None
