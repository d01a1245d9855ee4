"""``vqi step``: runs one step of an earlier run again."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from vqi_pipelines.commands.options import LocalPath


@click.command()
@click.argument("folder", type=LocalPath())
@click.option("--shell", is_flag=True, help="Make the folder, and print the command for a shell instead.")
@click.option("--store", metavar="URI", help="Datasets and models, if not where the run had them.")
@click.option(
    "-p", "assignments", multiple=True, metavar="NAME=VALUE", help="A parameter whose secret the run did not keep."
)
def step(folder: Path, shell: bool, store: str | None, assignments: tuple[str, ...]) -> None:
    """Run one step of a run again, from the same inputs, with its log on the terminal.

    \b
    FOLDER is the step's folder in its run, such as runs/latest/mono/pca-fit. The outputs are written
    to 'again' in it (then 'again-2', ...): they never replace those of the run, and no later run uses
    them. A step that writes to the store of datasets and models writes there as in a run.
    """
    from vqi.store.opening import STORE, store_uri
    from vqi_pipelines.local.again import held_run, prepare_again, run_again, shell_line
    from vqi_pipelines.parameters import read_parameters

    settings = {STORE: store_uri({STORE: store})} if store else {}
    given = read_parameters([], assignments)
    with held_run(folder):
        again = prepare_again(folder, click.echo, settings, os.environ, given)
        if shell:
            click.echo(shell_line(again, os.environ))
            return
        ended = run_again(again)
    if ended.note:
        click.echo(ended.note, err=True)
    if ended.reason:
        click.echo(f"error: {ended.reason}", err=True)
    click.echo(f"what it wrote: {again.job.folder}")
    sys.exit(ended.code if ended.code >= 0 else 128 - ended.code)
