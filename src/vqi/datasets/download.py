"""A source -> a dataset in the object store: read, checked, split, packed; nothing where it is complete already."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vqi.artifacts.catalog import Catalog, CategoryEntry
from vqi.artifacts.left_out import Unreadable, merged
from vqi.config import DatasetDownload
from vqi.datasets.answered import with_verdicts
from vqi.datasets.catalogs import CATALOG, DATASETS, dataset_address, read_catalog
from vqi.datasets.in_use import note_use
from vqi.datasets.layout import Dataset, Entry, place_of
from vqi.datasets.photographs import keep_photographs
from vqi.datasets.shards import shard_name
from vqi.datasets.sources import chosen, shown_source
from vqi.datasets.splits import divide
from vqi.digests import sha256_bytes, sha256_file
from vqi.errors import UnavailableError, VqiError, printable
from vqi.formatting import count
from vqi.photographs.decoding import UnreadableImage, image_size
from vqi.progress import message, track
from vqi.store.interface import Store
from vqi.store.names import key_of
from vqi.system.os_errors import explain
from vqi.system.scratch import scratch_folder
from vqi.transfer.unpacking.spool import require_room

SNAPSHOT = "snapshot.json"  # next to the catalog, where the source can change
DIGEST_LETTERS = 12
OLDEST = (1980, 1, 1, 0, 0, 0)  # the date of every file in a shard: zip cannot store an earlier one


@dataclass(frozen=True)
class Contents:
    """What a category holds."""

    digests: dict[str, str]  # path -> sha256 of the bytes
    unreadable: tuple[Unreadable, ...] = ()


Manifest = dict[str, Contents]  # by category


@dataclass(frozen=True)
class DatasetHandle:
    """A dataset in the object store."""

    uri: str
    categories: list[str]  # sorted
    catalog: Catalog

    @property
    def address(self) -> str:
        """The URI with what was left out; see ``dataset_address``."""
        return dataset_address(self.uri, self.catalog.left_out)


def download(wanted: DatasetDownload, store: Store) -> DatasetHandle:
    """Bring a dataset into the object store, where lasting assets are kept; if it is there already, nothing is written.

    Raises:
        VqiError: the source, a category or the store is wrong.
    """
    dataset = chosen(wanted)
    if dataset.licence is not None:
        message(
            f"licence of '{dataset.name}': {dataset.licence.name} ({dataset.licence.url}). {dataset.licence.notice}"
        )
    dataset = divide(dataset, wanted)
    manifest = read_manifest(dataset)
    if wanted.with_verdicts:
        dataset, manifest = _answered(dataset, manifest, store)
    folder = f"{DATASETS}/{key_of(dataset.name)}@{digest_of(manifest)[:DIGEST_LETTERS]}"
    note_use(store, wanted.run, folder.removeprefix(f"{DATASETS}/"))  # first: from then on nobody removes it
    catalog = complete_catalog(store, folder, manifest)
    if catalog is None:
        catalog = upload(dataset, shown_source(wanted.source), manifest, store, folder)
    elif catalog.left_out != dataset.left_out:
        catalog = catalog.model_copy(update={"left_out": dataset.left_out})
        put_catalog(store, folder, catalog)
    else:
        message(f"{store.uri_of(folder)} is complete: nothing to do")
    keep_photographs(store, folder, {name: contents.digests for name, contents in manifest.items()})
    for one in merged(catalog.left_out):
        message(f"left out: {one.text}")
    return DatasetHandle(store.uri_of(folder), sorted(manifest), catalog)


def _answered(dataset: Dataset, manifest: Manifest, store: Store) -> tuple[Dataset, Manifest]:
    """The dataset and its manifest with what operators said."""
    found = with_verdicts(dataset, {name: contents.digests for name, contents in manifest.items()}, store)
    return found.dataset, {
        name: replace(contents, digests=contents.digests | found.digests[name]) for name, contents in manifest.items()
    }


def complete_catalog(store: Store, folder: str, manifest: Manifest) -> Catalog | None:
    """The catalog of a dataset that is there as a whole; None where anything is missing, of another size or damaged."""
    try:
        catalog = read_catalog(store, folder)
    except UnavailableError:
        raise
    except VqiError as error:
        message(f"note: a damaged manifest of the dataset is replaced: {error}")
        return None
    if catalog is None or catalog.digest != digest_of(manifest) or set(catalog.categories) != set(manifest):
        return None
    sizes = {one.key: one.size for one in store.list(f"{folder}/")}
    expected = {f"{folder}/{shard_name(name)}": entry.bytes for name, entry in catalog.categories.items()}
    return catalog if expected.items() <= sizes.items() else None


def read_manifest(dataset: Dataset) -> Manifest:
    """The sha256 of every image; they are read one by one, none is kept.

    Raises:
        VqiError: not one can be read.
    """
    manifest = {category: _contents(category, entries) for category, entries in dataset.categories.items()}
    unread = [one for contents in manifest.values() for one in contents.unreadable]
    if unread and not any(contents.digests for contents in manifest.values()):
        raise VqiError(
            f"none of the {count(len(unread), 'image')} of '{dataset.name}' can be read, for example {unread[0].path}: "
            f"{unread[0].reason}; are the paths right?"
        )
    return manifest


def _contents(category: str, entries: Sequence[Entry]) -> Contents:
    digests: dict[str, str] = {}
    unread: list[Unreadable] = []
    for entry in track(entries, len(entries), f"read {category}"):
        try:
            digests[entry.path] = sha256_bytes(entry.read())
        except UnreadableImage as error:
            elsewhere = "://" in error.name or error.name.startswith(("/", "~"))  # not in the source itself
            why = printable(str(error) if elsewhere else error.reason)
            message(f"unreadable image {category}/{entry.path}: {why}")
            unread.append(Unreadable(path=entry.path, reason=why))
    return Contents(digests, tuple(sorted(unread, key=lambda one: one.path)))


def digest_of(manifest: Manifest) -> str:
    """The hex digest of a dataset's content: of its sorted categories, paths and sha256 (empty where unreadable)."""
    digest = hashlib.sha256()
    for category in sorted(manifest):
        contents = manifest[category]
        files = contents.digests | {one.path: "" for one in contents.unreadable}
        for path, sha256 in sorted(files.items()):
            digest.update(f"{category}\0{path}\0{sha256}\n".encode())
    return digest.hexdigest()


