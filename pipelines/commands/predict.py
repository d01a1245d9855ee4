"""``vqi predict``: new images scored with a published model."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click

from vqi_pipelines.commands.options import LocalPath

# As in vqi.config, which takes a third of a second to import; a test compares them with it.
ENGINES = ("auto", "ipex", "openvino", "eager")
PRECISIONS = ("auto", "fp32", "bf16")

_COLUMNS = ("path", "score", "threshold", "decision", "p_value")
_MOST_FAILURES = 20  # that are named on the terminal; all of them are in the output

Row = Mapping[str, object]


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
    import logging

    from vqi.errors import BAD_INPUT
    from vqi.models.inputs import Failure, find_images
    from vqi.models.model import Model, Prediction, write_overlays

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    if maps is not None:
        _make_folder(maps)
    rows: list[Row] = []
    failed: list[Failure] = []
    drawn: list[Prediction] = []
    with _opened(output) as file:  # what cannot be written is refused before anything is scored
        for one in Model(model, engine, precision).each(find_images(images)):
            if isinstance(one, Failure):
                failed.append(one)
                rows.append({"path": one.name, **dict.fromkeys(_COLUMNS[1:]), "error": str(one.error)})
            else:
                figures = (one.score, one.threshold, one.decision, one.p_value)
                rows.append({"path": one.name, **dict(zip(_COLUMNS[1:], figures, strict=True))})
                drawn += [one] if maps is not None else []
        file.write(_as_json(rows) if form == "json" else _as_csv(rows))
    if maps is not None and drawn:
        write_overlays(maps, drawn)
    for failure in failed[:_MOST_FAILURES]:
        click.echo(f"error: {failure.error}", err=True)
    if len(failed) > _MOST_FAILURES:
        click.echo(f"error: ... and {len(failed) - _MOST_FAILURES} more: see the output", err=True)
    if failed:
        sys.exit(BAD_INPUT)


def _make_folder(folder: Path) -> None:
    """Make a folder, and write something into it.

    Raises:
        OSError: It cannot be made or written.
    """
    import tempfile

    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        error.filename = str(folder)
        raise


@contextmanager
def _opened(output: Path | None) -> Iterator[IO[Any]]:
    """The file to write: it becomes ``output`` when all is written, and until then what is there stays as it is.

    Raises:
        VqiError: Standard output is closed.
        OSError: It cannot be written.
    """
    import errno

    from vqi.errors import VqiError
    from vqi.system.atomic import atomic_path

    if output is None or str(output) == "-":
        if sys.stdout is None:
            raise VqiError("standard output is closed: name a file with --output")
        with click.open_file("-", "w", encoding="utf-8") as file:
            yield file
            file.flush()  # here, where an error is one line
    elif output.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder", str(output))
    elif output.is_char_device() or output.is_fifo():
        with output.open("w", encoding="utf-8") as file:
            yield file
    else:
        with atomic_path(output) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            yield file


def _as_csv(rows: Sequence[Row]) -> str:
    """A line for each row, whatever the names; with a column for errors where there is one."""
    import csv
    import io

    from vqi.errors import printable
    from vqi.formatting import cell

    columns = (*_COLUMNS, "error") if any("error" in row for row in rows) else _COLUMNS
    file = io.StringIO()
    table = csv.DictWriter(file, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(
        {name: cell(printable(value)) if isinstance(value, str) else value for name, value in row.items()}
        for row in rows
    )
    return file.getvalue()


def _as_json(rows: Sequence[Row]) -> str:
    """The rows with the exact names: characters that are not printable, and bytes that are no text, as escapes."""
    import json

    text = json.dumps(rows, indent=2, ensure_ascii=False)
    plain = all(line.isprintable() for line in text.split("\n"))
    return f"{text if plain else json.dumps(rows, indent=2)}\n"
