"""The catalog of a dataset in the object store: where it is, how it is read. A step that only asks what a dataset holds
needs nothing of what reads its photographs."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence

from vqi.artifacts.catalog import Catalog
from vqi.artifacts.left_out import LeftOut
from vqi.records import parse_json
from vqi.store.interface import Store

DATASETS = "datasets"  # begins the keys of all datasets
CATALOG = "catalog.json"
_LEFT_OUT = re.compile(r"#left-out=[0-9a-f]{12}$")


def read_catalog(store: Store, folder: str) -> Catalog | None:
    """The catalog of a dataset; None where there is none, which means that the dataset is not complete."""
    key = f"{folder}/{CATALOG}".lstrip("/")
    if not store.exists(key):
        return None
    return parse_json(Catalog, store.get_bytes(key), store.uri_of(key), "run dataset_download again")


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
