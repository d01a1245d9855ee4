"""Operators' verdicts on what a model of the store scored: which records those are, and which version is meant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from vqi.errors import VqiError
from vqi.models.category import MODELS, Category
from vqi.models.figures import metrics_of
from vqi.models.overview import version_in_store
from vqi.store.names import name_of
from vqi.store.opening import open_store
from vqi.verdicts.book import Book, books_in


class Answered(NamedTuple):
    """A version of a model, and the verdicts of its category."""

    category: Category
    version: int
    book: Book


def answered_at(uri: str) -> Answered:
    """The version at a uri, of a category its champion, and the verdicts of its category.

    Raises:
        VqiError: There is no model, or it is not in a store.
    """
    category, number = version_in_store(uri)
    book = book_of(category)
    if book is None:
        raise VqiError(
            f"{uri}: expected a model in a store, such as store/{MODELS}/parts/bracket, which keeps verdicts"
        )
    return Answered(category, number, book)


def book_of(category: Category) -> Book | None:
    """The verdicts of a category; None for one that is not in a store."""
    root, parts = _split(category.uri, (2,))
    return Book(open_store(root), *map(name_of, parts)) if parts else None


def books_at(uri: str, *, whole: bool) -> tuple[list[Book], int]:
    """The verdicts of the categories at a uri: of a store, of a dataset in it, of a category or a version.

    Args:
        uri: Where they are.
        whole: Whether all versions are meant where none is named; else the champion.

    Returns:
        The categories that have verdicts, and the version that is meant; 0 for all.

    Raises:
        VqiError: There are none, or a single model is needed and not named.
    """
    root, parts = _split(open_store(uri).uri, (3, 2, 1, 0))
    if not whole or len(parts) > 2:
        found = answered_at(uri)
        return [found.book], found.version
    names = tuple(map(name_of, parts))
    books = [one for one in books_in(open_store(root)) if (one.dataset, one.category)[: len(names)] == names]
    if not books:
        raise VqiError(f"no verdicts at {uri}: 'vqi verdict MODEL IMAGE good' keeps one, 'vqi serve --verdicts' many")
    return books, 0


def _split(uri: str, lengths: Sequence[int]) -> tuple[str, list[str]]:
    """The uri of a store, and what follows it and ``models/``: the keys of a dataset, a category, a version."""
    parts = uri.rstrip("/").split("/")
    for length in lengths:
        if len(parts) > length and parts[-length - 1] == MODELS:
            return "/".join(parts[: -length - 1]), parts[len(parts) - length :]
    return uri, []


class Thresholds:
    """The thresholds of the versions of a category, each looked up once."""

    def __init__(self, category: Category) -> None:
        self._category = category
        self._known: dict[int, float | VqiError] = {}

    def of(self, version: int) -> float:
        """That of a version.

        Raises:
            VqiError: There is no such version, or what was measured of it is damaged.
        """
        if version not in self._known:
            try:
                self._known[version] = self._look_up(version)
            except VqiError as error:
                self._known[version] = error
        found = self._known[version]
        if isinstance(found, VqiError):
            raise found
        return found

    def _look_up(self, version: int) -> float:
        if not self._category.has(version):
            raise VqiError(f"there is no v{version} in {self._category.uri}")
        return metrics_of(self._category, version).threshold
