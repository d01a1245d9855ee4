"""What a user names to be served -> categories by name."""

from __future__ import annotations

import re
from collections.abc import Iterable

from vqi.errors import VqiError
from vqi.models.loading import exported_at
from vqi.models.manifest import MANIFEST, read_manifest
from vqi.models.registry import version_at
from vqi.redaction import redacted
from vqi.store.opening import open_store, read_uri

_MODELS = "models/"  # of a store of datasets and models
_VERSION = re.compile(rf"(?:(?P<category>.+)/)?v[1-9][0-9]*/{re.escape(MANIFEST)}")


def places_of(names: Iterable[str]) -> dict[str, str]:
    """The uri of each category, or of the version that was named, by the category's name.

    Args:
        names: Paths or uris: of a version, of a category, of an exported file, or of a store, a dataset or any other
            folder with categories below it.

    Raises:
        VqiError: There is no model at one of them, or two categories have one name.
    """
    found: dict[str, str] = {}
    for place in names:
        for uri in _categories(place.rstrip("/") or place):
            name = origin_of(uri)[1]
            if name in found and found[name] != uri:
                raise VqiError(
                    f"two models are called '{name}': {redacted(found[name])} and {redacted(uri)}: serve them by two "
                    "processes, at two ports"
                )
            found[name] = uri
    return found


def current_at(place: str) -> str:
    """The uri of what is to be served of a place: an exported file, or a version.

    Raises:
        VqiError: There is no model.
    """
    return exported_at(place) or version_at(place)


def _categories(place: str) -> list[str]:
    """The uris of the models that a name stands for."""
    if (file := exported_at(place)) is not None:
        return [file]
    store = open_store(place)
    if store.exists(MANIFEST):
        return [place]
    for prefix in (_MODELS, ""):  # a store has datasets, too, with many more objects
        keys = (_VERSION.fullmatch(entry.key) for entry in store.list(prefix))
        found = sorted({match["category"] or "" for match in keys if match})
        if found:
            return [f"{place}/{category}" if category else place for category in found]
    raise VqiError(f"no model at '{redacted(place)}': expected a version, a category, or a store with models below it")


def origin_of(place: str) -> tuple[str, str]:
    """The dataset and the category that the model at a place was trained for: a folder may have any name.

    Raises:
        VqiError: There is no model, or it is damaged.
    """
    if (file := exported_at(place)) is not None:
        from vqi.models.exported import record_at  # OpenVINO is an extra

        record = record_at(file)
        return record.dataset, record.category
    version = version_at(place)
    manifest = read_manifest(read_uri(f"{version}/{MANIFEST}"), version)
    return manifest.dataset, manifest.category
