"""The source ``folder:<path, file:// or s3:// uri>``: one's own images in an MVTec-AD-like tree.

The folder holds categories, or is itself one (it has ``train/good``), which then takes the folder's name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from vqi.datasets.layout import EXPECTED, Dataset, Entry, is_image_name, place_of
from vqi.datasets.objects import fetch_objects
from vqi.datasets.request import Request
from vqi.errors import VqiError, unknown
from vqi.progress import message
from vqi.store.interface import Store, VersionInfo
from vqi.store.opening import open_store
from vqi.store.s3 import S3Store
from vqi.system.cache import cache_folder

SHOWN = 3  # examples of what was found, in a message


def read(argument: str, request: Request) -> Dataset:
    """The dataset below a path or URI.

    Raises:
        VqiError: nothing there fits the layout; the message says what was found and what was expected.
    """
    if not argument:
        raise VqiError("the source 'folder' needs a place: expected folder:<path, file:// or s3:// uri>")
    store = open_store(argument if "://" in argument else str(Path(argument).expanduser().resolve()))
    versions = {one.key: one for one in store.list_versions()} if isinstance(store, S3Store) else {}
    keys = list(versions) or [info.key for info in store.list()]
    name = store.uri.rstrip("/").rpartition("/")[2] or "dataset"
    categories = group(keys, name)
    if not categories:
        raise VqiError(f"no images of the known layout in '{argument}': {EXPECTED}; found {describe(keys)}")
    note_left_out(keys, sum(len(paths) for paths in categories.values()))
    prefix = "" if is_one_category(keys) else "{}/"
    if isinstance(store, S3Store):
        return Dataset(name, None, _fetched(store, versions, select(categories, request.categories), prefix))
    return Dataset(
        name,
        None,
        {
            category: tuple(_entry(store, prefix.format(category), path) for path in paths)
            for category, paths in categories.items()
        },
    )


def select(categories: Mapping[str, list[str]], wanted: Sequence[str]) -> dict[str, list[str]]:
    """The wanted categories; all for none named.

    Raises:
        VqiError: there is none of that name.
    """
    for name in wanted:
        if name not in categories:
            raise unknown("category", name, categories)
    return {name: paths for name, paths in categories.items() if not wanted or name in wanted}


def _fetched(
    store: S3Store, versions: Mapping[str, VersionInfo], categories: Mapping[str, list[str]], prefix: str
) -> dict[str, tuple[Entry, ...]]:
    """The entries of objects, which are brought into the cache, several at once."""
    wanted = [versions[prefix.format(name) + path] for name, paths in categories.items() for path in paths]
    files = {one.version.key: one.path for one in fetch_objects(store, wanted, cache_folder())}
    return {
        name: tuple(Entry(path, files[prefix.format(name) + path].read_bytes) for path in paths)
        for name, paths in categories.items()
    }


def is_one_category(keys: Sequence[str]) -> bool:
    """Whether the folder itself is a category: it has ``train/good``."""
    return any((place := place_of(key)) is not None and place.split == "train" for key in keys)


def group(keys: Sequence[str], name: str) -> dict[str, list[str]]:
    """The paths in the layout by category, both sorted; what does not fit the layout is left out."""
    found: dict[str, list[str]] = defaultdict(list)
    one = is_one_category(keys)
    for key in sorted(keys):
        category, _, path = (name, "", key) if one else key.partition("/")
        if place_of(path) is not None:
            found[category].append(path)
    return dict(sorted(found.items()))


def describe(keys: Sequence[str]) -> str:
    """What is there, in a few words."""
    if not keys:
        return "no files at all (is the place right?)"
    more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
    return f"{', '.join(keys[:SHOWN])}{more}"


def _entry(store: Store, prefix: str, path: str) -> Entry:
    key = f"{prefix}{path}"
    try:
        key.encode()
    except UnicodeEncodeError as error:
        raise VqiError(f"the file name {key!r} in {store.uri} is not UTF-8: rename the file") from error
    return Entry(path, partial(store.get_bytes, key))


def note_left_out(keys: Sequence[str], taken: int) -> None:
    """Say how many images are outside the layout, so that none is missed unnoticed."""
    images = sum(is_image_name(key.rpartition("/")[2]) for key in keys)
    if images > taken:
        message(f"note: {images - taken} of {images} images are outside the layout and left out; {EXPECTED}")
