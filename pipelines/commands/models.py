"""``vqi models``: the versions in a store, and which of them is used."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from vqi.errors import VqiError
from vqi.mirrors.registry import MIRRORS
from vqi_pipelines.commands.tables import megabytes as _megabytes
from vqi_pipelines.commands.tables import place as _place
from vqi_pipelines.commands.tables import print_json as _print_json
from vqi_pipelines.commands.tables import print_table
from vqi_pipelines.commands.tables import shown as _shown
from vqi_pipelines.commands.tables import time_of as _time
from vqi_pipelines.commands.verdict import in_words

if TYPE_CHECKING:
    from vqi.models.champion import Champion
    from vqi.models.overview import Entry
    from vqi.models.promotion import Moved

_AS_JSON = click.option("--json", "as_json", is_flag=True, help="JSON, for programs.")
_BY = click.option("--by", metavar="NAME", help="Who decides. [user@host]")
_WHY = click.option("--why", default="", metavar="TEXT", help="Why, for those who read the history.")

# Figures of a version that are compared: name, how it is printed.
_AREAS = ("image_auroc", "pixel_auroc", "aupro")
_RATES = ("false_alarm_rate", "recall", "accuracy", "target_fpr")


@click.group()
def models() -> None:
    """The versions of models in a store, and which of them is used: the champion.

    \b
    Whoever names a category (vqi predict store/models/parts/bracket ...) gets its champion. The pipeline's gate moves
    it, or a person:
      vqi models list store                          what there is
      vqi models promote store/models/parts/bracket/v3 --why "sharper lens"
      vqi models rollback store/models/parts/bracket   to the champion before
    """


@models.command("list", short_help="The versions in a store, with their figures.")
@click.argument("store")
@_AS_JSON
def list_command(store: str, as_json: bool) -> None:
    """List the versions in a STORE, a folder or s3:// uri, or in a part of it, with their figures."""
    from vqi import formatting
    from vqi.models.overview import categories_in, entries_of

    found = [(category, entries_of(category)) for category in categories_in(store)]
    if as_json:
        _print_json([_plain(entry) for _, entries in found for entry in entries])
        return
    for category, entries in found:
        click.echo(click.style(_place(category.uri), bold=True))
        names = ("image AUROC", "false alarms", "recall", "test images", "size", "gate")
        rows = [("version", "state", "published (UTC)", *names)]
        for entry in reversed(entries):
            measured = entry.metrics
            figures = ("", "", "", "")
            if measured is not None:
                figures = (_auroc(entry), formatting.percent(measured.false_alarm_rate),
                           formatting.percent(measured.recall), f"{measured.test_images:,}")  # fmt: skip
            state = "champion" if entry.champion else "" if entry.complete else "incomplete"
            rows.append((f"v{entry.version}", state, _time(entry.published), *figures, _megabytes(entry.bytes),
                         entry.verdict.verdict if entry.verdict else ""))  # fmt: skip
        print_table(rows)
        for entry in entries:
            if entry.problem:
                click.echo(f"  v{entry.version}: {_shown(entry.problem)}")


@models.command(short_help="A version, and the history of the champion.")
@click.argument("model")
@_AS_JSON
def show(model: str, as_json: bool) -> None:
    """Show a MODEL, the uri of a version or of a category for its champion, and who was champion when, and why."""
    from vqi import formatting
    from vqi.models.champion import history
    from vqi.models.overview import entry_of, version_in_store

    entry, moves = entry_of(model), history(version_in_store(model)[0])
    if as_json:
        _print_json({**_plain(entry), "history": [one.model_dump(mode="json") for one in moves]})
        return
    click.echo(click.style(_place(entry.model), bold=True))
    rows = [("champion", "yes" if entry.champion else "no"), ("published (UTC)", _time(entry.published)),
            ("size", _megabytes(entry.bytes))]  # fmt: skip
    if entry.manifest is not None:
        rows += [(name, value) for name, value in _settings(entry).items()]
    if entry.metrics is not None:
        rows += [("image AUROC", _auroc(entry))]
        rows += [(_words(name), formatting.area(getattr(entry.metrics, name))) for name in _AREAS[1:]]
        rows += [(_words(name), formatting.percent(getattr(entry.metrics, name))) for name in _RATES]
    if entry.verdict is not None:
        rows += [("gate", entry.verdict.verdict), *(("", _shown(reason)) for reason in entry.verdict.reasons)]
    if entry.problem:
        rows += [("problem", _shown(entry.problem))]
    rows += [(name, told) for name, told in zip(("operators", ""), in_words(entry.model), strict=False)]
    print_table(rows)
    if moves:
        click.echo("history of the champion")
        print_table([("since (UTC)", "version", "by", "why"), *(_of_history(one) for one in moves)])


