"""Model versions in the object store: ``models/<dataset>/<category>/v<n>/``, names as in ``store.names``.

A version is complete when its ``manifest.json`` is there; that is written last. Its number is taken with
``put_if_absent``, so that two publishers never write into one version.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from vqi.artifacts.decision import Decision
from vqi.errors import UnavailableError, VqiError
from vqi.models.package import FILES, MANIFEST, Manifest, check_package, manifest_of, read_manifest
from vqi.progress import message
from vqi.records import Record
from vqi.store.interface import Store
from vqi.store.names import key_of
from vqi.store.opening import fetch_uri, open_store, read_uri
from vqi.system.atomic import atomic_path, write_text
from vqi.system.os_errors import explain

_RESERVED = "reserved.json"
_VERSION = re.compile(r"v([1-9][0-9]{0,17})")


class _Reservation(Record):
    """Who takes a number."""

    digest: str  # of the manifest to come


def publish(store: Store, backbone: Path, detector: Path, metrics: Path, report: Path) -> Decision:
    """Write a model package, unless an equal one is the newest."""
    files = dict(zip(FILES, (backbone, detector, metrics, report), strict=True))
    manifest = manifest_of(files)
    prefix = f"models/{key_of(manifest.dataset)}/{key_of(manifest.category)}"
    newest = _newest(store, prefix)
    if newest and _digest_of(store, f"{prefix}/v{newest}") == manifest.digest:
        return _decision(store, prefix, newest, published=False, reason="an equal model is the newest version")
    number = _reserve(store, prefix, newest + 1, manifest.digest)
    for name, path in files.items():
        store.put_file(f"{prefix}/v{number}/{name}", path)
    content = manifest.model_copy(update={"version": number}).model_dump_json(indent=2)
    store.put_bytes(f"{prefix}/v{number}/{MANIFEST}", content.encode())
    return _decision(store, prefix, number, published=True, reason="a new model")


def _decision(store: Store, prefix: str, number: int, published: bool, reason: str) -> Decision:
    uri = store.uri_of(f"{prefix}/v{number}")
    return Decision(published=published, model=uri, version=number, reason=reason)


def _reserve(store: Store, prefix: str, number: int, digest: str) -> int:
    """Take the next free number; a number that an interrupted publication of the same model took is used again."""
    while True:
        key = f"{prefix}/v{number}/{_RESERVED}"
        reservation = _Reservation(digest=digest).model_dump_json().encode()
        if store.put_if_absent(key, reservation):
            return number
        if not store.exists(f"{prefix}/v{number}/{MANIFEST}") and _read(store, key) == reservation:
            return number
        number += 1


def _newest(store: Store, prefix: str) -> int:
    """The highest complete version; 0 when there is none."""
    found = [0]
    for entry in store.list(f"{prefix}/"):
        version, _, name = entry.key.removeprefix(f"{prefix}/").partition("/")
        if name == MANIFEST and (match := _VERSION.fullmatch(version)):
            found.append(int(match[1]))
    return max(found)


def _digest_of(store: Store, prefix: str) -> str:
    """The digest of a version; '' for one that is damaged, or of another format: it must not block a new one."""
    data = _read(store, f"{prefix}/{MANIFEST}")
    try:
        return "" if data is None else read_manifest(data, store.uri_of(prefix)).digest
    except VqiError as error:
        message(f"note: {error}")
        return ""


def _read(store: Store, key: str) -> bytes | None:
    """An object; None for one that is damaged, which is said."""
    try:
        return store.get_bytes(key)
    except UnavailableError:
        raise
    except VqiError as error:
        message(f"note: {error}")
        return None


def fetch_model(uri: str, folder: Path) -> Manifest:
    """Copy a model package into a folder and verify it.

    Args:
        uri: Of a version (``.../v3``, or a copy of it), or of a category, which means its newest version.
        folder: Receives the files.

    Returns:
        The manifest.

    Raises:
        VqiError: There is no model at that place, or a file is not what the manifest says.
    """
    uri = version_at(uri)
    manifest = read_manifest(read_uri(f"{uri}/{MANIFEST}"), uri)
    for name in FILES:
        fetch_uri(f"{uri}/{name}", folder / name)
    check_package(manifest, {name: folder / name for name in FILES}, uri)
    return manifest


def save_model(uri: str, folder: Path) -> Path:
    """Copy a model package into a new folder, whole or not at all.

    Returns:
        The folder.

    Raises:
        VqiError: As ``fetch_model``; or there is something at that place already, or it cannot be written.
    """
    try:
        require_free(folder)
        with atomic_path(folder) as temporary:
            temporary.mkdir()
            manifest = fetch_model(uri, temporary)
            write_text(temporary / MANIFEST, manifest.model_dump_json(indent=2))
    except OSError as error:
        raise VqiError(f"cannot save the model: {explain(error, folder)}") from error
    return folder


def require_free(folder: Path) -> None:
    """Refuse a place for a new folder where there is something.

    Raises:
        VqiError: There is.
        OSError: It cannot be seen.
    """
    if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise VqiError(f"{folder}: there is something already: name a new folder for the model")


def version_at(uri: str) -> str:
    """The uri of a version: the given one where a package is there, else the newest version below it.

    The name does not decide: a category may be called ``v1``.

    Raises:
        VqiError: There is neither.
    """
    uri = uri.rstrip("/")
    return uri if uri and open_store(uri).exists(MANIFEST) else _newest_of(uri)


def _newest_of(uri: str) -> str:
    parent, _, name = uri.rpartition("/")
    if not name:
        raise VqiError(f"no model at '{uri}': expected the uri or folder of a model version")
    number = _newest(open_store(parent or "."), name)
    if not number:
        raise VqiError(
            f"no model at '{uri}': expected a {MANIFEST} there, or versions v1, v2, ...; see 'decision' of a run"
        )
    return f"{uri}/v{number}"
