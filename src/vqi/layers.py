"""The names of the layers of backbones, and what is wrong with one that is asked for: without building the network.

``layers.json.xz`` has those of all networks of the pinned timm and torchvision (``vqi.network.layer_table`` writes it).
"""

from __future__ import annotations

import json
import lzma
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from vqi.config import FeatureExtract, SslFinetune, defaults, layer_names
from vqi.errors import VqiError, unknown_layer

TABLE = Path(__file__).parent / "layers.json.xz"
PACKAGES = ("timm", "torchvision")


class Layers(NamedTuple):
    """Of one backbone."""

    names: tuple[str, ...]
    suggested: str  # the one that is most like the default's; '' where none is


def listed_layers(backbone: str) -> Layers | None:
    """Those of a backbone; None where the table does not know it, or is of other versions than those installed."""
    if not TABLE.exists() or _table()["versions"] != installed_versions():
        return None
    library, _, short = backbone.rpartition("/")
    names = {"torchvision": short, "timm": short.partition(".")[0]}  # timm's may have the tag of weights behind it
    for package in (library,) if library else names:  # in the order in which they are looked for to be built
        found = _table()["networks"].get(f"{package}/{names.get(package)}")
        if found is not None:
            index, suggested = found
            return Layers(tuple(_table()["layers"][index].split("\n")), suggested)
    return None


def installed_versions() -> dict[str, str | None]:
    """Of the packages that bring networks; None for one that is not installed."""
    return {name: _version(name) for name in PACKAGES}


def _version(package: str) -> str | None:
    try:
        return version(package).partition("+")[0]  # the CPU build has a local part
    except PackageNotFoundError:
        return None


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(lzma.decompress(TABLE.read_bytes()))
    return table


def layer_problem(backbone: str, layer: str, layers: Layers) -> VqiError | None:
    """What is wrong with the layers that are asked for; None where all are there.

    Args:
        backbone: Its name.
        layer: One, or a JSON list of several.
        layers: Those of the backbone.

    Raises:
        ValueError: ``layer`` begins like a list and is none.
    """
    missing = [name for name in layer_names(layer) if name not in layers.names]
    if not missing:
        return None
    if layer != defaults(FeatureExtract).layer:
        return unknown_layer(missing[0], layers.names)
    example = f", such as layer={layers.suggested}" if layers.suggested else ""
    return VqiError(
        f"the default layers are those of {defaults(SslFinetune).backbone_name}, and {backbone} has other ones: say "
        f"which to take{example} ('vqi layers {backbone}' lists them)"
    )
