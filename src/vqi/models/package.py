"""What a model package is: its files and its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from vqi import __version__
from vqi.artifacts.backbone import Runtime
from vqi.artifacts.detector import load_detector
from vqi.artifacts.files import write_text
from vqi.artifacts.images import LARGEST, ValueRange
from vqi.config import FeatureExtract
from vqi.detectors.registry import detector_of
from vqi.digests import digest_json, sha256_file
from vqi.errors import VqiError
from vqi.records import Record, parse_json
from vqi.store.names import name_of

MANIFEST, METRICS = "manifest.json", "metrics.json"
FILES = ("backbone.safetensors", "detector.safetensors", METRICS, "report.html")

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Manifest(Record):
    """``manifest.json``: enough to score an image, and where the model comes from."""

    format: Literal["vqi.model/3"] = "vqi.model/3"
    vqi: str
    dataset: str
    category: str
    version: int = Field(ge=0)
    image_size: int = Field(ge=1, le=LARGEST)
    values: ValueRange | None  # of images deeper than 8 bits
    features: FeatureExtract
    made_with: Runtime  # engine and precision of the features that it was fitted to; another may score, too
    files: dict[str, Sha256]  # by name
    digest: Sha256  # of the files


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


def read_manifest(data: bytes, uri: str) -> Manifest:
    """The manifest in ``data``, which was read from the model at ``uri``.

    Raises:
        VqiError: It is not a manifest, or one of another format.
    """
    manifest = parse_json(Manifest, data, f"{uri}/{MANIFEST}", "train the category again with this version of vqi")
    if set(manifest.files) != set(FILES):
        raise VqiError(
            f"{uri}: expected a model package of {', '.join(FILES)}, got {', '.join(sorted(manifest.files))}"
        )
    return manifest


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
        if name not in ("vqi", "version") and value != (said := getattr(manifest, name)):
            raise VqiError(f"{uri}/{MANIFEST}: {name}: expected {value} as in the files, got {said}; {again}")
