"""The versions of a category's model in the store: ``models/<dataset>/<category>/v<n>/``, names as in ``store.names``.

A version is complete when its ``manifest.json`` is there; that is written last. ``reserved.json`` is written first: it
takes the number, and says which package is to come, so that an interrupted upload is taken up where it was.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from pydantic import AwareDatetime

from vqi.errors import UnavailableError, VqiError
from vqi.models.backbones import BACKBONES, Backbones
from vqi.models.manifest import FILES, MANIFEST, Manifest, read_manifest
from vqi.progress import message
from vqi.records import Record, parse_json
from vqi.store.interface import Store
from vqi.store.names import key_of, name_of
from vqi.store.opening import open_store

RESERVED = "reserved.json"
VERDICT = "verdict.json"  # what the gate said; versions of an earlier vqi, and those of no run, have none
MODELS = "models"  # begins the keys of all models
VERSION = re.compile(r"v([1-9][0-9]{0,17})")


class Reservation(Record):
    """Who takes a number."""

    digest: str  # of the manifest to come
    backbone: str = ""  # digest of the network that it needs; '' where an earlier vqi wrote it: it brings its own
    at: AwareDatetime | None = None  # when an upload into it began; None where an earlier vqi wrote it


@dataclass(frozen=True)
class Category:
    """Where the versions of a category are."""

    store: Store
    prefix: str = ""  # of the keys, with a slash at its end; '' where the store is opened at the category

    @property
    def uri(self) -> str:
        """Of the category."""
        return self.store.uri_of(self.prefix[:-1]) if self.prefix else self.store.uri.rstrip("/")

    def uri_of(self, number: int) -> str:
        """The uri of a version."""
        return f"{self.uri}/v{number}"

    def key(self, name: str) -> str:
        """The key of something of the category, such as ``v1/manifest.json``."""
        return f"{self.prefix}{name}"

    @property
    def backbones(self) -> Backbones:
        """The networks that the versions of all categories of its dataset share."""
        *above, _ = self.prefix[:-1].split("/")
        if above:
            return Backbones(self.store, f"{'/'.join(above)}/{BACKBONES}/")
        return Backbones(open_store(self.uri.rpartition("/")[0]), f"{BACKBONES}/")

    def files(self) -> dict[int, dict[str, int]]:
        """The files of each version, complete or not, with their sizes in bytes; by its number, which counts up."""
        found: dict[int, dict[str, int]] = {}
        for entry in self.store.list(self.prefix):
            version, _, name = entry.key.removeprefix(self.prefix).partition("/")
            if name and (match := VERSION.fullmatch(version)):
                found.setdefault(int(match[1]), {})[name] = entry.size
        return dict(sorted(found.items()))

    def complete(self) -> list[int]:
        """The numbers of the complete versions, counting up."""
        return [number for number, names in self.files().items() if MANIFEST in names]

    def has(self, number: int) -> bool:
        """Whether there is a complete version of that number."""
        return self.store.exists(self.key(f"v{number}/{MANIFEST}"))

    def manifest(self, number: int) -> Manifest:
        """The manifest of a version.

        Raises:
            VqiError: It is damaged, of another format, or not there.
        """
        return read_manifest(self.store.get_bytes(self.key(f"v{number}/{MANIFEST}")), self.uri_of(number))

    def is_whole(self, number: int, files: Mapping[int, Mapping[str, int]]) -> bool:
        """Whether all files of a version are there; ``files``: those of all versions.

        Raises:
            VqiError: As ``manifest``.
        """
        manifest = self.manifest(number)
        return all(
            self.backbones.has(manifest.files[name])
            if name in manifest.by_digest
            else name in files.get(manifest.shared.get(name, number), {})
            for name in FILES
        )

    def digest_of(self, number: int) -> str:
        """The digest of a version; '' for one that is damaged, or of another format: it must not block a new one."""
        try:
            return self.manifest(number).digest
        except UnavailableError:
            raise
        except VqiError as error:
            message(f"note: {error}")
            return ""

    def reservation(self, number: int) -> tuple[Reservation, str] | None:
        """Who took a number, and the tag of that record; None for nobody, and for a damaged one, which is said."""
        key = self.key(f"v{number}/{RESERVED}")
        try:
            found = self.store.get_tagged(key)
            if found is None:
                return None
            return parse_json(
                Reservation, found.data, self.store.uri_of(key), "its number is not used again"
            ), found.tag
        except UnavailableError:
            raise
        except VqiError as error:
            message(f"note: {error}")
            return None


def category_of(store: Store, dataset: str, category: str) -> Category:
    """The category of a dataset; both by their names, as people write them."""
    return Category(store, f"{MODELS}/{key_of(dataset)}/{key_of(category)}/")


def categories_below(store: Store, prefix: str = f"{MODELS}/") -> list[Category]:
    """The categories below a prefix of a store that have versions, complete or not, in the order of their names."""
    prefixes = set()
    for entry in store.list(prefix):
        parts = entry.key.split("/")
        if len(parts) > 1 and parts[-1] in (MANIFEST, RESERVED) and VERSION.fullmatch(parts[-2]):
            prefixes.add("".join(f"{part}/" for part in parts[:-2]))
    return [Category(store, one) for one in sorted(prefixes)]


def names_of(category: Category) -> tuple[str, str]:
    """The names of a category's dataset and of the category, from where it is."""
    parts = category.uri.split("/")
    return name_of(parts[-2]), name_of(parts[-1])


class Claim(NamedTuple):
    """The number of a package's version."""

    number: int
    complete: bool  # whether it is there already


def claim(category: Category, digest: str, backbone: str) -> Claim:
    """The version that a package is already, or the number under which it is to be uploaded.

    That is the number of an interrupted upload of the same package, else the next free one, which is taken.

    Args:
        category: Of the package.
        digest: Of the package.
        backbone: Digest of its network, which is not removed from then on.
    """
    record = Reservation(digest=digest, backbone=backbone)
    files = category.files()
    complete = [number for number, names in files.items() if MANIFEST in names]
    for number in reversed(complete):  # most often it is the newest
        if category.digest_of(number) == digest:
            return Claim(number, complete=True)
    for number in files.keys() - complete:
        if _taken_up(category, number, record):
            return Claim(number, complete=False)
    number = max(files, default=0) + 1
    while True:
        if category.store.put_if_absent(category.key(f"v{number}/{RESERVED}"), _now(record)):
            return Claim(number, complete=False)
        if category.has(number):  # somebody was faster
            if category.digest_of(number) == digest:
                return Claim(number, complete=True)
        elif _taken_up(category, number, record):
            return Claim(number, complete=False)
        number += 1


def _taken_up(category: Category, number: int, record: Reservation) -> bool:
    """Whether an incomplete version is one of this package, and its upload goes on: from now on it is a young one."""
    found = category.reservation(number)
    if found is None or found[0].digest != record.digest:
        return False
    if category.store.replace(category.key(f"v{number}/{RESERVED}"), _now(record), found[1]):
        return True
    again = category.reservation(number)  # another publisher of the same package, or it is being removed
    return again is not None and again[0].digest == record.digest


def _now(record: Reservation) -> bytes:
    return record.model_copy(update={"at": datetime.now(UTC)}).model_dump_json().encode()
