"""Model versions in the object store: ``models/<dataset>/<category>/v<n>/``.

A version is complete when its ``manifest.json`` is there; that is written last. Its number is taken with
``put_if_absent``, so that two publishers never write into one version.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from vqi import __version__
from vqi.artifacts.files import Json
from vqi.artifacts.model import load_detector
from vqi.digests import digest_json, sha256_file
from vqi.errors import VqiError
from vqi.store.interface import Store
from vqi.store.opening import fetch_uri, open_store, read_uri

FORMAT = "vqi.model/1"
MANIFEST = "manifest.json"
_FILES = ("backbone.safetensors", "detector.safetensors", "metrics.json", "report.html")
_RESERVED = "reserved.json"
_VERSION = re.compile(r"v(\d+)")


def publish(store: Store, backbone: Path, detector: Path, metrics: Path, report: Path) -> Json:
    """Write a model package, unless an equal one is the newest.

    Returns:
        What was decided: ``published`` (whether something was written), ``model`` (uri), ``version`` and ``reason``.
    """
    files = dict(zip(_FILES, (backbone, detector, metrics, report), strict=True))
    manifest = _manifest(detector, files)
    prefix = f"models/{manifest['dataset']}/{manifest['category']}"
    newest = _newest(store, prefix)
    if newest and _manifest_at(store, f"{prefix}/v{newest}")["digest"] == manifest["digest"]:
        return _decision(store, prefix, newest, published=False, reason="an equal model is the newest version")
    number = _reserve(store, prefix, newest + 1, manifest["digest"])
    for name, path in files.items():
        store.put_file(f"{prefix}/v{number}/{name}", path)
    content = json.dumps({**manifest, "version": number}, indent=2, sort_keys=True, ensure_ascii=False)
    store.put_bytes(f"{prefix}/v{number}/{MANIFEST}", content.encode())
    return _decision(store, prefix, number, published=True, reason="a new model")


def _manifest(detector: Path, files: dict[str, Path]) -> Json:
    """What the package is: enough to score an image and to say where the model comes from."""
    made = load_detector(detector).provenance
    images = made["features"]["images"]
    digests = {name: sha256_file(path) for name, path in files.items()}
    return {
        "format": FORMAT,
        "vqi": __version__,
        "dataset": str(images["dataset"]).partition("@")[0],
        "category": images["category"],
        "image_size": made["features"]["image_size"],
        "features": made["features"]["settings"],
        "runtime": made["features"]["runtime"],
        "files": digests,
        "digest": digest_json(digests),
    }


def _decision(store: Store, prefix: str, number: int, published: bool, reason: str) -> Json:
    return {
        "published": published,
        "model": store.uri_of(f"{prefix}/v{number}"),
        "version": number,
        "reason": reason,
    }


def _reserve(store: Store, prefix: str, number: int, digest: str) -> int:
    """Take the next free number; a number that an interrupted publication of the same model took is used again."""
    while True:
        key = f"{prefix}/v{number}/{_RESERVED}"
        if store.put_if_absent(key, json.dumps({"digest": digest}).encode()):
            return number
        unfinished = not store.exists(f"{prefix}/v{number}/{MANIFEST}")
        if unfinished and json.loads(store.get_bytes(key))["digest"] == digest:
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


def _manifest_at(store: Store, prefix: str) -> Json:
    return _checked(store.get_bytes(f"{prefix}/{MANIFEST}"), store.uri_of(prefix))


def _checked(data: bytes, uri: str) -> Json:
    """The manifest in ``data``, which was read from the model at ``uri``.

    Raises:
        VqiError: It is none, or one of another format.
    """
    try:
        content: Any = json.loads(data)
    except ValueError as error:
        raise VqiError(f"{uri}/{MANIFEST} is damaged ({error}): delete this version and publish again") from error
    kind = content.get("format") if isinstance(content, dict) else None
    if kind != FORMAT or set(content["files"]) != set(_FILES):
        raise VqiError(f"{uri}: expected a model package '{FORMAT}' of {', '.join(_FILES)}, got '{kind}'")
    return dict(content)


def fetch_model(uri: str, folder: Path) -> Json:
    """Copy a model package into a folder and verify it.

    Args:
        uri: Of a version (``.../v3``, or a copy of it), or of a category, which means its newest version.
        folder: Receives the files.

    Returns:
        The manifest.

    Raises:
        VqiError: There is no model at that place, or a file is not what the manifest says.
    """
    uri = _version_at(uri.rstrip("/"))
    try:
        data = read_uri(f"{uri}/{MANIFEST}")
    except VqiError as error:
        raise VqiError(f"no model at '{uri}': expected the uri or folder of a model version ({error})") from error
    manifest = _checked(data, uri)
    for name, digest in manifest["files"].items():
        fetch_uri(f"{uri}/{name}", folder / name)
        if sha256_file(folder / name) != digest:
            raise VqiError(f"{uri}/{name}: not the file that the manifest names; publish the model again")
    return manifest


def _version_at(uri: str) -> str:
    """The uri of a version: what is given where a package stands there, else the newest version below it."""
    if _VERSION.fullmatch(uri.rpartition("/")[2]) or (uri and open_store(uri).exists(MANIFEST)):
        return uri
    return _newest_of(uri)


def _newest_of(uri: str) -> str:
    parent, _, name = uri.rpartition("/")
    if not name:
        raise VqiError(f"no model at '{uri}': expected the uri or folder of a model version")
    number = _newest(open_store(parent or "."), name)
    if not number:
        raise VqiError(f"no model at '{uri}': expected a folder with versions v1, v2, ...; see 'decision' of a run")
    return f"{uri}/v{number}"