@models.command(short_help="Two versions beside each other.")
@click.argument("a")
@click.argument("b")
@_AS_JSON
def compare(a: str, b: str, as_json: bool) -> None:
    """Compare two models A and B, each the uri of a version, or of a category for its champion."""
    from vqi import formatting
    from vqi.models.overview import entry_of

    first, second = entry_of(a), entry_of(b)
    if as_json:
        _print_json([_plain(first), _plain(second)])
        return
    rows = [("", *(_place(one.model) for one in (first, second)), "difference")]
    settings = _settings(first), _settings(second)
    rows += [(name, *(one.get(name, "") for one in settings), "") for name in {**settings[0], **settings[1]}]
    printed: list[tuple[str, Callable[[float | None], str]]] = [(name, formatting.area) for name in _AREAS]
    printed += [(name, formatting.percent) for name in _RATES]
    for name, text in printed:
        old, new = (_figure(one, name) for one in (first, second))
        change = "" if old is None or new is None else f"{new - old:+.3f}"
        rows.append((_words(name), text(old), text(new), change))
    print_table(rows)
    _print_gate(first, second)
    for one in (first, second):
        if one.problem:
            click.echo(f"  {_shown(one.problem)}")


@models.command(short_help="Make a version the champion.")
@click.argument("model")
@_WHY
@_BY
@_AS_JSON
def promote(model: str, why: str, by: str | None, as_json: bool) -> None:
    """Make MODEL, the uri of a version, the champion of its category, after its files were checked."""
    from vqi.models import promotion
    from vqi.models.champion import whoami

    _print_moved(promotion.promote(model, by or whoami(), why), as_json)


@models.command(short_help="Go back to the champion before.")
@click.argument("category")
@_WHY
@_BY
@_AS_JSON
def rollback(category: str, why: str, by: str | None, as_json: bool) -> None:
    """Go back to the champion before in CATEGORY, a uri; once more, to the one before that."""
    from vqi.models import promotion
    from vqi.models.champion import whoami

    _print_moved(promotion.rollback(category, by or whoami(), why), as_json)


@models.command(short_help="Remove old versions.")
@click.argument("category")
@click.option(
    "--keep", type=click.IntRange(1), required=True, metavar="N", help="How many of the newest versions stay."
)
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@_AS_JSON
def prune(category: str, keep: int, dry_run: bool, as_json: bool) -> None:
    """Remove the versions of CATEGORY, a uri, but for the newest N.

    The champion stays, as does the one before it, and an upload that began within the last day. 'gc' removes the
    networks that no version has then.
    """
    from vqi.models import pruning
    from vqi.models.models_page import renew_page_of
    from vqi.models.registry import category_at, no_model

    where = category_at(category)
    if not where.files():
        raise no_model(category)
    found = pruning.plan(where, keep)
    if not dry_run:
        found = pruning.prune(where, found)
        renew_page_of(where)
    if as_json:
        removed = [{"model": where.uri_of(number), "bytes": size} for number, size in found.removed.items()]
        kept = [{"model": where.uri_of(number), "why": why} for number, why in found.kept.items()]
        _print_json({"dry_run": dry_run, "removed": removed, "kept": kept})
        return
    for number, size in found.removed.items():
        click.echo(f"{'would remove' if dry_run else 'removed'} v{number} ({_megabytes(size)})")
    for number, why in sorted(found.kept.items()):
        click.echo(f"kept v{number}: {why}")


