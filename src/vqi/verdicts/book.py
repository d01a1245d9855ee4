"""Where the verdicts of a category are in the store: ``verdicts/<dataset>/<category>/``, names as in ``store.names``.

``answers/<sha256 of the photograph>/<time>-<digest>.jsonl`` for one answer, ``imports/<time>-<digest>.jsonl`` for those
of a file, ``photographs/<sha256>.<ending>``. Nothing is ever changed. The digest is that of what is written: so two
people never write the same name, and who writes once more what was written already writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from vqi.digests import sha256_bytes
from vqi.errors import VqiError
from vqi.photographs.opening import open_image
from vqi.store.interface import Store
from vqi.store.names import key_of, name_of
from vqi.system.concurrency import AT_ONCE
from vqi.verdicts.records import Entry, entries_in, lines_of

VERDICTS = "verdicts"  # begins the keys of all
ANSWERS, IMPORTS, PHOTOGRAPHS = "answers", "imports", "photographs"
_DIGITS = 16
_ANY_SIZE = 1 << 62  # pixels
_ENDINGS = {"JPEG": "jpg", "MPO": "jpg", "TIFF": "tif", "JPEG2000": "jp2"}  # of others it is the format itself


@dataclass(frozen=True)
class Book:
    """The verdicts of a category."""

    store: Store
    dataset: str
    category: str

    def key(self, name: str) -> str:
        """The key of something of the book."""
        return f"{VERDICTS}/{key_of(self.dataset)}/{key_of(self.category)}/{name}"

    def entries(self) -> list[Entry]:
        """All entries, in no order.

        Raises:
            VqiError: One of them is damaged, or the store does not respond.
        """
        return self._read([*self._keys(f"{ANSWERS}/"), *self._keys(f"{IMPORTS}/")])

    def of(self, sha256: str) -> list[Entry]:
        """The entries on one photograph. Raises as ``entries``."""
        return self._read([*self._keys(f"{ANSWERS}/{sha256}/"), *self._keys(f"{IMPORTS}/")], sha256)

    def add(self, entries: Sequence[Entry]) -> None:
        """Keep entries, all of them or none.

        Raises:
            VqiError: The store cannot be written.
        """
        data = lines_of(entries)
        one = len(entries) == 1
        folder = f"{ANSWERS}/{entries[0].sha256}" if one else IMPORTS
        when = entries[0].at.astimezone(UTC) if one else datetime.now(UTC)
        name = f"{when:%Y%m%dT%H%M%S.%fZ}-{sha256_bytes(data)[:_DIGITS]}.jsonl"
        self.store.put_if_absent(self.key(f"{folder}/{name}"), data)  # where it is there, it is the same

    def keep(self, data: bytes, name: str) -> str:
        """Keep a photograph, once.

        Args:
            data: Of its file.
            name: For errors.

        Returns:
            The name under which it is kept.

        Raises:
            VqiError: It is none, or the store cannot be written.
        """
        kept = f"{sha256_bytes(data)}.{ending_of(data, name)}"
        self.store.put_if_absent(self.key(f"{PHOTOGRAPHS}/{kept}"), data)
        return kept

    def photograph(self, kept: str) -> bytes:
        """A photograph by the name under which it is kept.

        Raises:
            VqiError: It is not there, damaged, or another one.
        """
        key = self.key(f"{PHOTOGRAPHS}/{kept}")
        data = self.store.get_bytes(key)
        if sha256_bytes(data) != kept.partition(".")[0]:
            raise VqiError(f"{self.store.uri_of(key)}: not the photograph whose digest is its name: remove it")
        return data

    def photographs(self) -> set[str]:
        """The names of those that are kept."""
        prefix = self.key(f"{PHOTOGRAPHS}/")
        return {one.key.removeprefix(prefix) for one in self.store.list(prefix)}

    def _keys(self, folder: str) -> list[str]:
        return [one.key for one in self.store.list(self.key(folder)) if one.key.endswith(".jsonl")]

    def _read(self, keys: Sequence[str], sha256: str = "") -> list[Entry]:
        def read(key: str) -> list[Entry]:
            return entries_in(self.store.get_bytes(key), self.store.uri_of(key), sha256)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            return [entry for entries in pool.map(read, keys) for entry in entries]


def books_in(store: Store) -> list[Book]:
    """The books of all categories that have entries, in the order of their names."""
    places = set()
    for one in store.list(f"{VERDICTS}/"):
        parts = one.key.split("/")
        if len(parts) > 4 and parts[3] in (ANSWERS, IMPORTS):
            places.add((name_of(parts[1]), name_of(parts[2])))
    return [Book(store, dataset, category) for dataset, category in sorted(places)]


def ending_of(data: bytes, name: str) -> str:
    """The usual ending of a photograph's file, without its dot, told from its content; nothing is decoded.

    Raises:
        VqiError: It is no photograph.
    """
    kind = open_image(data, name, _ANY_SIZE).format or ""
    return _ENDINGS.get(kind, kind.lower())
