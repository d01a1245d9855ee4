"""The source ``archive:<http(s)://, s3:// or path>``: a tar (plain, gz, bz2, xz, zst) or zip, MVTec-AD-like."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from vqi.artifacts.catalog import Licence
from vqi.artifacts.left_out import Reason, merged
from vqi.config import SourceRequest
from vqi.datasets.advice import ARCHIVE_ENDINGS, instead
from vqi.datasets.arrangements import ARRANGEMENTS, EVERY, Arrangement, Placed, parted
from vqi.datasets.layout import EXPECTED, Dataset, Entry, check_categories, unreadable
from vqi.datasets.left_out import summary
from vqi.datasets.objects import open_versions
from vqi.datasets.placing import is_unsplit_good
from vqi.digests import sha256_file
from vqi.errors import VqiError
from vqi.progress import message
from vqi.redaction import shown
from vqi.store.opening import split_uri
from vqi.system.cache import cache_folder
from vqi.system.paths import local_path
from vqi.transfer.fetching import fetch
from vqi.transfer.unpacking.unpack import Spool, unpack


def read(argument: str, request: SourceRequest) -> Dataset:
    """The dataset in an archive.

    Raises:
        VqiError: it cannot be fetched, is not safe, has no image in the layout, or lacks a category that was asked for.
    """
    if not argument:
        raise VqiError("the source 'archive' needs a place: expected archive:<http(s)://, s3:// or path>")
    if better := instead("archive", argument):
        raise VqiError(f"'{argument}' is not an archive: write '{better}'")
    name = ARCHIVE_ENDINGS.sub("", shown(argument).rstrip("/").rpartition("/")[2]) or "archive"
    return open_archive(name, locate(argument, request.sha256), ARRANGEMENTS["mvtec"], request, None)


def locate(place: str, sha256: str) -> Path:
    """The archive as a local file, checked against ``sha256`` where there is one; fetched into the cache if need be."""
    scheme = place.partition("://")[0] if "://" in place else ""
    if scheme in ("http", "https"):
        return fetch(place, cache_folder(), sha256)
    if scheme == "s3":
        store_uri, key = split_uri(place)
        store = open_versions(store_uri)
        signed = store.signed_url(key)  # fetches the object for a while without further credentials
        return fetch(signed, cache_folder(), sha256, identity=place, authorities=store.authorities)
    if scheme not in ("", "file"):
        raise VqiError(f"an archive at '{place}' cannot be fetched: expected http(s)://, s3:// or a path")
    path = local_path(place.removeprefix("file://"))
    if not path.is_file():
        raise VqiError(f"there is no archive at {path}: expected a tar or zip file")
    if sha256 and (got := sha256_file(path)) != sha256:
        raise VqiError(f"{path} is not what it should be: expected sha256 {sha256}, got {got}; nothing was unpacked")
    return path


class Members:
    """Which members of an archive are kept, and what is known of the others."""

    def __init__(self, archive: str, arrangement: Arrangement, wanted: Sequence[str]) -> None:
        self._archive, self._arrangement, self._wanted = archive, arrangement, set(wanted)
        self.categories: set[str] = set()  # all of them
        self.roots: dict[str, str] = {}  # the folder of each
        self.left: list[str] = []  # members that are not part of the dataset

    def keep(self, member: str) -> bool:
        """Note a member; whether it is in a category that was asked for."""
        category = self._category_of(member)
        if category is None:
            self.left.append(member)
        elif category != EVERY:
            self.categories.add(category)
            self.roots[parted(member)[0]] = category
        return self.is_wanted(member)

    def is_wanted(self, member: str) -> bool:
        """Whether a member is in a category that was asked for."""
        category = self._category_of(member)
        return category is not None and (not self._wanted or category == EVERY or category in self._wanted)

    def _category_of(self, member: str) -> str | None:
        return self._arrangement.category_of(member, self._archive)


def open_archive(
    name: str, path: Path, arrangement: Arrangement, request: SourceRequest, licence: Licence | None
) -> Dataset:
    """The dataset ``name`` in the archive at ``path``; categories that were not asked for are left out.

    Raises:
        VqiError: see ``read``.
    """
    members = Members(name, arrangement, request.only_categories)
    message(f"unpack {path.name}")
    spool = unpack(path, cache_folder(), members.keep)
    odd: dict[str, Reason] = dict.fromkeys(spool.odd, "no file")
    if not members.categories:
        raise VqiError(f"no images of the known layout in archive '{name}': {EXPECTED}{_found(members.left, odd)}")
    check_categories(request.only_categories, members.categories)
    files: dict[str, dict[str, Entry]] = defaultdict(dict)
    taken: dict[tuple[str, str], str] = {}
    for placed in arrangement.place([*spool.names, *filter(members.is_wanted, spool.odd)], spool.read, name):
        other = taken.setdefault((placed.category, placed.path), placed.member)
        if other != placed.member:
            raise VqiError(
                f"archive '{name}' has category '{placed.category}' twice: {other} and {placed.member}; pack it once"
            )
        files[placed.category][placed.path] = _entry(placed, spool)
    categories = {category: tuple(files[category].values()) for category in sorted(files)}
    left_out = summary(members.left, odd, members.roots, request.only_categories)
    return Dataset(name, licence, categories, left_out=left_out)


def _entry(placed: Placed, spool: Spool) -> Entry:
    odd = spool.odd.get(placed.member)
    return unreadable(placed.path, odd) if odd else Entry(placed.path, partial(spool.read, placed.member))


def _found(left: Sequence[str], odd: Mapping[str, Reason]) -> str:
    """What an archive has instead of images of the layout, and what to do where it could be made to fit."""
    known = "; ".join(one.text for one in merged(summary(left, odd, {})))
    pairs = next((path for path in left if is_unsplit_good("/".join(path.split("/")[-2:]))), "")
    unpack_it = "; good and defective parts without train and test: unpack it and write folder:<where>" if pairs else ""
    return f"; found {known or 'no files at all'}{unpack_it}"