@models.command(short_help="Remove what nobody needs.")
@click.argument("store")
@click.option(
    "--older-than",
    "days",
    type=click.FloatRange(1),
    default=7,
    show_default=True,
    metavar="DAYS",
    help="What is younger stays: a run may be under way.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@_AS_JSON
def gc(store: str, days: float, dry_run: bool, as_json: bool) -> None:
    """Remove what nobody needs from a STORE: uploads that broke off, runs that came to no table, datasets that no
    version was made of, networks that no version has.

    Versions stay ('prune' removes them), as does all that they refer to, and the verdicts with their photographs. What
    runs left in their folder on this machine is another matter: 'vqi gc'.
    """
    from datetime import timedelta

    from vqi.models.leftovers import collect, look
    from vqi.store.opening import open_store

    found = look(open_store(store), timedelta(days=days))
    if not dry_run:
        found = collect(found)
    size = sum(one.bytes for one in found.removed)
    if as_json:
        removed = [one._asdict() for one in found.removed]
        kept = [{"key": key, "why": why} for key, why in sorted(found.kept.items())]
        _print_json({"dry_run": dry_run, "bytes": size, "removed": removed, "kept": kept})
        return
    for one in found.removed:
        told = f"{one.kind} {_shown(one.key)} ({_megabytes(one.bytes)})"
        click.echo(f"{'would remove' if dry_run else 'removed'} {told}")
    if not found.tells_writes:
        click.echo("the store does not tell which uploads in parts did not end: its own rules have to remove them")
    click.echo(f"in all: {len(found.removed)}, {_megabytes(size)}; kept: {len(found.kept)} ('--json' says why)")


@models.command(short_help="The page models.html of each dataset.")
@click.argument("store")
@click.option("--output", type=click.Path(dir_okay=False), metavar="FILE", help="Write the page of one dataset there.")
def page(store: str, output: str | None) -> None:
    """Write the page models.html of each dataset in a STORE, or of one, beside its categories.

    Runs, promotions and rollbacks do that, too.
    """
    from pathlib import Path

    from vqi.artifacts.files import write_text
    from vqi.models.models_page import PAGE, page_of
    from vqi.models.overview import categories_in
    from vqi.store.opening import open_store

    datasets = sorted({category.uri.rpartition("/")[0] for category in categories_in(store)})
    if output is not None and len(datasets) > 1:
        raise VqiError(f"--output: expected one dataset, got {', '.join(map(_place, datasets))}: name one of them")
    for uri in datasets:
        place = open_store(uri)
        if output is not None:
            write_text(Path(output), page_of(place, "", links=False))
        else:
            place.put_bytes(PAGE, page_of(place, "", links=True).encode())
        click.echo(output or _place(f"{uri}/{PAGE}"))


def _addresses(command: Callable[..., None]) -> Callable[..., None]:
    """An option for each mirror, the address of its server."""
    for name, kind in reversed([*MIRRORS.items()]):
        command = click.option(
            f"--{name.replace('_', '-')}", envvar=kind.variable, metavar="ADDRESS",
            help=f"Of the server: {kind.title}. [${kind.variable}]",
        )(command)  # fmt: skip
    return command


@models.command(short_help="Bring mirrors of the models up to date.")
@click.argument("store")
@_addresses
def mirror(store: str, **servers: str | None) -> None:
    """Bring what other registries have of the models in a STORE, or in a part of it, up to date.

    Where VQI_MLFLOW or VQI_MODEL_REGISTRY names a server, runs, promotions and rollbacks do that, too; this makes up
    for what they could not.
    """
    from vqi.mirrors.mirroring import mirror as bring
    from vqi.models.overview import categories_in

    named = {name: server for name, server in servers.items() if server}
    if not named:
        options = " or ".join(f"--{name.replace('_', '-')} ({kind.variable})" for name, kind in MIRRORS.items())
        raise VqiError(f"no mirror is named: give {options}")
    categories = categories_in(store)
    failed: list[VqiError] = []
    for name, server in named.items():
        try:
            for category in categories:
                done = bring(name, category, server)
                champion = f"v{done.champion}" if done.champion else "none"
                told = f"{done.name}, versions: {len(done.versions)}, champion: {champion}"
                click.echo(f"{_place(category.uri)}: {MIRRORS[name].title}: {told}")
        except VqiError as error:  # the other mirrors are brought up to date all the same
            failed.append(error)
    for one in failed[:-1]:
        click.echo(f"error: {_shown(str(one))}", err=True)
    if failed:
        raise failed[-1]


@models.command(short_help="Copy a version into a folder.")
@click.argument("model")
@click.argument("folder", type=click.Path())
def save(model: str, folder: str) -> None:
    """Copy MODEL, the uri of a version, or of a category for its champion, into a new FOLDER.

    The folder is complete in itself, and can be carried anywhere.
    """
    from pathlib import Path

    from vqi.models.registry import save_model

    click.echo(_place(str(save_model(model, Path(folder)))))


def _print_gate(old: Entry, new: Entry) -> None:
    """What the gate says of a model against another one."""
    from vqi.config import Publish, defaults
    from vqi.models.gate import judge, measured_of

    measured = [measured_of(one.metrics) if one.metrics else None for one in (new, old)]
    found = judge(measured[0], measured[1], defaults(Publish).max_regression)
    would = {"promoted": "promote", "rejected": "reject", "held": "hold"}[found.verdict]
    click.echo(f"against {_place(old.model)} the gate would {would} {_place(new.model)}:")
    for reason in found.reasons:
        click.echo(f"  {reason}")


def _print_moved(moved: Moved, as_json: bool) -> None:
    import os

    from vqi.mirrors.feeding import feed

    feed(moved.category.uri, os.environ)
    uri, champion = _place(moved.category.uri), moved.champion
    if as_json:
        _print_json(
            {"category": moved.category.uri, "before": moved.before or None, **champion.model_dump(mode="json")}
        )
    elif moved.before == champion.version:
        click.echo(f"{uri}: v{champion.version} is the champion already, since {_time(champion.since)} UTC")
    else:
        before = f"v{moved.before}" if moved.before else "none"
        click.echo(f"{uri}: v{champion.version} is the champion now; before: {before}")


def _settings(entry: Entry) -> dict[str, str]:
    """What made a version, by name."""
    manifest, measured = entry.manifest, entry.metrics
    found = {}
    if manifest is not None:
        made = manifest.made_with
        found = {
            "vqi": manifest.vqi,
            "image size": str(manifest.image_size),
            "layer": manifest.features.layer,
            "made with": f"{made.engine} {made.precision}",
        }
    if measured is not None:
        found |= {
            "detector": measured.detector,
            "training images": f"{measured.train_images:,}",
            "test images": f"{measured.test_images:,}",
            "threshold": f"{measured.threshold:.4g}",
        }
    return found


def _figure(entry: Entry, name: str) -> float | None:
    return getattr(entry.metrics, name) if entry.metrics else None


def _of_history(move: Champion) -> tuple[str, str, str, str]:
    return _time(move.since), f"v{move.version}", _shown(move.by), _shown(move.why)


def _plain(entry: Entry) -> dict[str, Any]:
    return entry.model_dump(mode="json", exclude={"metrics": {"scored"}})


def _auroc(entry: Entry) -> str:
    from vqi import formatting

    measured = entry.metrics
    if measured is None:
        return formatting.NOTHING
    return formatting.area_with_interval(measured.image_auroc, measured.image_auroc_low, measured.image_auroc_high)


def _words(name: str) -> str:
    known = {"image_auroc": "image AUROC", "pixel_auroc": "pixel AUROC", "aupro": "AUPRO", "target_fpr": "target_fpr"}
    return known.get(name, name.replace("_", " "))
