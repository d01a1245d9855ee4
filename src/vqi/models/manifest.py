"""The manifest of a model package, and the names of the files that it speaks of."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from vqi.artifacts.backbone import Runtime
from vqi.artifacts.images import ValueRange
from vqi.config import FeatureExtract
from vqi.errors import VqiError
from vqi.records import Record, parse_json
from vqi.sizes import AnySize

MANIFEST, METRICS, BACKBONE = "manifest.json", "metrics.json", "backbone.safetensors"
FILES = (BACKBONE, "detector.safetensors", METRICS, "report.html")

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Manifest(Record):
    """``manifest.json``: enough to score an image, and where the model comes from."""

    format: Literal["vqi.model/3"] = "vqi.model/3"
    vqi: str
    dataset: str
    category: str
    version: int = Field(ge=0)
    image_size: AnySize
    values: ValueRange | None  # of images deeper than 8 bits
    features: FeatureExtract
    made_with: Runtime  # engine and precision of the features that it was fitted to; another may score, too
    files: dict[str, Sha256]  # by name
    # files that are another version's, by its number, as an earlier vqi shared them
    shared: dict[str, int] = Field(default_factory=dict)
    by_digest: tuple[Literal["backbone.safetensors"], ...] = ()  # files that the dataset keeps once; see ``backbones``
    digest: Sha256  # of the files


def read_manifest(data: bytes, uri: str) -> Manifest:
    """The manifest in ``data``, which was read from the model at ``uri``.

    Raises:
        VqiError: It is not a manifest, or one of another format.
    """
    manifest = parse_json(Manifest, data, f"{uri}/{MANIFEST}", "train the category again with this version of vqi")
    if set(manifest.files) != set(FILES) or not set(manifest.shared) <= set(FILES):
        raise VqiError(
            f"{uri}: expected a model package of {', '.join(FILES)}, got {', '.join(sorted(manifest.files))}"
        )
    return manifest
