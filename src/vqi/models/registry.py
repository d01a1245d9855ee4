"""Model versions in the object store: publishing one, and fetching the one that is used.

An equal package is never a second version. Two publishers never write into one version, unless they write the same.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from vqi.artifacts.decision import GateVerdict
from vqi.errors import VqiError, closest
from vqi.formatting import count
from vqi.models.backbones import BACKBONES, ENDING
from vqi.models.category import MODELS, VERDICT, VERSION, Category, categories_below, category_of, claim
from vqi.models.champion import champion_of
from vqi.models.manifest import BACKBONE, FILES, MANIFEST, Manifest, read_manifest
from vqi.models.package import check_package, manifest_of
from vqi.store.interface import Store
from vqi.store.opening import fetch_uri, open_store, read_uri, split_uri
from vqi.system.atomic import atomic_path, write_text
from vqi.system.os_errors import explain

_NAMED = 5  # categories in a message


class Published(NamedTuple):
    """The version that a package has."""

    category: Category
    version: int
    published: bool  # whether it is a new one

    @property
    def model(self) -> str:
        """Its uri."""
        return self.category.uri_of(self.version)


def publish(
    store: Store, backbone: Path, detector: Path, metrics: Path, report: Path, verdict: GateVerdict | None = None
) -> Published:
    """Write a model package as a new version, unless it is one already.

    Args:
        store: Of datasets and models.
        backbone: Of the package, as are the other files.
        detector: It names the dataset and the category.
        metrics: What was measured.
        report: For people.
        verdict: What is said of the version from the moment when it is complete; None where no gate decides.
    """
    files = dict(zip(FILES, (backbone, detector, metrics, report), strict=True))
    manifest = manifest_of(files)
    return _published(category_of(store, manifest.dataset, manifest.category), manifest, files, verdict)


def publish_to(category: Category, files: Mapping[str, Path], verdict: GateVerdict) -> Published:
    """``publish`` for a category that is known.

    Args:
        category: That of the detector.
        files: Of the package, by name.
        verdict: As for ``publish``.
    """
    return _published(category, manifest_of(files), files, verdict)


def _published(
    category: Category, manifest: Manifest, files: Mapping[str, Path], verdict: GateVerdict | None
) -> Published:
    """A package as a version: its files, then what the gate says, then the manifest, which makes it complete."""
    store, backbone = category.store, manifest.files[BACKBONE]
    number, complete = claim(category, manifest.digest, backbone)
    if complete:
        if BACKBONE in category.manifest(number).by_digest:
            category.backbones.keep(backbone, files[BACKBONE])  # somebody may have removed it by hand
        return Published(category, number, published=False)
    own = {**files}
    if category.backbones.keep(backbone, files[BACKBONE]):
        manifest = manifest.model_copy(update={"by_digest": (BACKBONE,)})
        del own[BACKBONE]
    for name, path in own.items():
        store.put_file(category.key(f"v{number}/{name}"), path)
    if verdict is not None:
        store.put_bytes(category.key(f"v{number}/{VERDICT}"), verdict.model_dump_json(indent=2).encode())
    content = manifest.model_copy(update={"version": number}).model_dump_json(indent=2)
    store.put_bytes(category.key(f"v{number}/{MANIFEST}"), content.encode())
    return Published(category, number, published=True)


def fetch_model(uri: str, folder: Path) -> Manifest:
    """Copy a model package into a folder and verify it.

    Args:
        uri: Of a version (``.../v3``, or a copy of it), or of a category, which means its champion.
        folder: Receives the files.

    Returns:
        The manifest.

    Raises:
        VqiError: There is no model at that place, or a file is not what the manifest says.
    """
    uri = version_at(uri)
    manifest = read_manifest(read_uri(f"{uri}/{MANIFEST}"), uri)
    for name in FILES:
        fetch_uri(_place(manifest, name, uri), folder / name)
    check_package(manifest, {name: folder / name for name in FILES}, uri)
    return manifest


def _place(manifest: Manifest, name: str, uri: str) -> str:
    """The uri of a file of the version at ``uri``.

    Raises:
        VqiError: Its network is not where the dataset keeps it.
    """
    if name not in manifest.by_digest and name not in manifest.shared:
        return f"{uri}/{name}"
    category = open_store(uri).uri.rpartition("/")[0]
    if name not in manifest.by_digest:
        return f"{category}/v{manifest.shared[name]}/{name}"
    place = f"{category.rpartition('/')[0]}/{BACKBONES}/{manifest.files[name]}{ENDING}"
    folder, key = split_uri(place)
    if not open_store(folder).exists(key):
        raise VqiError(
            f"{uri}: its network, which versions share, is not at {place}: where this is a copy, make one with "
            "'vqi models save', which is complete; else train the category again"
        )
    return place


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
            whole = manifest.model_copy(update={"shared": {}, "by_digest": ()})
            write_text(temporary / MANIFEST, whole.model_dump_json(indent=2))
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
    """The uri of a version: the given one where a package is there, else the one that is used of the versions below it.

    The name does not decide: a category may be called ``v1``.

    Raises:
        VqiError: There is neither.
    """
    uri = uri.rstrip("/")
    if uri and open_store(uri).exists(MANIFEST):
        return uri
    category = category_at(uri)
    number = in_use(category)
    if not number and (waiting := category.complete()):
        raise VqiError(
            f"{category.uri}: there is no champion yet, and v{waiting[-1]} was not promoted: 'vqi models show "
            f"{uri}/v{waiting[-1]}' says why, 'vqi models promote' makes it the champion"
        )
    if not number:
        raise no_model(uri)
    if not category.has(number):
        raise VqiError(
            f"{category.uri}: the champion is v{number}, which is gone: promote another version ('vqi models promote')"
        )
    return f"{uri}/v{number}"


def in_use(category: Category) -> int:
    """The version that is used: the champion, else the newest complete one that no gate has decided on; 0 for none."""
    champion = champion_of(category)
    if champion is not None:
        return champion.version
    undecided = (n for n, names in category.files().items() if MANIFEST in names and VERDICT not in names)
    return max(undecided, default=0)


def category_at(uri: str) -> Category:
    """The category at a uri, whether or not it has versions.

    Raises:
        VqiError: The uri cannot be one of a category.
    """
    uri = uri.rstrip("/")
    if not uri.rpartition("/")[2]:
        raise VqiError(f"no model at '{uri}': expected the uri or folder of a model version")
    return Category(open_store(uri))


def no_model(uri: str) -> VqiError:
    """The error for a place without a model, with the name that is meant most likely."""
    place = uri.rstrip("/")
    if near := _nearest(place):
        hint = f"did you mean '{near}'?"
    elif below := categories_below(open_store(place), "" if MODELS in place.split("/") else f"{MODELS}/"):
        named = ", ".join(f"'{place}/{one.prefix[:-1]}'" for one in below[:_NAMED])
        more = ", ..." if len(below) > _NAMED else ""
        hint = f"it has those of {count(len(below), 'category', 'categories')}: {named}{more}"
    else:
        hint = f"expected a {MANIFEST} there, or versions v1, v2, ..."
    return VqiError(f"no model at '{uri}': {hint}; see 'decision' of a run, or 'vqi models list'")


def _nearest(uri: str) -> str:
    """The uri most like this one where something is; '' where none is near. It looks below ``models`` only."""
    parent, _, name = uri.rpartition("/")
    parts = parent.split("/")
    if MODELS not in parts:
        return ""
    names = {entry.key.partition("/")[0] for entry in open_store(parent).list()}
    if names:
        versions = VERSION.fullmatch(name)
        near = closest(name, {one for one in names if bool(VERSION.fullmatch(one)) == bool(versions)})
        return f"{parent}/{near}" if near and near != name else ""
    above = _nearest(parent) if parts[-1] != MODELS else ""
    return f"{above}/{name}" if above else ""
