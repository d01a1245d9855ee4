"""``vqi layers``: the layers from which a backbone's features can be taken."""

from __future__ import annotations

import click


@click.command()
@click.argument("backbone")
@click.option("--image-size", default=224, show_default=True, type=click.IntRange(32, 2048), help="Pixels per side.")
def layers(backbone: str, image_size: int) -> None:
    """List the layers of a BACKBONE with the shape of their output (channels, height, width)."""
    from vqi.network.backbones import layer_shapes
    from vqi.network.building import build

    for name, kind, shape in layer_shapes(build(backbone, "random", image_size=image_size), image_size):
        click.echo(f"{name:40} {kind:24} {' x '.join(map(str, shape))}")
