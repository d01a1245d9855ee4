"""``vqi runs``: the runs of this machine, and what people say of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vqi_pipelines.commands.options import run_argument, runs_dir_option
from vqi_pipelines.commands.tables import print_json, print_table, shown, time_of

if TYPE_CHECKING:
    from datetime import datetime

    from vqi_pipelines.local.run_record import Note
    from vqi_pipelines.runs.listing import Run

_HEADER = ("run", "started (UTC)", "took", "state", "source", "categories", "mean AUROC", "gate", "note", "tags")
_LONGEST = 40  # characters of a cell
_MOST_NAMES = 3  # categories in a cell


@click.group(invoke_without_command=True, short_help="The runs on this machine, with their figures.")
@runs_dir_option
@click.option(
    "--tag", "tags", multiple=True, metavar="NAME", help="Only runs with this tag; repeatable: with all of them."
)
@click.option("--json", "as_json", is_flag=True, help="JSON, for programs: with all figures and parameters.")
@click.pass_context
def runs(context: click.Context, runs_dir: Path, tags: tuple[str, ...], as_json: bool) -> None:
    """List the runs of 'vqi run' on this machine, the newest first.

    \b
    The same is on a page, runs/index.html, which each run renews. Of each run: how it ended, the mean image
    AUROC of its categories, what the gate decided about its models, and what people noted:
      vqi run -p backbone=resnet50 --note "a larger network" --tag candidate
      vqi runs --tag candidate
      vqi runs note latest "worse on scratches"    change the note of a run
      vqi runs tag latest keep                     'vqi gc' leaves this run alone
      vqi compare 20261201-002515-training latest  what differs between two runs
    """
    context.obj = runs_dir
    if context.invoked_subcommand is None:
        _list(runs_dir, tags, as_json=as_json)


def _list(runs_dir: Path, tags: tuple[str, ...], *, as_json: bool) -> None:
    from datetime import UTC, datetime

    from vqi_pipelines.runs.listing import as_json as plain
    from vqi_pipelines.runs.listing import runs_in

    found, now = runs_in(runs_dir), datetime.now(UTC)
    chosen = [run for run in found.runs if {*tags} <= {*run.note.tags}]
    if as_json:
        strangers = [{"folder": one.name, "why": one.why} for one in found.strangers]
        print_json({"runs": [plain(run, now) for run in chosen], "not_runs": strangers})
        return
    if chosen:
        print_table([_HEADER, *(_row(run, now) for run in chosen)])
    else:
        tagged = f" with the tag {' and '.join(tags)}" if tags else ""
        click.echo(f"no runs{tagged} in {shown(str(runs_dir))}")
    for run in chosen:
        if run.problem:
            click.echo(f"{run.name}: not all is known: {shown(run.problem)}")
    for one in found.strangers:
        click.echo(f"{shown(one.name)} is not listed: {shown(one.why)}")


@runs.command(short_help="Note something on a run.", context_settings={"ignore_unknown_options": True})
@run_argument("run")
@click.argument("text")
@click.pass_obj
def note(runs_dir: Path, run: str, text: str) -> None:
    """Note TEXT on a RUN, in the place of what was noted before; '' removes the note.

    RUN is a name that 'vqi runs' lists, a folder, or latest.
    """
    from vqi.system.locks import held_folder
    from vqi_pipelines.local.run_record import note_of, read_note, write_note
    from vqi_pipelines.runs.listing import find_run

    found = find_run(run, runs_dir)
    with held_folder(found.folder.parent):  # of two that change it at once, the second one sees what the first one did
        changed = note_of(text, read_note(found.folder).tags)
        write_note(found.folder, changed)
    _renewed(found, changed)


@runs.command(short_help="Tag a run.")
@run_argument("run")
@click.argument("tags", nargs=-1, required=True, metavar="TAG...")
@click.option("--remove", is_flag=True, help="Remove the tags instead.")
@click.pass_obj
def tag(runs_dir: Path, run: str, tags: tuple[str, ...], remove: bool) -> None:
    """Tag a RUN with each TAG; a run with the tag keep is left alone by 'vqi gc'.

    RUN is a name that 'vqi runs' lists, a folder, or latest.
    """
    from vqi.errors import unknown
    from vqi.system.locks import held_folder
    from vqi_pipelines.local.run_record import note_of, read_note, write_note
    from vqi_pipelines.runs.listing import find_run

    found = find_run(run, runs_dir)
    with held_folder(found.folder.parent):
        said = read_note(found.folder)
        has = {*said.tags}
        for one in tags if remove else ():
            if one not in has:
                raise unknown(f"tag of {found.name}", one, has)
        changed = note_of(said.text, has - {*tags} if remove else has | {*tags})
        write_note(found.folder, changed)
    _renewed(found, changed)


def _renewed(run: Run, note: Note) -> None:
    """Say what is noted now, and renew the page of all runs."""
    from vqi_pipelines.runs.index import renew_index

    renew_index(run.folder.parent)
    told = "; ".join(filter(None, [note.text, f"tags: {', '.join(note.tags)}" if note.tags else ""]))
    click.echo(f"{run.name}: {shown(told) or 'nothing is noted'}")


def _row(run: Run, now: datetime) -> tuple[str, ...]:
    from vqi import formatting
    from vqi.progress import clock

    seconds = run.seconds(now)
    names = [one.name for one in run.categories]
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    cells = (
        run.name,
        time_of(run.started),
        formatting.NOTHING if seconds is None else clock(seconds),
        run.state,
        run.source,
        ", ".join(names[:_MOST_NAMES]) + more,
        formatting.area(run.mean_auroc),
        run.decided,
        run.note.text,
        ", ".join(run.note.tags),
    )
    return tuple(_shortened(shown(cell)) for cell in cells)


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
