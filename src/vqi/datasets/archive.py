"""The source ``archive:<http(s)://, s3:// or path>``: a tar (plain, gz, bz2, xz, zst) or zip, MVTec-AD-like."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import partial
from pathlib import Path

from vqi.artifacts.catalog import Licence
from vqi.config import SourceRequest
from vqi.datasets.arrangements import ARRANGEMENTS, EVERY, Arrangement
from vqi.datasets.layout import EXPECTED, Dataset, Entry, check_categories
from vqi.datasets.objects import open_versions
from vqi.digests import sha256_file
from vqi.errors import VqiError
from vqi.progress import message
from vqi.store.opening import split_uri
from vqi.system.cache import cache_folder
from vqi.system.paths import local_path
from vqi.transfer.fetching import fetch, shown
from vqi.transfer.unpacking.unpack import unpack

ENDINGS = re.compile(r"\.(tar(\.\w+)?|tgz|tbz2?|txz|tzst|zip)$", re.IGNORECASE)


def read(argument: str, request: SourceRequest) -> Dataset:
    """The dataset in an archive.

    Raises:
        VqiError: it cannot be fetched, is not safe, has no image in the layout, or lacks a category that was asked for.
    """
    if not argument:
        raise VqiError("the source 'archive' needs a place: expected archive:<http(s)://, s3:// or path>")
    name = ENDINGS.sub("", shown(argument).rstrip("/").rpartition("/")[2]) or "archive"
    return open_archive(name, locate(argument, request.sha256), ARRANGEMENTS["mvtec"], request, None)


def locate(place: str, sha256: str) -> Path:
    """The archive as a local file, checked against ``sha256`` where there is one; fetched into the cache if need be."""
    scheme = place.partition("://")[0] if "://" in place else ""
    if scheme in ("http", "https"):
        return fetch(place, cache_folder(), sha256)
    if scheme == "s3":
        return fetch(_signed(place), cache_folder(), sha256, identity=place)
    if scheme not in ("", "file"):
        raise VqiError(f"an archive at '{place}' cannot be fetched: expected http(s)://, s3:// or a path")
    path = local_path(place.removeprefix("file://"))
    if not path.is_file():
        raise VqiError(f"there is no archive at {path}: expected a tar or zip file")
    if sha256 and (got := sha256_file(path)) != sha256:
        raise VqiError(f"{path} is not what it should be: expected sha256 {sha256}, got {got}; nothing was unpacked")
    return path


def open_archive(
    name: str, path: Path, arrangement: Arrangement, request: SourceRequest, licence: Licence | None
) -> Dataset:
    """The dataset ``name`` in the archive at ``path``; categories that were not asked for are left out.

    Raises:
        VqiError: see ``read``.
    """
    seen: set[str] = set()
    wanted = set(request.only_categories)

    def keep(member: str) -> bool:
        category = arrangement.category_of(member, name)
        if category:
            seen.add(category)
        return category is not None and (not wanted or category == EVERY or category in wanted)

    message(f"unpack {path.name}")
    spool = unpack(path, cache_folder(), keep)
    if not seen:
        raise VqiError(f"no images of the known layout in archive '{name}': {EXPECTED}")
    check_categories(request.only_categories, seen)
    files: dict[str, dict[str, Entry]] = defaultdict(dict)
    members: dict[tuple[str, str], str] = {}
    for placed in arrangement.place(spool.names, spool.read, name):
        other = members.setdefault((placed.category, placed.path), placed.member)
        if other != placed.member:
            raise VqiError(
                f"archive '{name}' has category '{placed.category}' twice: {other} and {placed.member}; pack it once"
            )
        files[placed.category][placed.path] = Entry(placed.path, partial(spool.read, placed.member))
    return Dataset(name, licence, {category: tuple(files[category].values()) for category in sorted(files)})


def _signed(uri: str) -> str:
    """An address that fetches an object for a while without further credentials."""
    store_uri, key = split_uri(uri)
    return open_versions(store_uri).signed_url(key)
