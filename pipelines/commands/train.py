"""``vqi train``: the pipeline on photographs as they lie."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from vqi.errors import VqiError
from vqi_pipelines.commands.options import parameter_options
from vqi_pipelines.commands.running import Running, run_options

DECLINED = 1


@click.command()
@click.argument("photographs")
@click.option("--dry-run", is_flag=True, help="Say what the photographs are taken for, and start nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask. Where input or output is no terminal, nothing is asked.")
@parameter_options
@run_options
def train(
    photographs: str,
    dry_run: bool,
    yes: bool,
    files: tuple[Path, ...],
    assignments: tuple[str, ...],
    running: Running,
) -> None:
    """Learn from a folder of PHOTOGRAPHS, after saying what they are taken for.

    \b
    PHOTOGRAPHS is a folder, as it is:
      photographs without sub-folders      all of good parts, of one category
      good/ and bad/, ok/ and nok/, ...    some of the good ones are kept for the test
      train/good/, test/good/, test/scratch/, ground_truth/, calibration/good/
      folders of these, one per kind of part
    Sub-folders of good parts are shifts, days or cameras: groups that are calibrated together.
    It may also be an archive, a table, an s3:// address, or what 'vqi run -p source=' takes.

    The rest is 'vqi run', with its options and results.
    """
    from vqi_pipelines.commands.understanding import understood
    from vqi_pipelines.parameters import settings_of

    given = with_source(photographs, files, assignments)
    _, problems = understood(settings_of(given))
    if problems:
        raise VqiError("; ".join(map(str, problems)))
    if dry_run:
        click.echo("\nnothing was started: --dry-run")
        return
    if not yes and _on_terminal() and not click.confirm("\nStart?", default=True):
        click.echo("nothing was started")
        sys.exit(DECLINED)
    click.echo()
    sys.exit(running.train(given))


def _on_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def with_source(place: str, files: tuple[Path, ...], assignments: tuple[str, ...]) -> dict[str, Any]:
    """The parameters that are given, with the source that a place is.

    Raises:
        VqiError: They name one, too; or a file or an assignment is wrong.
    """
    from vqi.datasets.sources import source_at
    from vqi_pipelines.parameters import read_parameters

    given = read_parameters(files, assignments)
    if "source" in given:
        raise VqiError(f"the parameter source: it is what you name, '{place}': leave the parameter out")
    return {**given, "source": source_at(place)}
