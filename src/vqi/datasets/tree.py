"""A listing of files in the MVTec-AD-like layout, read in the same way from a folder, a store or a bucket.

What is listed holds categories, or is itself one (it has ``train/good``), which then takes the name of the place.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from vqi.datasets.layout import EXPECTED, Dataset, Entry, check_categories, is_image_name, place_of
from vqi.datasets.objects import Cached, fetch_objects
from vqi.errors import VqiError
from vqi.progress import message
from vqi.store.interface import VersionedStore, VersionInfo
from vqi.system.cache import cache_folder

SHOWN = 3  # examples of what was found, in a message


@dataclass(frozen=True)
class Tree:
    """The part of a listing that was asked for and fits the layout."""

    name: str
    categories: Mapping[str, Sequence[str]]  # paths in the layout, both sorted
    one: bool  # what was listed is itself the category

    def places(self) -> Iterator[str]:
        """Where the files are in the listing."""
        return (self._key(category, path) for category, paths in self.categories.items() for path in paths)

    def dataset(self, reader_of: Callable[[str], Callable[[], bytes]], snapshot: str = "") -> Dataset:
        """The dataset; ``reader_of`` gives for a key of the listing what reads its bytes."""
        categories = {
            category: tuple(Entry(path, reader_of(self._key(category, path))) for path in paths)
            for category, paths in self.categories.items()
        }
        return Dataset(self.name, None, categories, snapshot=snapshot)

    def _key(self, category: str, path: str) -> str:
        return path if self.one else f"{category}/{path}"


def read_tree(keys: Sequence[str], uri: str, wanted: Sequence[str]) -> Tree:
    """The files of the ``wanted`` categories in a listing of the place ``uri``; of all categories if none is named.

    Raises:
        VqiError: nothing there fits the layout, with what was found and expected; or there is no such category.
    """
    name = uri.rstrip("/").rpartition("/")[2] or "dataset"
    one = any((place := place_of(key)) is not None and place.split == "train" for key in keys)
    found: dict[str, list[str]] = defaultdict(list)
    for key in sorted(keys):
        category, _, path = (name, "", key) if one else key.partition("/")
        if place_of(path) is not None:
            found[category].append(path)
    if not found:
        raise VqiError(f"no images of the known layout in '{uri}': {EXPECTED}; found {_described(keys)}")
    _note_left_out(keys, sum(len(paths) for paths in found.values()))
    check_categories(wanted, found)
    return Tree(name, {category: found[category] for category in sorted(set(wanted) or found)}, one)


def fetch_tree(
    store: VersionedStore, versions: Sequence[VersionInfo], wanted: Sequence[str]
) -> tuple[Tree, list[Cached]]:
    """``read_tree`` for versions of objects, which are fetched into the cache, several at a time.

    Raises:
        VqiError: as for ``read_tree``; or an object is gone, has another version now, or cannot be fetched.
    """
    by_key = {version.key: version for version in versions}
    tree = read_tree(list(by_key), store.uri, wanted)
    return tree, fetch_objects(store, [by_key[key] for key in tree.places()], cache_folder())


def cached_dataset(tree: Tree, cached: Sequence[Cached], snapshot: str = "") -> Dataset:
    """The dataset of a tree whose files are in the cache."""
    files = {one.version.key: one.path for one in cached}
    return tree.dataset(lambda key: files[key].read_bytes, snapshot)


def _described(keys: Sequence[str]) -> str:
    """What is there, in a few words."""
    if not keys:
        return "no files at all (is the place right?)"
    more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
    return f"{', '.join(keys[:SHOWN])}{more}"


def _note_left_out(keys: Sequence[str], taken: int) -> None:
    """Report how many images are outside the layout, so that none is left out unnoticed."""
    images = sum(is_image_name(key.rpartition("/")[2]) for key in keys)
    if images > taken:
        message(f"note: {images - taken} of {images} images are outside the layout and left out; {EXPECTED}")