def upload(dataset: Dataset, source: str, manifest: Manifest, store: Store, folder: str) -> Catalog:
    """Pack and store each category, then the catalog, which makes the dataset complete.

    ``source`` is only recorded in the catalog.
    """
    described = {}
    with scratch_folder() as scratch:
        for category, entries in dataset.categories.items():
            shard, digests = scratch / "shard.zip", manifest[category].digests
            there = sorted((entry for entry in entries if entry.path in digests), key=lambda entry: entry.path)
            sizes = pack(track(there, len(there), f"pack {category}"), digests, shard)
            store.put_file(f"{folder}/{shard_name(category)}", shard)
            described[category] = describe(manifest[category], shard, sizes)
    catalog = Catalog(
        name=dataset.name,
        source=source,
        digest=digest_of(manifest),
        licence=dataset.licence,
        categories=described,
        left_out=dataset.left_out,
    )
    if dataset.snapshot:
        store.put_bytes(f"{folder}/{SNAPSHOT}", dataset.snapshot.encode())
    put_catalog(store, folder, catalog)
    return catalog


def put_catalog(store: Store, folder: str, catalog: Catalog) -> None:
    """Write the catalog of a dataset, replacing what is there."""
    text = json.dumps(catalog.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    store.put_bytes(f"{folder}/{CATALOG}", text.encode())


def describe(contents: Contents, shard: Path, sizes: dict[str, int]) -> CategoryEntry:
    """The catalog's record of a category; ``sizes``: its images by size."""
    files: dict[str, int] = {}
    for path in sorted(contents.digests):
        place = place_of(path)
        if place is not None:
            group = f"{place.split}/{place.defect_type}"
            files[group] = files.get(group, 0) + 1
    return CategoryEntry(
        bytes=shard.stat().st_size,
        sha256=sha256_file(shard),
        files=files,
        image_sizes=sizes,
        unreadable=contents.unreadable,
    )


def pack(entries: Iterator[Entry], digests: dict[str, str], shard: Path) -> dict[str, int]:
    """Write a shard, one image in memory at a time, and count the images by size, masks left out.

    Raises:
        VqiError: an image is not what it was when the manifest was made, or the disk is full.
    """
    sizes: Counter[str] = Counter()
    try:
        with zipfile.ZipFile(shard, "w", zipfile.ZIP_STORED) as archive:
            for entry in entries:
                data = entry.read()
                if sha256_bytes(data) != digests[entry.path]:
                    raise VqiError(
                        f"{entry.path} changed while the dataset was read: run it again when nothing writes there"
                    )
                require_room(shard.parent, len(data), "TMPDIR")
                archive.writestr(_member(entry.path), data)
                place = place_of(entry.path)
                if place is not None and place.split != "ground_truth":
                    sizes[image_size(data)] += 1
    except OSError as error:
        raise VqiError(f"cannot pack a dataset in TMPDIR: {explain(error, shard)}") from error
    return dict(sorted(sizes.items()))


def _member(path: str) -> zipfile.ZipInfo:
    """A member without any record of when, where or by whom the shard was made."""
    member = zipfile.ZipInfo(path, OLDEST)
    member.create_system = 3
    member.external_attr = 0o644 << 16
    return member
