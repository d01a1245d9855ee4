"""``vqi doctor``: what of this machine vqi can use, and whether that works."""

from __future__ import annotations

import os
import sys

import click

from vqi.errors import BAD_INPUT
from vqi_pipelines.commands.tables import print_json, shown

STORE = "VQI_STORE"
COLOURS = {"ok": "green", "note": "yellow", "problem": "red"}


@click.command()
@click.option("--store", metavar="URI", help=f"A store to try, such as store or s3://vqi; it is written to. [{STORE}]")
@click.option("--quick", is_flag=True, help="Do not time the engines, which takes about half a minute.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def doctor(store: str | None, quick: bool, as_json: bool) -> None:
    """Look at this machine: processor, memory, engines and their speed, weights, store, disks.

    The exit code is 2 where something does not work, and 0 otherwise.
    """
    # Here, because it takes long to import.
    from vqi_pipelines.doctor import examine

    findings = []
    for one in examine(store or os.environ.get(STORE), timed=not quick):
        findings.append(one)
        if not as_json:
            click.echo(f"  {click.style(f'{one.state:8}', COLOURS[one.state])} {one.what:16} {shown(one.said)}")
    problems = [one.what for one in findings if one.state == "problem"]
    if as_json:
        print_json({"problems": problems, "findings": [one.as_json() for one in findings]})
    elif problems:
        click.echo(f"\n{', '.join(problems)}: does not work")
    else:
        click.echo("\neverything works")
    sys.exit(BAD_INPUT if problems else 0)
