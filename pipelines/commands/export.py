"""``vqi export``: a published model as one file for a run time without Python."""

from __future__ import annotations

from pathlib import Path

import click

from vqi_pipelines.commands.options import LocalPath

# As in vqi.export.writing, which takes seconds to import; a test compares them with it.
FORMATS = ("openvino", "onnx")
PRECISIONS = ("fp32", "bf16")


@click.command()
@click.argument("model")
@click.option("--to", type=click.Choice(FORMATS), required=True, help="The run time that is to compute it.")
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="fp32",
    show_default=True,
    help="Of the network; bf16 (of openvino) is twice as fast where the processor has it, and fp32 elsewhere.",
)
@click.option("-o", "--output", type=LocalPath(), required=True, help="A new folder for the files.")
@click.option(
    "--check",
    type=LocalPath(),
    metavar="FOLDER",
    help="Photographs on which the file is compared with the library, besides made-up ones.",
)
def export(model: str, to: str, precision: str, output: Path, check: Path | None) -> None:
    """Write a published MODEL as one file: from the pixels of a photograph to score, verdict, p-value and map.

    MODEL is the folder or uri of a version (store/models/elpv/mono/v1), or of a category for its champion.

    The file is compared with the library, and is not written when it scores otherwise. docs/export.md shows how to
    run it.
    """
    # Here, because it takes long to import.
    from vqi.export import writing
    from vqi.models.exported_record import FILES

    found = writing.export(model, output, to, precision, check)
    click.echo(
        f"{output / FILES[to]}: compared on {found.photographs} photographs; scores at most {found.exact:.1e} "
        f"apart, {found.resized:.1e} where a photograph is resized; {found.flips} other decisions"
    )
