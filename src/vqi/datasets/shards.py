"""A dataset in the object store: one packed shard per category, under a name that is derived from its content.

``datasets/<name>@<digest>/<category>.zip``, names as in ``store.names``, and, written last, ``catalog.json``: if that
exists, all is there. The shards are uncompressed zip files whose bytes depend on the images only.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path

from vqi.artifacts.catalog import Catalog
from vqi.artifacts.left_out import LeftOut, of_category
from vqi.datasets.layout import Shard
from vqi.errors import VqiError, unknown
from vqi.records import parse_json
from vqi.store.interface import Store
from vqi.store.names import key_of
from vqi.store.opening import open_store

CATALOG = "catalog.json"
_LEFT_OUT = re.compile(r"#left-out=[0-9a-f]{12}$")


def dataset_address(uri: str, left_out: Sequence[LeftOut]) -> str:
    """What ``dataset_download`` gives to the next steps: the URI of a dataset and, behind a ``#``, a digest of what
    was left out.

    That is in the catalog, which changes without the images; a step that reads it must not be taken from an earlier run
    then.
    """
    if not left_out:
        return uri
    text = json.dumps([one.model_dump(mode="json") for one in left_out], sort_keys=True)
    return f"{uri}#left-out={hashlib.sha256(text.encode()).hexdigest()[:12]}"


def dataset_uri(address: str) -> str:
    """The URI in what ``dataset_address`` made."""
    return _LEFT_OUT.sub("", address)


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


def read_catalog(store: Store, folder: str) -> Catalog | None:
    """The catalog of a dataset; None where there is none, which means that the dataset is not complete."""
    key = f"{folder}/{CATALOG}".lstrip("/")
    if not store.exists(key):
        return None
    return parse_json(Catalog, store.get_bytes(key), store.uri_of(key), "run dataset_download again")


def shard_name(category: str) -> str:
    """The key of a category's shard within its dataset."""
    return f"{key_of(category)}.zip"
