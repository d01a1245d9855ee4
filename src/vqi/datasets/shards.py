"""A dataset in the object store: one packed shard per category, under a name that is derived from its content.

``datasets/<name>@<digest>/<category>.zip``, names as in ``store.names``, and, written last, ``catalog.json``: if that
exists, all is there. The shards are uncompressed zip files whose bytes depend on the images only.
"""

from __future__ import annotations

from pathlib import Path

from vqi.artifacts.left_out import of_category
from vqi.datasets.catalogs import CATALOG, dataset_uri, read_catalog
from vqi.datasets.layout import Shard
from vqi.errors import VqiError, unknown
from vqi.store.names import key_of
from vqi.store.opening import open_store


def open_shard(dataset: str, category: str, folder: Path) -> Shard:
    """Fetch the shard of a category into ``folder``. It is hashed once, during the transfer.

    Args:
        dataset: Its URI, or what ``dataset_address`` made of that.
        category: Of the dataset.
        folder: On this machine.

    Raises:
        VqiError: the dataset is not (completely) there, has no such category, or the shard is damaged.
    """
    uri = dataset_uri(dataset)
    store = open_store(uri)
    catalog = read_catalog(store, "")
    if catalog is None:
        raise VqiError(f"no complete dataset at {uri}: {CATALOG} is missing; run dataset_download again")
    if category not in catalog.categories:
        raise unknown("category", category, catalog.categories)
    path = folder / shard_name(category)
    expected, got = catalog.categories[category].sha256, store.get_file(shard_name(category), path)
    if got != expected:
        path.unlink()
        raise VqiError(
            f"{uri}/{path.name} is damaged: expected sha256 {expected}, got {got}; delete it and download again"
        )
    unreadable = catalog.categories[category].unreadable
    return Shard(path, got, catalog.licence, unreadable, of_category(catalog.left_out, category))


def shard_name(category: str) -> str:
    """The key of a category's shard within its dataset."""
    return f"{key_of(category)}.zip"
