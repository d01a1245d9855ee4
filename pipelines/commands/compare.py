"""``vqi compare``: two runs beside each other."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vqi_pipelines.commands.options import LocalPath, run_argument, runs_dir_option
from vqi_pipelines.commands.tables import print_json, print_table, shown

if TYPE_CHECKING:
    from vqi.pages.comparison_page import Compared, Comparison

_MOST = 20  # images of a category on a terminal


@click.command(short_help="Two runs beside each other.")
@run_argument("a")
@run_argument("b")
@runs_dir_option
@click.option("--html", type=LocalPath(), metavar="FILE", help="Write it there as a page, too.")
@click.option("--json", "as_json", is_flag=True, help="JSON, for programs: with all images whose verdict changed.")
def compare(a: str, b: str, runs_dir: Path, html: Path | None, as_json: bool) -> None:
    """Compare two runs A and B of the training pipeline: what B does otherwise than A.

    \b
    A and B are names that 'vqi runs' lists, folders of runs, or latest. Shown are the settings that
    differ, the figures of each category, with the 95 % interval of a change where chance can be told,
    and the test images whose verdict changed. Images are matched by their contents.
      vqi compare 20261201-002515-training latest
    To compare two models of a store instead: vqi models compare.
    """
    from vqi.artifacts.files import write_text
    from vqi.pages.comparison_page import comparison_page
    from vqi_pipelines.runs.comparing import compare as compared
    from vqi_pipelines.runs.listing import find_run

    found = compared(find_run(a, runs_dir), find_run(b, runs_dir))
    if html is not None:
        write_text(html, comparison_page(found))
    if as_json:
        print_json(asdict(found))
    else:
        _print(found)
        if html is not None:
            click.echo(f"page: {shown(str(html))}")


def _print(found: Comparison) -> None:
    for letter, side in (("A", found.a), ("B", found.b)):
        told = [side.started, side.state, side.note, *(f"tag {tag}" for tag in side.tags)]
        click.echo(f"{click.style(letter, bold=True)}  {side.name}: {', '.join(shown(one) for one in told if one)}")
    _heading("settings that differ")
    if found.settings:
        print_table([("", "A", "B"), *((one.name, shown(one.a), shown(one.b)) for one in found.settings)])
    else:
        click.echo("  none")
    for one in found.categories:
        _print_category(one)
    for letter, names in (("A", found.only_a), ("B", found.only_b)):
        if names:
            click.echo(f"in {letter} alone: {shown(', '.join(names))}")


def _print_category(one: Compared) -> None:
    from vqi.pages.comparison_page import cells_of

    _heading(shown(one.name))
    print_table([("", "A", "B", "B minus A", "95 % interval"), *(figure.texts for figure in one.figures)])
    for line in one.told:
        click.echo(f"  {shown(line)}")
    if one.changed:
        rows = [(shown(each.path), shown(each.defect_type), *cells_of(each, one), each.told) for each in one.changed]
        print_table([("image", "what it is", "A: score / threshold", "B: score / threshold", "in B"), *rows[:_MOST]])
        if len(rows) > _MOST:
            click.echo(f"  and {len(rows) - _MOST} more: --html or --json has all")


def _heading(text: str) -> None:
    click.echo(f"\n{click.style(text, bold=True)}")
