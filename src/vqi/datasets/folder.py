"""The source ``folder:<path, file:// or s3:// uri>``: one's own images in an MVTec-AD-like tree."""

from __future__ import annotations

from functools import partial

from vqi.config import SourceRequest
from vqi.datasets.advice import WEB, instead
from vqi.datasets.layout import Dataset
from vqi.datasets.local import checked, walk
from vqi.datasets.tree import cached_dataset, fetch_tree, read_tree
from vqi.errors import VqiError, printable
from vqi.store.folder import FolderStore
from vqi.store.interface import VersionedStore
from vqi.store.opening import open_store
from vqi.system.paths import local_path


def read(argument: str, request: SourceRequest) -> Dataset:
    """The dataset below a path or URI.

    Raises:
        VqiError: nothing there fits the layout; the message says what was found and what was expected.
    """
    if not argument:
        raise VqiError("the source 'folder' needs a place: expected folder:<path, file:// or s3:// uri>")
    if better := instead("folder", argument):
        raise VqiError(f"'{argument}' is not a folder: write '{better}'")
    if argument.startswith(WEB):
        raise VqiError(
            f"folders of a server cannot be listed, as that at {argument}: pack it as a zip, and write "
            "archive:<its address>"
        )
    store = open_store(argument if "://" in argument else str(local_path(argument).resolve()))
    if isinstance(store, VersionedStore):
        return cached_dataset(*fetch_tree(store, store.list_versions(), request.only_categories))
    if not isinstance(store, FolderStore):
        raise VqiError(f"'{argument}' cannot be listed: expected a path, a file:// or an s3:// uri")
    if not store.root.is_dir():
        got = f"'{argument}' is a file" if store.root.exists() else f"there is no folder '{argument}'"
        raise VqiError(f"{got}: expected the folder of your photographs")
    listing = walk(store.root)
    tree = read_tree(list(listing.all()), store.uri, request.only_categories, listing.odd)
    return tree.dataset(partial(_reader, store))


def _reader(store: FolderStore, key: str) -> partial[bytes]:
    return partial(checked, store.root / key, printable(key), partial(store.get_bytes, key))
