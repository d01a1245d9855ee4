"""``vqi check``: the data page of photographs, without a run."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from vqi_pipelines.commands.options import LocalPath, parameter_options
from vqi_pipelines.commands.train import with_source

UNUSABLE = 1


@click.command()
@click.argument("photographs")
@click.option(
    "-o",
    "--output",
    type=LocalPath(),
    default="data-pages",
    show_default=True,
    help="Folder for the pages, one per category. Pages of the same name are replaced.",
)
@parameter_options
def check(photographs: str, output: Path, files: tuple[Path, ...], assignments: tuple[str, ...]) -> None:
    """Look at PHOTOGRAPHS as a run would, and write the data page of each category; nothing is trained or stored.

    PHOTOGRAPHS is what 'vqi train' takes, and the parameters are those of a run: categories, image_size, group_by,
    max_bad_fraction, target_fpr and so on. What operators said of photographs is in a store, and not looked at.

    \b
    Exit codes:
      0  the photographs can be used; warnings may say what to know of them
      1  a category cannot be trained: a run would stop there
      2  they were not looked at: the place, a parameter or the output is wrong
    """
    from vqi_pipelines.checking import check_category
    from vqi_pipelines.commands.understanding import understood
    from vqi_pipelines.parameters import settings_of

    settings = settings_of(with_source(photographs, files, assignments))
    planned, _ = understood(settings, judged=True)
    output.mkdir(parents=True, exist_ok=True)
    stops = False
    for category in planned.dataset.categories:
        found = check_category(planned.dataset, category, settings, output)
        stops = stops or found.problem is not None
        click.echo(f"\n{category}: {found.verdict}")
        for text in found.warnings:
            click.echo(f"  warning: {text}")
        if found.page is not None:
            click.echo(f"  page: {found.page}")
    sys.exit(UNUSABLE if stops else 0)
