"""The networks of a dataset's models, each kept once: ``models/<dataset>/backbones/<sha256>.safetensors``.

A manifest names the digest. Whoever publishes takes a number first, in a record that names the network, and then looks
whether the network is marked (``<sha256>.removal``); whoever removes one marks it first, and then looks who needs it.
So one of the two sees the other: the network stays, or the new version keeps a copy of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import AwareDatetime

from vqi.errors import UnavailableError, VqiError
from vqi.progress import message
from vqi.records import Record
from vqi.store.interface import ObjectInfo, Store
from vqi.store.kept import kept
from vqi.system.scratch import scratch_folder

BACKBONES = "backbones"  # no version is called so: a category of this name has its versions beside the networks
ENDING, _MARK = ".safetensors", ".removal"


def is_network(key: str) -> bool:
    """Whether a key of a store is that of a network, or of its mark."""
    *_, above, name = ("", "", *key.split("/"))
    return above == BACKBONES and name.endswith((ENDING, _MARK))


class Removal(Record):
    """Somebody removes a network."""

    at: AwareDatetime


@dataclass(frozen=True)
class Backbones:
    """The networks of a dataset."""

    store: Store
    prefix: str  # of the keys, with a slash at its end

    def key(self, digest: str) -> str:
        """The key of a network."""
        return f"{self.prefix}{digest}{ENDING}"

    def has(self, digest: str) -> bool:
        """Whether a network is there."""
        return self.store.exists(self.key(digest))

    def keep(self, digest: str, path: Path) -> bool:
        """Keep a network, unless it is there. It is read for that: a damaged one would be that of all versions to come.

        Returns:
            False where somebody removes it: it must not be relied on.
        """
        if self.store.exists(self._mark(digest)):
            return False
        if not self._is_whole(digest):
            self.store.put_file(self.key(digest), path)
        return True

    def _is_whole(self, digest: str) -> bool:
        if not self.has(digest):
            return False
        try:
            with scratch_folder() as folder:
                return self.store.get_file(self.key(digest), folder / "network") == digest
        except UnavailableError:
            raise
        except VqiError as error:
            message(f"note: {error}; it is written again")
            return False

    def digest_of(self, key: str) -> str:
        """The digest of the network that a key of it, or of its mark, stands for."""
        return key.removeprefix(self.prefix).removesuffix(ENDING).removesuffix(_MARK)

    def all(self) -> dict[str, ObjectInfo]:
        """The networks that are there, by digest."""
        return self._listed(ENDING)

    def marked(self) -> dict[str, ObjectInfo]:
        """The marks of networks that somebody removes, or removed when he was killed, by digest."""
        return self._listed(_MARK)

    def remove(self, digests: Iterable[str], needed: Callable[[], Collection[str]], stale: datetime) -> set[str]:
        """Remove networks that are not needed, and that nobody else removes.

        Args:
            digests: Of the networks.
            needed: Which ones are needed; it is asked once they are marked.
            stale: Whoever marked one before this moment was killed.

        Returns:
            Those that were removed.
        """
        with ExitStack() as stack:
            mine = [one for one in digests if stack.enter_context(self._marked(one, stale))]
            stay = needed() if mine else ()
            removed = {one for one in mine if one not in stay}
            for one in removed:
                self.store.delete(self.key(one))
        return removed

    def _listed(self, ending: str) -> dict[str, ObjectInfo]:
        named = ((one.key.removeprefix(self.prefix), one) for one in self.store.list(self.prefix))
        return {name.removesuffix(ending): one for name, one in named if "/" not in name and name.endswith(ending)}

    @contextmanager
    def _marked(self, digest: str, stale: datetime) -> Iterator[bool]:
        """A network is marked until the end of the block; False where somebody else has marked it."""
        key, data = self._mark(digest), Removal(at=datetime.now(UTC)).model_dump_json().encode()
        if not self.store.put_if_absent(key, data):
            there = self.store.get_tagged(key)
            mark = kept(Removal, self.store, key, "it is taken for an old one") if there else None
            if there is None or (mark and mark.at > stale) or not self.store.replace(key, data, there.tag):
                yield False
                return
        try:
            yield True
        finally:
            self.store.delete(key)

    def _mark(self, digest: str) -> str:
        return f"{self.prefix}{digest}{_MARK}"
