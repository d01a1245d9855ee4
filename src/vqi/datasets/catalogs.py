"""The catalog of a dataset in the object store: where it is, how it is read. A step that only asks what a dataset holds
needs nothing of what reads its photographs."""

from __future__ import annotations

from vqi.artifacts.catalog import Catalog
from vqi.records import parse_json
from vqi.store.interface import Store

CATALOG = "catalog.json"


def read_catalog(store: Store, folder: str) -> Catalog | None:
    """The catalog of a dataset; None where there is none, which means that the dataset is not complete."""
    key = f"{folder}/{CATALOG}".lstrip("/")
    if not store.exists(key):
        return None
    return parse_json(Catalog, store.get_bytes(key), store.uri_of(key), "run dataset_download again")
