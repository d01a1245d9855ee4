"""What an object store is, and which keys it takes."""

from __future__ import annotations

import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from vqi.errors import VqiError

DIGESTS = ".sha256"  # the folder of digests in a FolderStore: hidden, and refused in a key
LARGEST_IN_MEMORY = 1 << 30  # bytes of an object that is read whole
READABLE = 0o644  # permissions of what a store writes: for all who may enter the folder, whatever the writer's umask


class ConditionsError(VqiError):
    """The server of a store ignores the conditions of writes, so that two writers at once could both win."""


class ObjectInfo(NamedTuple):
    """One object of a listing: its key within the store and its size in bytes."""

    key: str
    size: int
    modified: datetime | None = None  # None where the server does not say it


class Unfinished(NamedTuple):
    """What a writer that was killed, or that is still writing, left of an object."""

    key: str  # of the object to come; of a folder, of what is there
    upload: str  # how the server calls it; '' in a folder
    size: int  # bytes
    began: datetime | None  # None where the server does not say it


AllUnfinished = list[Unfinished]  # here, for in a store ``list`` is another thing


class Tagged(NamedTuple):
    """An object with what tells this version of it from others, for ``Store.replace``."""

    data: bytes
    tag: str


class VersionInfo(NamedTuple):
    """One version of an object of a bucket: another ETag is another version."""

    key: str
    etag: str
    size: int


class Store(ABC):
    """Objects by key under one URI. A put becomes visible whole or not at all; a get is checked against its sha256.

    Every method raises VqiError, in one line that says where, what was being done and what to do.
    """

    uri: str

    @abstractmethod
    def check(self) -> None:
        """Whether this can be a store, asked before work begins; nothing is written.

        Raises:
            VqiError: It cannot, or there is no key for it.
        """

    @abstractmethod
    def put_file(self, key: str, path: Path) -> None:
        """Store the file at ``path`` under ``key``, replacing what is there."""

    @abstractmethod
    def get_file(self, key: str, path: Path) -> str:
        """Copy the object to ``path``, whose folders are made; ``path`` appears only when complete and checked.

        Returns:
            Its sha256, which is computed on the way.
        """

    @abstractmethod
    def put_bytes(self, key: str, data: bytes) -> None:
        """Store ``data`` under ``key``, replacing what is there."""

    @abstractmethod
    def get_bytes(self, key: str) -> bytes:
        """The bytes of the object; it is held in memory, so this is for small ones, up to ``LARGEST_IN_MEMORY``."""

    @abstractmethod
    def exists(self, key: str) -> bool:
        """Whether there is an object of exactly this key."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove the object; one that is not there is not an error."""

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """The objects whose key starts with ``prefix`` (any text, not only whole folder names), sorted by key."""

    @abstractmethod
    def unfinished(self) -> AllUnfinished | None:
        """What is left of writes that did not end, those that still go on among them; None where a server does not
        tell."""

    @abstractmethod
    def discard(self, left: Unfinished) -> None:
        """Remove what is left of a write; one that is not there any more is not an error."""

    @abstractmethod
    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Store ``data`` only where ``key`` is free: True when stored, False when it was taken. Safe in a race."""

    @abstractmethod
    def get_tagged(self, key: str) -> Tagged | None:
        """A small object and its tag; None where there is none."""

    @abstractmethod
    def replace(self, key: str, data: bytes, tag: str) -> bool:
        """Store ``data`` only where the object is still the one of ``tag``: True when stored, False when it is another
        one, or gone. Safe in a race where ``check_conditions`` says so."""

    @abstractmethod
    def check_conditions(self, key: str) -> None:
        """Whether ``put_if_absent`` and ``replace`` are safe in a race here; it may be tried on an object of this
        ``key``, which is left there.

        Raises:
            ConditionsError: They are not: the server ignores conditions.
        """

    def uri_of(self, key: str) -> str:
        """The full URI of an object of this store."""
        return f"{self.uri.rstrip('/')}/{check_key(key)}"


class VersionedStore(Store):
    """A store that other people write to as well: it tells the versions of its objects apart."""

    endpoint: str  # of its server
    authorities: Path  # a file of the certificate authorities that vouch for it

    @abstractmethod
    def list_versions(self) -> tuple[VersionInfo, ...]:
        """All objects with their ETags, sorted by key."""

    @abstractmethod
    def version_of(self, key: str) -> VersionInfo:
        """An object as it is now; VqiError where there is none."""

    @abstractmethod
    def get_version(self, version: VersionInfo, path: Path) -> None:
        """Copy an object to ``path``, which appears only when complete; VqiError where it has another version now."""

    @abstractmethod
    def signed_url(self, key: str) -> str:
        """An address that gives the object to whoever has it, for a day; VqiError where there is no such object."""


def check_key(key: str) -> str:
    """``key`` itself when it stays inside the store, and is the same object in every store.

    Raises:
        VqiError: As for ``check_path``; or it has a backslash, which some servers take for a slash.
    """
    if "\\" in key:
        raise VqiError(f"{key!r} is not a key of an object: expected a relative name/with/slashes, without backslashes")
    return check_path(key)


def check_path(key: str) -> str:
    """``key`` itself when it stays inside the store; for what is there already, under a name that others gave it.

    Raises:
        VqiError: it is empty, absolute, has a ``..``, ``.`` or empty part or a control character, or names the
            folder of digests.
    """
    parts = key.split("/")
    if any(part in ("", ".", "..", DIGESTS) for part in parts) or any(unicodedata.category(one) == "Cc" for one in key):
        expected = "expected a relative name/with/slashes without '..' or control characters"
        raise VqiError(f"{key!r} is not a key of an object: {expected}")
    return key


def corrupted(uri: str, expected: str, got: str) -> VqiError:
    """The error for an object whose bytes are not those that were stored."""
    return VqiError(f"{uri} is corrupted: expected sha256 {expected}, got {got}; delete it and store it again")
