"""``vqi layers``: the layers from which a backbone's features can be taken."""

from __future__ import annotations

import click


@click.command()
@click.argument("backbone")
@click.option(
    "--image-size", metavar="SIZE", help="Such as 320, or 208x512 (width x height); by default as in the pipeline."
)
def layers(backbone: str, image_size: str | None) -> None:
    """List the layers of a BACKBONE with the shape of their output (channels, height, width)."""
    from vqi.config import Preprocess, defaults
    from vqi.network.backbones import layer_shapes
    from vqi.network.building import build
    from vqi.sizes import wanted_size

    try:
        size = wanted_size(image_size or defaults(Preprocess).image_size).size
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--image-size") from error
    for name, kind, shape in layer_shapes(build(backbone, "random", size=size), size):
        click.echo(f"{name:40} {kind:24} {' x '.join(map(str, shape))}")
