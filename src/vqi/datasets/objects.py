"""Many small objects of a bucket, or files of a server, into the local cache: several at once, each whole or not there.

A file of the cache is named by where the object is and by its version, so that only what is new is fetched, and a
killed process loses the objects that were under way and no other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

from vqi.digests import sha256_bytes
from vqi.progress import track
from vqi.store import S3Store, VersionInfo
from vqi.unpacking.spool import require_room

AT_ONCE = 16

Item = TypeVar("Item")
Result = TypeVar("Result")


class Cached(NamedTuple):
    """An object and where it is in the cache."""

    version: VersionInfo
    path: Path


def fetch_objects(store: S3Store, versions: Sequence[VersionInfo], folder: Path) -> list[Cached]:
    """The objects in ``folder``, in the given order; those that are there already are not asked for.

    Raises:
        VqiError: an object is gone, is another version by now, or cannot be fetched; or the disk has no room.
    """
    cached = [Cached(version, folder / cache_name(store, version)) for version in versions]
    missing = [one for one in cached if not _is_there(one)]
    require_room(folder, sum(one.version.size for one in missing))
    at_once(lambda one: store.get_version(one.version, one.path), missing, f"fetch {store.uri}")
    return cached


def at_once(work: Callable[[Item], Result], items: Sequence[Item], what: str) -> list[Result]:
    """What ``work`` gives for each item, in their order, several at a time; the first error ends it."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            return list(track(pool.map(work, items), len(items), what))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def cache_name(store: S3Store, version: VersionInfo) -> str:
    """The path of an object within the cache."""
    digest = sha256_bytes("\0".join([store.endpoint, store.uri, version.key, version.etag, str(version.size)]).encode())
    return f"objects/{digest[:2]}/{digest[2:]}"


def _is_there(one: Cached) -> bool:
    return one.path.is_file() and one.path.stat().st_size == one.version.size
