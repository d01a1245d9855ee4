"""Fetch many small objects of a bucket, or files of a server, into the cache: several at a time, each whole or absent.

A file of the cache is named by where the object is and by its version, so that only what is new is fetched, and a
killed process loses the objects that were under way and no other.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from vqi.digests import sha256_bytes
from vqi.errors import VqiError
from vqi.store.interface import VersionedStore, VersionInfo
from vqi.store.opening import open_store
from vqi.system.atomic import TEMPORARY
from vqi.system.concurrency import at_once
from vqi.transfer.unpacking.spool import require_room

LEFT = f"{TEMPORARY}*"  # what a killed process leaves of an object
LEFT_SECONDS = 24 * 3600  # after which nobody is writing it any more


class Cached(NamedTuple):
    """An object and where it is in the cache."""

    version: VersionInfo
    path: Path


def open_versions(uri: str) -> VersionedStore:
    """The store at an s3:// uri.

    Raises:
        VqiError: it is another kind of uri, or the environment names no server or no key.
    """
    store = open_store(uri)
    if not isinstance(store, VersionedStore):
        raise VqiError(f"'{uri}' does not tell versions of its objects: expected s3://bucket or s3://bucket/prefix")
    return store


def fetch_objects(store: VersionedStore, versions: Sequence[VersionInfo], folder: Path) -> list[Cached]:
    """The objects in ``folder``, in the given order; those that are there already are not fetched.

    Raises:
        VqiError: an object is gone, has another version now, or cannot be fetched; or the disk has no room.
    """
    cached = [Cached(version, folder / cache_name(store, version)) for version in versions]
    missing = [one for one in cached if not _is_there(one)]
    clear(folder)
    require_room(folder, sum(one.version.size for one in missing))
    if missing:
        at_once(
            lambda one: store.get_version(one.version, one.path),
            missing,
            f"fetch {store.uri}",
            size=lambda one: one.version.size,
        )
    return cached


def clear(folder: Path) -> None:
    """Remove what killed processes left of objects in the cache ``folder``."""
    oldest = time.time() - LEFT_SECONDS
    for path in folder.glob(f"objects/*/{LEFT}"):
        with contextlib.suppress(FileNotFoundError):  # another process removes it as well
            if path.stat().st_mtime < oldest:
                path.unlink()


def cache_name(store: VersionedStore, version: VersionInfo) -> str:
    """The path of an object within the cache."""
    digest = sha256_bytes("\0".join([store.endpoint, store.uri, version.key, version.etag, str(version.size)]).encode())
    return f"objects/{digest[:2]}/{digest[2:]}"


def _is_there(one: Cached) -> bool:
    return one.path.is_file() and one.path.stat().st_size == one.version.size
