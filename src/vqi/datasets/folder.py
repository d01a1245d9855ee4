"""The source ``folder:<path, file:// or s3:// uri>``: one's own images in an MVTec-AD-like tree."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from vqi.config import SourceRequest
from vqi.datasets.layout import Dataset
from vqi.datasets.tree import cached_dataset, fetch_tree, read_tree
from vqi.errors import VqiError
from vqi.store.interface import Store, VersionedStore
from vqi.store.opening import open_store
from vqi.system.paths import local_path


def read(argument: str, request: SourceRequest) -> Dataset:
    """The dataset below a path or URI.

    Raises:
        VqiError: nothing there fits the layout; the message says what was found and what was expected.
    """
    if not argument:
        raise VqiError("the source 'folder' needs a place: expected folder:<path, file:// or s3:// uri>")
    store = open_store(argument if "://" in argument else str(local_path(argument).resolve()))
    if isinstance(store, VersionedStore):
        return cached_dataset(*fetch_tree(store, store.list_versions(), request.only_categories))
    tree = read_tree([info.key for info in store.list()], store.uri, request.only_categories)
    return tree.dataset(partial(_reader, store))


def _reader(store: Store, key: str) -> Callable[[], bytes]:
    try:
        key.encode()
    except UnicodeEncodeError as error:
        raise VqiError(f"the file name {key!r} in {store.uri} is not UTF-8: rename the file") from error
    return partial(store.get_bytes, key)
