"""The source ``csv:<path or uri>``: a table of images, local, behind http(s):// or in a bucket; see ``table_rows``.

Paths are relative to the table. A file that is not there is one bad image, not the end. A group is the sub-folder in
which its images are in the dataset.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

from vqi.config import SourceRequest
from vqi.datasets.advice import WEB, instead
from vqi.datasets.layout import EXTENSIONS, MASK_ENDING, Dataset, Entry, check_categories, is_image_name, unreadable
from vqi.datasets.local import read_file
from vqi.datasets.objects import fetch_objects, open_versions
from vqi.datasets.table_rows import Row, file_name, read_table
from vqi.errors import VqiError
from vqi.photographs.unreadable import UnreadableImage
from vqi.redaction import shown
from vqi.store.interface import VersionedStore, VersionInfo
from vqi.store.names import key_of
from vqi.store.opening import file_path, read_uri
from vqi.system.cache import cache_folder
from vqi.system.concurrency import at_once
from vqi.transfer.fetching import NotThere, fetch, fetch_all

Read = Callable[[], bytes]


def read(argument: str, request: SourceRequest) -> Dataset:
    """The dataset that a table lists.

    Raises:
        VqiError: the table is not there, or a line of it makes no sense; the message has its number.
    """
    if not argument:
        raise VqiError("the source 'csv' needs a table: expected csv:<http(s)://, s3:// or path of a .csv file>")
    if better := instead("csv", argument):
        raise VqiError(f"'{argument}' is not a table: write '{better}'")
    base = (shown(argument) if argument.startswith(WEB) else argument).rpartition("/")[0]
    name = file_name(argument).rpartition(".")[0] or "table"
    rows = read_table(_read_table(argument), argument, base or ("/" if argument.startswith("/") else "."), name)
    known = sorted({row.category for row in rows})
    check_categories(request.only_categories, known)
    rows = [row for row in rows if not request.only_categories or row.category in request.only_categories]
    readers = _readers(rows)
    names = unique_names(rows)
    entries: dict[str, list[Entry]] = defaultdict(list)
    for row in rows:
        image = f"{key_of(row.group)}/{names[row.line]}" if row.group else names[row.line]  # a group is a sub-folder
        entries[row.category].append(_entry(f"{row.split}/{row.defect_type}/{image}", row.place, readers))
        if row.mask:
            mask = f"{_stem(image)}{MASK_ENDING}.{file_name(row.mask).rpartition('.')[2]}"
            entries[row.category].append(_entry(f"ground_truth/{row.defect_type}/{mask}", row.mask, readers))
    return Dataset(name, None, {category: tuple(entries[category]) for category in sorted(entries)})


def unique_names(rows: list[Row]) -> dict[int, str]:
    """A file name for each line: its own, or its whole path where another image of the category has the same.

    The path is taken as written, so that a table and its images are the same dataset wherever they are.
    """
    own = {row.line: file_name(row.place) for row in rows}
    stems = Counter((row.category, _stem(own[row.line])) for row in rows)
    names = {
        row.line: own[row.line]
        if stems[row.category, _stem(own[row.line])] == 1
        else re.sub(r"[/\\:]+", "_", _bare(row.written)).lstrip("._")
        for row in rows
    }
    if len({(row.category, _stem(names[row.line])) for row in rows}) < len(rows):
        raise VqiError("two images of the table would have the same name: rename one of them")
    return names


def _entry(path: str, place: str, readers: dict[str, Read | NotThere]) -> Entry:
    """A file of the table; one that cannot be read where it is not there."""
    if not is_image_name(path.rpartition("/")[2]):
        return unreadable(path, f"of a kind that is not read: expected {', '.join(sorted(EXTENSIONS))}")
    reader = readers[place]
    return unreadable(path, str(reader)) if isinstance(reader, NotThere) else Entry(path, reader)


def _bare(place: str) -> str:
    """A place without its scheme and signature."""
    return (shown(place) if place.startswith(WEB) else place).rpartition("://")[2]


def _stem(name: str) -> str:
    return name.rpartition(".")[0]


def _readers(rows: list[Row]) -> dict[str, Read | NotThere]:
    """What reads each image and mask. Those of servers and buckets are fetched now, several at a time."""
    places = sorted({place for row in rows for place in (row.place, row.mask) if place})
    web = [place for place in places if place.startswith(WEB)]
    files: dict[str, Path | NotThere] = {}
    if web:
        files = dict(zip(web, fetch_all(web, cache_folder(), "fetch images"), strict=True))
    buckets: dict[str, list[str]] = defaultdict(list)
    for place in places:
        if place.startswith("s3://"):
            bucket, _, key = place.removeprefix("s3://").partition("/")
            buckets[bucket].append(key)
    for bucket, keys in sorted(buckets.items()):
        files |= {f"s3://{bucket}/{key}": file for key, file in _from_bucket(bucket, keys).items()}
    found: dict[str, Read | NotThere] = {place: _local_reader(place) for place in places if place not in files}
    return found | {
        place: file if isinstance(file, NotThere) else partial(read_file, file, place) for place, file in files.items()
    }


def _from_bucket(bucket: str, keys: list[str]) -> dict[str, Path | NotThere]:
    """The objects as they are now, in the cache."""
    store = open_versions(f"s3://{bucket}")
    versions = at_once(partial(_version_of, store), keys, f"look into {store.uri}")
    there = [version for version in versions if isinstance(version, VersionInfo)]
    found: dict[str, Path | NotThere] = {
        key: version for key, version in zip(keys, versions, strict=True) if isinstance(version, NotThere)
    }
    return found | {one.version.key: one.path for one in fetch_objects(store, there, cache_folder())}


def _version_of(store: VersionedStore, key: str) -> VersionInfo | NotThere:
    try:
        return store.version_of(key)
    except VqiError as error:
        if store.exists(key):
            raise
        return NotThere(str(error))


def _read_table(place: str) -> bytes:
    if place.startswith(WEB):
        return fetch(place, cache_folder()).read_bytes()
    if place.startswith("s3://"):
        return read_uri(place)
    try:
        return _local_reader(place)()
    except UnreadableImage as error:
        raise VqiError(f"cannot read {place}: {error.reason}") from error


def _local_reader(place: str) -> Read:
    if "://" in place and not place.startswith("file://"):
        raise VqiError(f"'{place}' cannot be read: expected http(s)://, s3:// or a path")
    path = file_path(place) if "://" in place else Path(os.path.expanduser(place))  # noqa: PTH111 - never fails
    return partial(read_file, path, place)
