"""Where a service keeps what operators say, and the last photographs that it scored, which can be answered."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from vqi.serving.finding import origin_of
from vqi.store.opening import check_store, open_store
from vqi.verdicts.book import Book
from vqi.verdicts.records import Scored

REMEMBERED = 1000  # photographs; of each, its score


@dataclass(frozen=True)
class Keeping:
    """Where verdicts are kept."""

    books: Mapping[str, Book]  # by the name of the model
    photographs: bool  # whether those that are answered are kept, too


def keeping_at(store: str, places: Mapping[str, str], *, photographs: bool) -> Keeping:
    """What keeps the verdicts on models, by their datasets and categories, in a store.

    Args:
        store: Its uri.
        places: Of the models, by name; see ``vqi.serving.finding.places_of``.
        photographs: Whether those that are answered are kept, too.

    Raises:
        VqiError: There can be no store, this user cannot write to it, or there is no model at a place.
    """
    check_store(store)
    opened = open_store(store)
    opened.check()
    return Keeping({name: Book(opened, *origin_of(place)) for name, place in places.items()}, photographs)


class Recent(NamedTuple):
    """A photograph that was scored."""

    scored: Scored
    data: bytes | None  # its file; None where it is not kept


class Recents:
    """The last photographs that were scored, of a bounded size. To be used by one event loop.

    Args:
        most: Photographs.
        size: Bytes of their files.
    """

    def __init__(self, most: int, size: int) -> None:
        self._most, self._size, self._held = most, size, 0
        self._known: OrderedDict[tuple[str, str], Recent] = OrderedDict()

    def add(self, model: str, recent: Recent) -> None:
        """Remember a photograph, and forget the oldest ones beyond the bounds."""
        key = model, recent.scored.sha256
        self._forget([key] if key in self._known else [])
        self._known[key] = recent
        self._held += _bytes_of(recent)
        while len(self._known) > self._most or (self._held > self._size and len(self._known) > 1):
            self._forget([next(iter(self._known))])

    def of(self, model: str, sha256: str) -> Recent | None:
        """A photograph by its digest; None where it is not known, or no longer."""
        return self._known.get((model, sha256))

    def _forget(self, keys: Iterable[tuple[str, str]]) -> None:
        for key in keys:
            self._held -= _bytes_of(self._known.pop(key))


def _bytes_of(recent: Recent) -> int:
    return len(recent.data or b"")
