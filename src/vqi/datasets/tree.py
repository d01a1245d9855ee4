"""A listing of files in the MVTec-AD-like layout, read in the same way from a folder, a store or a bucket.

What is listed holds categories, or is itself one (it has ``train/good``), which then takes the name of the place.
Photographs without any folder are good parts of one category, too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from vqi.artifacts.left_out import LeftOut, Reason, merged
from vqi.datasets.flat import beside_a_split, flat, name_of, nameless, no_good_parts, part_of, shown
from vqi.datasets.layout import ANY_PHOTOGRAPHS, EXPECTED, Dataset, Entry, check_categories, is_image_name
from vqi.datasets.left_out import summary
from vqi.datasets.objects import Cached, fetch_objects
from vqi.datasets.placing import UnclearFolderError, arranged, canonical, is_unsplit_good
from vqi.errors import VqiError
from vqi.store.interface import VersionedStore, VersionInfo
from vqi.system.cache import cache_folder

SHOWN = 3  # examples of what was found, in a message


@dataclass(frozen=True)
class Tree:
    """The part of a listing that was asked for and fits the layout."""

    name: str
    categories: Mapping[str, Mapping[str, str]]  # category -> path in the layout -> key of the listing; both sorted
    left_out: tuple[LeftOut, ...]
    taken_for: str = ""  # see ``Dataset``

    def places(self) -> Iterator[str]:
        """Where the files are in the listing."""
        return (key for files in self.categories.values() for key in files.values())

    def dataset(self, reader_of: Callable[[str], Callable[[], bytes]], snapshot: str = "") -> Dataset:
        """The dataset; ``reader_of`` gives for a key of the listing what reads its bytes."""
        categories = {
            category: tuple(Entry(path, reader_of(key)) for path, key in files.items())
            for category, files in self.categories.items()
        }
        return Dataset(self.name, None, categories, snapshot=snapshot, taken_for=self.taken_for, left_out=self.left_out)


def read_tree(keys: Sequence[str], uri: str, wanted: Sequence[str], odd: Mapping[str, Reason] | None = None) -> Tree:
    """The files of the ``wanted`` categories in a listing of the place ``uri``; of all categories if none is named.

    Args:
        keys: All paths of the listing.
        uri: Of the place.
        wanted: Categories.
        odd: The paths among them that are no plain files, and why.

    Raises:
        VqiError: nothing there fits the layout, with what was found and expected; or there is no such category; or a
            folder's name may mean good parts as well as defective ones.
    """
    name = name_of(uri)
    try:
        found = _files(keys, name)
    except UnclearFolderError as unclear:
        raise unclear.below(f"{shown(uri)}/") from unclear
    if error := beside_a_split(keys, found, uri):
        raise error
    unsorted = {} if found else flat(keys, uri)
    if unsorted:
        name = part_of(uri)
        found = {name: unsorted}
    taken = {key for files in found.values() for key in files.values()}
    left = [key for key in keys if key not in taken]
    if not found:
        if error := nameless(keys, uri) or no_good_parts(keys, uri):
            raise error
        known = "; ".join(one.text for one in merged(summary(left, odd or {}, {})))
        if not any(is_image_name(key.rpartition("/")[2]) for key in keys):
            raise VqiError(f"{shown(uri)}: {ANY_PHOTOGRAPHS}, got {known or _described(keys)}")
        there = f"{_described(keys)} ({known})" if known else _described(keys)
        raise VqiError(f"no images of the known layout in '{uri}': {EXPECTED}; found {there}")
    check_categories(wanted, found)
    one = next(iter(found)) if unsorted or _is_one(keys) else ""
    roots = {"": one} if one else {f"{category}/": category for category in found}
    chosen = {category: found[category] for category in sorted(set(wanted) or found)}
    taken_for = f"no folder says what they are, so all {len(unsorted):,} are taken for good parts" if unsorted else ""
    return Tree(name, chosen, summary(left, odd or {}, roots, wanted), taken_for)


def fetch_tree(
    store: VersionedStore, versions: Sequence[VersionInfo], wanted: Sequence[str]
) -> tuple[Tree, list[Cached]]:
    """``read_tree`` for versions of objects, which are fetched into the cache, several at a time.

    Raises:
        VqiError: as for ``read_tree``; or an object is gone, has another version now, or cannot be fetched.
    """
    by_key = {version.key: version for version in versions if not version.key.endswith("/")}  # those are folders
    tree = read_tree(list(by_key), store.uri, wanted)
    return tree, fetch_objects(store, [by_key[key] for key in tree.places()], cache_folder())


def cached_dataset(tree: Tree, cached: Sequence[Cached], snapshot: str = "") -> Dataset:
    """The dataset of a tree whose files are in the cache."""
    files = {one.version.key: one.path for one in cached}
    return tree.dataset(lambda key: files[key].read_bytes, snapshot)


def _is_one(keys: Sequence[str]) -> bool:
    """Whether what is listed is itself a category: with training images, or with folders of good and other parts."""
    if any((place := canonical(key)) is not None and place.startswith("train/") for key in keys):
        return True
    parted = [key.partition("/")[::2] for key in keys]
    if any(canonical(path, f"{folder}/") is not None for folder, path in parted):
        return False
    good = [key for key in keys if is_unsplit_good(key)]
    nested = any(is_unsplit_good(path) for _, path in parted)  # a category may be called good itself
    return any(key.count("/") == 1 for key in good) or (bool(good) and not nested)


def _files(keys: Sequence[str], name: str) -> dict[str, dict[str, str]]:
    """category -> path in the layout -> key."""
    if _is_one(keys):
        return {name: dict(sorted(arranged(keys).items()))}
    within: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        category, _, path = key.partition("/")
        within[category].append(path)
    found = {}
    for category in sorted(within):
        if files := arranged(within[category], f"{category}/"):
            found[category] = {path: f"{category}/{place}" for path, place in sorted(files.items())}
    return found


def _described(keys: Sequence[str]) -> str:
    """What is there, in a few words."""
    if not keys:
        return "no files at all (is the place right?)"
    more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
    return f"{', '.join(sorted(keys)[:SHOWN])}{more}"
