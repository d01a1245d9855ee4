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
from vqi.config import DatasetDownload
from vqi.datasets.layout import Dataset, Entry, check_categories, place_of
from vqi.datasets.shards import CATALOG, read_catalog, shard_name
from vqi.datasets.sources import resolve
from vqi.datasets.splits import divide
from vqi.digests import sha256_bytes, sha256_file
from vqi.errors import VqiError
from vqi.photographs.decoding import image_size
from vqi.progress import message, track
from vqi.store.interface import Store
from vqi.system.os_errors import explain
from vqi.system.scratch import scratch_folder
from vqi.transfer.fetching import shown
from vqi.transfer.unpacking.spool import require_room

SNAPSHOT = "snapshot.json"  # next to the catalog, where the source can change
DIGEST_LETTERS = 12
OLDEST = (1980, 1, 1, 0, 0, 0)  # the date of every file in a shard: zip cannot store an earlier one
Manifest = dict[str, dict[str, str]]  # category -> path -> sha256 of the bytes


@dataclass(frozen=True)
class DatasetHandle:
    """A dataset in the object store."""

    uri: str
    categories: list[str]  # sorted
    catalog: Catalog


def download(wanted: DatasetDownload, store: Store) -> DatasetHandle:
    """Bring a dataset into the object store, where lasting assets are kept; if it is there already, nothing is written.

    Raises:
        VqiError: the source, a category or the store is wrong.
    """
    dataset = select(resolve(wanted.source, wanted), wanted.only_categories)
    if not dataset.categories:
        raise VqiError(
            f"{shown_source(wanted.source)}: expected at least one category, found none: nothing to learn from"
        )
    if dataset.licence is not None:
        message(
            f"licence of '{dataset.name}': {dataset.licence.name} ({dataset.licence.url}). {dataset.licence.notice}"
        )
    dataset = divide(dataset, wanted)
    manifest = read_manifest(dataset)
    folder = f"datasets/{dataset.name}@{digest_of(manifest)[:DIGEST_LETTERS]}"
    catalog = read_catalog(store, folder)
    if catalog is None or not all(store.exists(f"{folder}/{shard_name(name)}") for name in manifest):
        catalog = upload(dataset, shown_source(wanted.source), manifest, store, folder)
    else:
        message(f"{store.uri_of(folder)} is complete: nothing to do")
    return DatasetHandle(store.uri_of(folder), sorted(manifest), catalog)


def select(dataset: Dataset, categories: Sequence[str]) -> Dataset:
    """The dataset with the named categories only; all if none is named."""
    check_categories(categories, dataset.categories)
    chosen = sorted(set(categories) or dataset.categories)
    return replace(dataset, categories={name: dataset.categories[name] for name in chosen})


def read_manifest(dataset: Dataset) -> Manifest:
    """The sha256 of every image; they are read one by one, none is kept."""
    return {
        category: {e.path: sha256_bytes(e.read()) for e in track(entries, len(entries), f"read {category}")}
        for category, entries in dataset.categories.items()
    }


def digest_of(manifest: Manifest) -> str:
    """The hex digest of a dataset's content: of its sorted categories, paths and sha256."""
    digest = hashlib.sha256()
    for category in sorted(manifest):
        for path, sha256 in sorted(manifest[category].items()):
            digest.update(f"{category}\0{path}\0{sha256}\n".encode())
    return digest.hexdigest()


def upload(dataset: Dataset, source: str, manifest: Manifest, store: Store, folder: str) -> Catalog:
    """Pack and store each category, then the catalog, which makes the dataset complete.

    ``source`` is only recorded in the catalog.
    """
    described = {}
    with scratch_folder() as scratch:
        for category, entries in dataset.categories.items():
            shard = scratch / "shard.zip"
            sizes = pack(
                track(sorted(entries, key=lambda e: e.path), len(entries), f"pack {category}"),
                manifest[category],
                shard,
            )
            store.put_file(f"{folder}/{shard_name(category)}", shard)
            described[category] = describe(manifest[category], shard, sizes)
    catalog = Catalog(
        name=dataset.name,
        source=source,
        digest=digest_of(manifest),
        licence=dataset.licence,
        categories=described,
    )
    if dataset.snapshot:
        store.put_bytes(f"{folder}/{SNAPSHOT}", dataset.snapshot.encode())
    text = json.dumps(catalog.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    store.put_bytes(f"{folder}/{CATALOG}", text.encode())
    return catalog


def describe(paths: dict[str, str], shard: Path, sizes: dict[str, int]) -> CategoryEntry:
    """The catalog's record of a category; ``sizes``: its images by size."""
    files: dict[str, int] = {}
    for path in sorted(paths):
        place = place_of(path)
        if place is not None:
            group = f"{place.split}/{place.defect_type}"
            files[group] = files.get(group, 0) + 1
    return CategoryEntry(bytes=shard.stat().st_size, sha256=sha256_file(shard), files=files, image_sizes=sizes)


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


def shown_source(source: str) -> str:
    """A source as the catalog records it: without a login or a signature in its address."""
    kind, colon, place = source.partition(":")
    return f"{kind}{colon}{shown(place)}" if place.startswith(("http://", "https://")) else source


def _member(path: str) -> zipfile.ZipInfo:
    """A member without any record of when, where or by whom the shard was made."""
    member = zipfile.ZipInfo(path, OLDEST)
    member.create_system = 3
    member.external_attr = 0o644 << 16
    return member
