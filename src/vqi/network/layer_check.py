"""Whether a backbone has the layers that are asked for: a program, for processes that do not load torch themselves.

``python -m vqi.network.layer_check BACKBONE LAYER`` says on stdout what is wrong, if something is.
"""

from __future__ import annotations

import sys

from vqi.config import FeatureExtract, SslFinetune, defaults, layer_names
from vqi.errors import VqiError
from vqi.network.backbones import DEFAULT_SIZE, Backbone, find_layer, layer_shapes, skeleton

_HALVED = (
    16  # times smaller than the image are the maps of the layer that is suggested, as the finest of the default ones
)


def check_layers(backbone_name: str, layer: str) -> None:
    """Check that the layers are there.

    Args:
        backbone_name: As ``skeleton`` takes it.
        layer: One, or a JSON list of several.

    Raises:
        VqiError: One is not; or there is no such backbone.
    """
    backbone = skeleton(backbone_name, DEFAULT_SIZE)
    try:
        for name in layer_names(layer):
            find_layer(backbone.model, name)
    except VqiError as error:
        if layer != defaults(FeatureExtract).layer:
            raise
        alike = suggested_layer(backbone)
        example = f", such as layer={alike}" if alike else ""
        raise VqiError(
            f"the default layers are those of {defaults(SslFinetune).backbone_name}, and {backbone_name} has other "
            f"ones: say which to take{example} ('vqi layers {backbone_name}' lists them)"
        ) from error


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


def main() -> int:
    """Check what the command line names; returns 1 where something is wrong."""
    try:
        check_layers(*sys.argv[1:])
    except VqiError as error:
        sys.stdout.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
