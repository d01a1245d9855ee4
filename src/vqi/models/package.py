"""A model package is made of its files, and checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vqi import __version__
from vqi.artifacts.detector import load_detector
from vqi.artifacts.files import write_text
from vqi.detectors.registry import detector_of
from vqi.digests import digest_json, sha256_file
from vqi.errors import VqiError
from vqi.models.manifest import FILES, MANIFEST, Manifest
from vqi.store.names import name_of


def manifest_of(files: Mapping[str, Path]) -> Manifest:
    """The manifest of a package of these files, with version 0: the registry gives it its number.

    Raises:
        VqiError: The detector is damaged, or not one of its kind.
    """
    detector = load_detector(files["detector.safetensors"])
    detector_of(detector)
    made = detector.record.features
    digests = {name: sha256_file(path) for name, path in files.items()}
    return Manifest(
        vqi=__version__,
        dataset=_name_of_dataset(made.images.dataset),
        category=made.images.category,
        version=0,
        image_size=made.images.image_size,
        values=made.images.values,
        features=made.settings,
        made_with=made.runtime,
        files=digests,
        digest=digest_json(digests),
    )


def write_manifest(folder: Path) -> None:
    """Make a package, of version 0, of a folder with its other files.

    Raises:
        VqiError: As ``manifest_of``.
    """
    manifest = manifest_of({name: folder / name for name in FILES})
    write_text(folder / MANIFEST, manifest.model_dump_json(indent=2))


def _name_of_dataset(folder: str) -> str:
    """The name that a source gave its dataset, from the folder ``name@digest``; a name may have an ``@``, too."""
    name, at, digest = folder.rpartition("@")
    return name_of(name if at else digest)


def check_package(manifest: Manifest, files: Mapping[str, Path], uri: str) -> None:
    """Refuse files that are not those of the manifest, or are together no model.

    Args:
        manifest: Of the package.
        files: Its files, by name.
        uri: Where they were read, for the error.

    Raises:
        VqiError: A file is another one, or the manifest says of the model what its files do not.
    """
    again = "publish the model again"
    for name, digest in manifest.files.items():
        if sha256_file(files[name]) != digest:
            raise VqiError(f"{uri}/{name}: not the file that the manifest names; {again}")
    made = manifest_of(files)
    for name, value in made:
        if name not in ("vqi", "version", "shared", "by_digest") and value != (said := getattr(manifest, name)):
            raise VqiError(f"{uri}/{MANIFEST}: {name}: expected {value} as in the files, got {said}; {again}")
