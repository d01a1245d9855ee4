"""``vqi export``: a published model as one file for a run time without Python."""

from __future__ import annotations

from pathlib import Path

import click

from vqi_pipelines.commands.options import LocalPath

# As in vqi.export.writing, which takes seconds to import; a test compares them with it.
FORMATS = ("openvino", "onnx")
PRECISIONS = ("fp32", "bf16", "int8")


@click.command()
@click.argument("model")
@click.option("--to", type=click.Choice(FORMATS), required=True, help="The run time that is to compute it.")
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="fp32",
    show_default=True,
    help="Of the network. Of openvino: bf16, which is fp32 where the processor lacks it, and int8, with --calibrate.",
)
@click.option("-o", "--output", type=LocalPath(), required=True, help="A new folder for the files.")
@click.option(
    "--check",
    type=LocalPath(),
    metavar="FOLDER",
    help="Photographs on which the file is compared with the library, besides made-up ones.",
)
@click.option(
    "--calibrate",
    multiple=True,
    metavar="FOLDER|PATTERN",
    help="For int8: photographs of good parts to quantise on, such as those of training; repeatable. "
    "At most 400 are read, and every fourth of them is only compared.",
)
def export(model: str, to: str, precision: str, output: Path, check: Path | None, calibrate: tuple[str, ...]) -> None:
    """Write a published MODEL as one file: from the pixels of a photograph to score, verdict, p-value and map.

    MODEL is the folder or uri of a version (store/models/elpv/mono/v1), or of a category for its champion.

    The file is compared with the library, and is not written when it scores otherwise. docs/export.md shows how to
    run it.
    """
    # Here, because it takes long to import.
    from vqi.export import writing
    from vqi.models.exported_record import FILES

    found = writing.export(model, output, to, precision, check, calibrate)
    click.echo(f"{output / FILES[to]}: {found}")
