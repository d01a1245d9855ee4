"""``vqi gc``: the space that old runs take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vqi.errors import VqiError
from vqi_pipelines.commands.options import runs_dir_option
from vqi_pipelines.commands.tables import megabytes, print_json, shown

if TYPE_CHECKING:
    from vqi_pipelines.runs.removing import Leftover

# As in vqi_pipelines.runs.removing, which takes long to import; a test compares them with it.
NEWEST, DAYS = 3, 7


def _told(removed: Sequence[Leftover]) -> dict[str, int]:
    """What goes, and the bytes that this frees: whole runs, and what the steps of each other run passed on."""
    found: dict[str, int] = {}
    for one in removed:
        if one.kind == "result":
            continue
        run = one.path.partition("/")[0]
        what = f"what steps of {run} passed on" if one.kind == "artifact" else f"{one.kind} {one.path}"
        found[what] = found.get(what, 0) + one.bytes
    return found


@click.command(short_help="Remove what old runs left on this machine.")
@runs_dir_option
@click.option("--whole", is_flag=True, help="Remove whole runs, with their tables, reports and logs.")
@click.option(
    "--keep", type=click.IntRange(0), default=NEWEST, show_default=True, metavar="N", help="The newest N runs stay."
)
@click.option(
    "--older-than",
    "days",
    type=click.FloatRange(0, 36_500),
    default=DAYS,
    show_default=True,
    metavar="DAYS",
    help="What is younger stays, too.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@click.option("--json", "as_json", is_flag=True, help="JSON, for programs.")
def gc(runs_dir: Path, whole: bool, keep: int, days: float, dry_run: bool, as_json: bool) -> None:
    """Remove what old runs left in the folder of runs on this machine, and say how much space that frees.

    \b
    Without --whole runs stay, with their tables, reports, scores and logs: 'vqi runs' and 'vqi compare'
    know them as before. What goes is what their steps passed on: images, backbones, features,
    detectors. Models are not touched, they are in the store, and the same run again computes what it needs.
    Also removed: what the cache knows of results that are gone.

    \b
    Never removed: a run that goes on, the newest ones, and what a person wants, that is
    a run with a note or with the tag keep ('vqi runs tag RUN keep').

    \b
    What is left in a store (uploads that broke off, datasets, networks) is another matter: vqi models gc.
    Artifacts that went through an object store (vqi run --artifacts) are removed by a rule of the bucket.
    """
    from datetime import timedelta

    from vqi_pipelines.runs.index import renew_index
    from vqi_pipelines.runs.removing import collect, look

    found = look(runs_dir, whole=whole, keep=keep, age=timedelta(days=days))
    if not dry_run:
        found = collect(found)
        renew_index(runs_dir)
    if as_json:
        removed = [{"kind": one.kind, "path": one.path, "bytes": one.bytes} for one in found.removed]
        kept = [{"name": name, "why": why} for name, why in sorted(found.kept.items())]
        print_json({"dry_run": dry_run, "bytes": found.bytes, "removed": removed, "kept": kept})
        return
    would = "would remove" if dry_run else "removed"
    results = [one for one in found.removed if one.kind == "result"]
    for what, size in _told(found.removed).items():
        click.echo(f"{would} {shown(what)} ({megabytes(size)})")
    if results:
        click.echo(f"{would} what the cache knows of results that are gone ({len(results)})")
    for name, why in sorted(found.kept.items()):
        click.echo(f"kept {shown(name)}: {shown(why)}")
    click.echo(f"in all: {megabytes(found.bytes)} {'would be ' if dry_run else ''}freed")
    if found.failed:
        raise VqiError(f"{len(found.failed)} of what should go cannot be removed, such as {shown(found.failed[0])}")
