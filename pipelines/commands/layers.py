"""``vqi layers``: the layers from which a backbone's features can be taken."""

from __future__ import annotations

import click


@click.command()
@click.argument("backbone")
@click.option("--image-size", type=click.IntRange(32, 2048), help="Pixels per side; by default as in the pipeline.")
def layers(backbone: str, image_size: int | None) -> None:
    """List the layers of a BACKBONE with the shape of their output (channels, height, width)."""
    from vqi.config import Preprocess, defaults
    from vqi.network.backbones import layer_shapes
    from vqi.network.building import build

    side = image_size or defaults(Preprocess).image_size
    for name, kind, shape in layer_shapes(build(backbone, "random", image_size=side), side):
        click.echo(f"{name:40} {kind:24} {' x '.join(map(str, shape))}")
