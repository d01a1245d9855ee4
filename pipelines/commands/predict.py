"""``vqi predict``: new photographs scored with a published or exported model."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vqi_pipelines.commands.options import LocalPath, engine_options
from vqi_pipelines.commands.sinking import Sending, SinkOptions, sink_options

if TYPE_CHECKING:
    from vqi.models.inputs import Found

INTERRUPTED = 130  # as a shell says it of a program that SIGINT ended


@click.command()
@click.argument("model")
@click.argument("images", nargs=-1)
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "jsonl"]),
    default="csv",
    show_default=True,
    help="CSV with a line of names, or one JSON object per line.",
)
@click.option(
    "-o",
    "--output",
    type=LocalPath(),
    help="File for the rows, which are in it as soon as they are made. What it held before is replaced when the first "
    "row is there; with --watch, rows are added to it. [standard output]",
)
@click.option(
    "--maps",
    type=LocalPath(),
    help="Folder for one PNG per photograph, of its own size: what is unusual where, under the same colours for all "
    "photographs of a model, anomalous places outlined, verdict and score. The column 'map' names its file.",
)
@click.option(
    "--watch",
    type=LocalPath(),
    metavar="FOLDER",
    help="Score each photograph in FOLDER, and each new one once it is completely written, until SIGINT or SIGTERM.",
)
@click.option(
    "--state",
    type=LocalPath(),
    metavar="FILE",
    help="With --watch: where it is noted which files are scored, so that a restart scores none twice. "
    "[the output file with .state after its name; none for standard output]",
)
@click.option("--fail-on-anomaly", is_flag=True, help="End with exit code 1 when a part was flagged.")
@sink_options
@engine_options
def predict(
    model: str,
    images: tuple[str, ...],
    form: str,
    output: Path | None,
    maps: Path | None,
    watch: Path | None,
    state: Path | None,
    fail_on_anomaly: bool,
    sink: SinkOptions,
    engine: str,
    precision: str,
) -> None:
    """Score IMAGES with a published or exported MODEL.

    MODEL is the folder or uri of a version (store/models/elpv/mono/v1), or of a category for its champion; or a
    file that `vqi export` wrote (bracket.xml), or its folder.

    IMAGES are files, folders, patterns ('parts/*.png', '**' for folders at all depths), s3:// addresses of an object
    or of all below a prefix, and - for names on standard input, one per line.

    Each photograph has a row: path, score, threshold, decision (1 = not like the good ones), p_value (share of good
    parts that are at least as unusual), boxes (x y width height of each anomalous place, in pixels), map, error. One
    that cannot be read has a row with its error; the others are scored.

    \b
    Exit codes:
      0  all photographs have a score
      1  with --fail-on-anomaly: so they have, and a part was flagged
      2  nothing could be scored: the command, the model or the output is wrong; or the output takes no more
      3  a photograph could not be read, whether or not a part was flagged
    """
    # Here, because they take long to import.
    import logging

    from vqi.errors import VqiError
    from vqi.models.loading import load
    from vqi.redaction import shown_line
    from vqi_pipelines.commands.rows import Rows
    from vqi_pipelines.commands.scoring import STANDARD, Progress, Run, named
    from vqi_pipelines.commands.watching import Seen, until_signalled, watched

    _check_usage(images, watch, state, maps)
    if sink.address and watch is None:
        raise click.UsageError("--sink is for --watch FOLDER")
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    if output is not None and str(output) == STANDARD:
        output = None
    if maps is not None:
        _make_folder(maps)
    try:
        with ExitStack() as stack:
            # what cannot be written is refused before anything is scored
            rows = stack.enter_context(Rows(output, form, append=watch is not None))
            found: Iterable[Found]
            if watch is not None:
                seen = stack.enter_context(Seen(watch, state or _state_of(output)))
                found, pictures = watched(watch, seen, stack.enter_context(until_signalled())), seen.scored
            else:
                found, pictures = named(images), 0
            progress = Progress(quiet=output is None and sys.stdout.isatty())
            outbox = stack.enter_context(sink.opened())
            sending = None if outbox is None else Sending(outbox, shown_line(model))
            run = Run(load(model, engine, precision), rows, maps, pictures, progress, sending)
            run.score(found, ahead=watch is None and STANDARD not in images)
    except BrokenPipeError as error:
        raise VqiError("whoever reads the output has closed it") from error
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    sys.exit(run.exit_code(fail_on_anomaly=fail_on_anomaly))


def _check_usage(images: tuple[str, ...], watch: Path | None, state: Path | None, maps: Path | None) -> None:
    """Refuse what does not go together.

    Raises:
        click.UsageError: As said.
    """
    if watch is None and not images:
        raise click.UsageError("expected IMAGES, or --watch FOLDER")
    if watch is not None and images:
        raise click.UsageError(f"expected IMAGES or --watch FOLDER, got both: leave out {images[0]!r}")
    if state is not None and watch is None:
        raise click.UsageError("--state is for --watch FOLDER")
    if watch is not None and maps is not None and maps.resolve().is_relative_to(watch.resolve()):
        raise click.UsageError(f"--maps {maps} is in the folder that is watched: name another one")


def _state_of(output: Path | None) -> Path | None:
    """Where it is noted what is scored, next to a file for the rows; None where the rows go elsewhere."""
    if output is None or (output.exists() and not output.is_file()):
        return None
    return output.with_name(f"{output.name}.state")


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
