"""``vqi predict``: new images scored with a published model."""

from __future__ import annotations

from pathlib import Path

import click

from vqi_pipelines.commands.options import LocalPath

# As in vqi.config, which takes a third of a second to import; a test compares them with it.
ENGINES = ("auto", "ipex", "openvino", "eager")
PRECISIONS = ("auto", "fp32", "bf16")


@click.command()
@click.argument("model")
@click.argument("images", nargs=-1, required=True, type=LocalPath())
@click.option(
    "--format", "form", type=click.Choice(["csv", "json"]), default="csv", show_default=True, help="Output format."
)
@click.option("-o", "--output", type=LocalPath(), help="File to write. [standard output]")
@click.option(
    "--maps",
    type=LocalPath(),
    help="Folder for one PNG per image, with the anomaly map over it.",
)
@click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default="auto",
    show_default=True,
    help="What runs the network; auto = what the model was made with, if this machine has it.",
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="auto",
    show_default=True,
    help="Precision of the network; auto as for --engine.",
)
def predict(
    model: str,
    images: tuple[Path, ...],
    form: str,
    output: Path | None,
    maps: Path | None,
    engine: str,
    precision: str,
) -> None:
    """Score IMAGES (files or folders) with a published MODEL.

    MODEL is the folder or uri of a version (store/models/elpv/mono/v1), or of a category for its newest version.
    """
    import csv
    import json
    import logging

    from vqi.models.model import Model, image_files, write_overlays

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    files, loaded = image_files(images), Model(model, engine, precision)
    if maps is not None:
        maps.mkdir(parents=True, exist_ok=True)
    with click.open_file(str(output or "-"), "w", encoding="utf-8") as file:  # refused before anything is scored
        predictions = loaded.predict(files)
        rows = [
            {"path": p.name, "score": p.score, "threshold": p.threshold, "decision": p.decision} for p in predictions
        ]
        if maps is not None:
            write_overlays(maps, predictions)
        if form == "json":
            file.write(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
        else:
            table = csv.DictWriter(file, ["path", "score", "threshold", "decision"], lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
