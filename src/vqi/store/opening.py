"""Object store for what outlives a run: put, get, list, exists and put_if_absent, for ``file://`` and ``s3://``.

``interface`` says what a store is, ``folder`` is the one on this machine, ``s3`` the one behind ``s3://``.
The sha256 of every object is kept on put and checked on get.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from vqi.errors import VqiError
from vqi.redaction import redacted
from vqi.store.folder import FolderStore
from vqi.store.interface import ObjectInfo, Store, VersionedStore, VersionInfo, check_key
from vqi.system.paths import local_path

__all__ = [
    "ObjectInfo",
    "Store",
    "VersionInfo",
    "VersionedStore",
    "check_key",
    "check_store",
    "fetch_uri",
    "open_store",
    "read_uri",
    "split_uri",
    "store_uri",
]

STORE = "VQI_STORE"  # the variable that names the store of datasets and models
# What a store reads from the environment, and a Secret holds on a cluster.
VARIABLES = (
    STORE,
    "VQI_S3_ENDPOINT",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
)
# What it also reads, and a machine or a platform sets by itself: a cluster puts an identity only into pods that name
# none, not even by an empty variable of a Secret.
PLACES = (
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONFIG_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CA_BUNDLE",
    "SSL_CERT_FILE",
)  # files
IDENTITY = (
    "AWS_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_ENDPOINT_URL_STS",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_EC2_METADATA_DISABLED",
)
_BUCKETS = re.compile(r"s3://[^/#]*")
EXPECTED = "expected file:///absolute/path, a plain path or s3://bucket/prefix"


def open_store(uri: str) -> Store:
    """The store at ``uri``: ``file:///abs/path``, a plain path, or ``s3://bucket/prefix``. Opening touches nothing.

    For ``s3://`` the environment names the server, ``VQI_S3_ENDPOINT`` (``http(s)://host:port``) and ``AWS_REGION``
    (default ``us-east-1``), and the key: ``AWS_ACCESS_KEY_ID`` and ``AWS_SECRET_ACCESS_KEY``, or another way of AWS's
    own programs (``s3_credentials``).

    Raises:
        VqiError: the URI is of another kind, or the environment names no server, or it or the key wrongly.
    """
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return FolderStore(plain_path(uri))
    if scheme == "file":
        return FolderStore(file_path(uri))
    if scheme == "s3" and not rest.strip("/"):
        raise VqiError(f"'{uri}' names no bucket: expected s3://bucket/prefix")
    if scheme == "s3":
        from vqi.store.s3 import S3Store  # its clients take a third of a second to import

        bucket, _, prefix = rest.partition("/")
        return S3Store(bucket, prefix.strip("/"))
    raise VqiError(f"unknown kind of store '{scheme}://' in '{uri}': {EXPECTED}")


def check_store(uri: str) -> None:
    """Check, before anything else is done, that a store can be at ``uri``. Nothing is written, no server is asked.

    Raises:
        VqiError: As ``open_store``; it holds a login, or is in a place where no folder can be.
    """
    if redacted(uri) != uri:
        raise VqiError(f"store {redacted(uri)}: a login in its address: put it into {' and '.join(VARIABLES[2:4])}")
    store = open_store(uri)
    if not isinstance(store, FolderStore):
        return
    there = next(one for one in (store.root, *store.root.parents) if one.exists())
    if not there.is_dir():
        raise VqiError(f"store {uri}: {there} is a file: name a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise VqiError(f"store {uri}: this user cannot write to {there}: name another folder, or ask for the right")


def store_uri(environment: Mapping[str, str]) -> str:
    """The store of datasets and models: ``$VQI_STORE``; a path becomes the URI of a folder.

    Raises:
        VqiError: The variable is not set.
    """
    uri = environment.get(STORE)
    if not uri:
        raise VqiError(f"{STORE} is not set: set it to the object store, as file:///path or s3://bucket")
    return uri if "://" in uri else f"file://{plain_path(uri)}"


def check_places(texts: Iterable[str]) -> None:
    """Check before work begins that each ``s3://`` uri in texts can be opened.

    Raises:
        VqiError: The environment names no server or no key for it, or wrongly.
    """
    for text in texts:
        for uri in _BUCKETS.findall(text):
            open_store(uri).check()


def absolute_places(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that name files, as absolute paths: steps start in folders of their own."""
    given = {name: environment[name] for name in PLACES if environment.get(name)}
    return {name: str(Path(value).expanduser().absolute()) for name, value in given.items()}


def split_uri(uri: str) -> tuple[str, str]:
    """The URI of an object as the URI of its store and its key: ``s3://b/models/m.zip`` -> ``(s3://b/models, m.zip)``.

    Raises:
        VqiError: nothing is left for the store or for the key.
    """
    scheme, separator, rest = uri.partition("://") if "://" in uri else ("", "", uri)
    parent, slash, name = rest.rpartition("/")
    if scheme != "s3":
        parent = parent or slash or "."
    if not parent or not name:
        raise VqiError(f"'{uri}' does not name an object: {EXPECTED}, with the object's name at its end")
    return f"{scheme}{separator}{parent}", name


def read_uri(uri: str) -> bytes:
    """The bytes of the object at a full URI, checked against its sha256."""
    folder, key = split_uri(uri)
    return open_store(folder).get_bytes(key)


def fetch_uri(uri: str, path: Path) -> None:
    """Copy the object at a full URI to ``path``, checked against its sha256."""
    folder, key = split_uri(uri)
    open_store(folder).get_file(key, path)


def plain_path(uri: str) -> Path:
    """A plain path as an absolute one; an empty one is an error."""
    if not uri:
        raise VqiError(f"the URI of a store is empty: {EXPECTED}")
    return local_path(uri).absolute()


def file_path(uri: str) -> Path:
    """The path in ``file:///abs/path``, taken as it is: no percent escapes, so that a name may hold any letter."""
    path = uri.removeprefix("file://").removeprefix("localhost")
    if not path.startswith("/"):
        raise VqiError(f"'{uri}' is not an absolute file URI: expected file:///absolute/path")
    return Path(path)
