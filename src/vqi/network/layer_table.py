"""The layers of backbones for those who do not build them: a program.

``python -m vqi.network.layer_table BACKBONE`` prints those of one as JSON; without a name it writes the table of all
networks that the installed packages have (minutes), which belongs to the versions of ``pyproject.toml``.
"""

from __future__ import annotations

import json
import lzma
import sys
from collections.abc import Iterable

import timm
import torch
import torchvision

from vqi.errors import VqiError
from vqi.layers import TABLE, Layers, installed_versions
from vqi.network.backbones import DEFAULT_SIZE, Backbone, layer_shapes, skeleton

_HALVED = 16  # times smaller than the image are the maps of the suggested layer, as the finest of the default ones


def layers_of(name: str) -> Layers:
    """Those of a backbone.

    Raises:
        VqiError: There is no such backbone.
    """
    try:
        with torch.device("meta"):  # without memory for the weights
            return _layers_of(name)
    except NotImplementedError:  # some compute with their weights while they are built
        return _layers_of(name)


def _layers_of(name: str) -> Layers:
    backbone = skeleton(name, DEFAULT_SIZE)
    return Layers(tuple(name for name, _ in backbone.model.named_modules() if name), suggested_layer(backbone))


def suggested_layer(backbone: Backbone) -> str:
    """The last of the network's stages whose map is as fine as those of the default; '' where it has none such."""
    if backbone.prefix_tokens:  # a transformer's blocks are all of one grain
        return ""
    try:
        shapes = layer_shapes(backbone)
    except VqiError:
        return ""
    wanted, side = DEFAULT_SIZE.height // _HALVED, 0 if backbone.channels_last else 1
    fitting = [name for name, _, shape in shapes if len(shape) == 3 and shape[side] == wanted]
    return min(reversed(fitting), key=lambda name: name.count("."), default="")


def table_of(names: Iterable[str]) -> bytes:
    """The table as it is kept: each list of layers once, as many networks share one."""
    networks, layers = {}, dict[str, int]()
    for name in names:
        found = layers_of(name)
        networks[name] = (layers.setdefault("\n".join(found.names), len(layers)), found.suggested)
    table = {"versions": installed_versions(), "networks": networks, "layers": [*layers]}
    return lzma.compress(json.dumps(table, indent=0).encode(), preset=9)


def all_names() -> list[str]:
    """Of the networks of both packages, with the package in front."""
    theirs = torchvision.models.list_models(module=torchvision.models)
    return [*(f"torchvision/{name}" for name in theirs), *(f"timm/{name}" for name in timm.list_models())]


def main() -> int:
    """Print the layers of the named backbone, or write the table; returns 1 where there is no such backbone."""
    if not sys.argv[1:]:
        TABLE.write_bytes(table_of(all_names()))
        return 0
    try:
        found = layers_of(sys.argv[1])
    except VqiError as error:
        sys.stdout.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
