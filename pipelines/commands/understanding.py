"""What ``vqi train`` and ``vqi check`` say first: what the photographs are taken for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from vqi_pipelines.commands.tables import print_table

if TYPE_CHECKING:
    from vqi.config import DatasetDownload
    from vqi.datasets.plan import Planned
    from vqi.errors import VqiError
    from vqi.preparation.glance import Glance

LOOKED_AT = 60  # photographs that are opened, of all categories together: a second for large ones
_LEAST_LOOKED_AT = 3  # of each category
_MOST_ROWS = 15  # what is said fits on one screen
_MOST_NAMES = 3
_COLUMNS = ("category", "to learn from", "for the threshold", "to test", "pixels")


def understood(settings: DatasetDownload, *, judged: bool = False) -> tuple[Planned, list[VqiError]]:
    """Print what the photographs of a source are taken for.

    Args:
        settings: Of the source.
        judged: Whether what follows says what is wrong with each category's photographs.

    Returns:
        What becomes of them, and why no model can be trained; nothing where one can be trained of any category.

    Raises:
        VqiError: Nothing there can be taken for photographs of parts.
    """
    # Here, because they take long to import.
    from vqi.datasets.plan import plan
    from vqi.datasets.sources import shown_source
    from vqi.photographs.decoding import only_max_pixels
    from vqi.preparation.glance import glance

    planned = plan(settings)
    most = max(_LEAST_LOOKED_AT, LOOKED_AT // len(planned.plans))
    with only_max_pixels():
        seen = [glance(one, settings, most) for one in planned.plans]
    click.echo(f"{shown_source(settings.source)}\n")
    print_table([_COLUMNS, *map(_row, seen[:_MOST_ROWS])])
    if len(seen) > _MOST_ROWS:
        click.echo(f"  ... and {len(seen) - _MOST_ROWS} more categories")
    click.echo()
    for line in _notes(planned, seen, settings):
        click.echo(line)
    for one in [] if judged else seen[:_MOST_ROWS]:
        for line in _warnings(one, settings):
            click.echo(line)
    problems = [one.problem for one in seen if one.problem is not None]
    return planned, problems if len(problems) == len(seen) else []


def _row(seen: Glance) -> tuple[str, ...]:
    plan = seen.plan
    of_all = f" of {plan.files['all/good']:,}" if plan.unsplit and not plan.files.get("train/good") else ""
    calibration = plan.files.get("calibration/good", 0)
    test = ", ".join(f"{number:,} {kind}" for kind, number in sorted(plan.test.items(), key=_good_first))
    masks = f", {plan.masks:,} masks" if plan.masks else ""
    return (
        plan.category,
        f"{plan.train:,}{of_all}{_in_groups(seen, 'train')}",
        f"{calibration:,}{_in_groups(seen, 'calibration')}" if calibration else "the same",
        f"{test}{masks}" or "none",
        _pixels(seen),
    )


def _good_first(of_kind: tuple[str, int]) -> tuple[bool, str]:
    return of_kind[0] != "good", of_kind[0]


def _in_groups(seen: Glance, split: str) -> str:
    return f" in {seen.groups[split]:,} groups" if split in seen.groups else ""


def _pixels(seen: Glance) -> str:
    sizes = list(seen.sizes)
    more = ", ..." if len(sizes) > _MOST_NAMES else ""
    return ", ".join(sizes[:_MOST_NAMES]) + more or "not known"


def _notes(planned: Planned, seen: Sequence[Glance], settings: DatasetDownload) -> Iterator[str]:
    """What to know beside the table."""
    from vqi.artifacts.left_out import merged
    from vqi.formatting import short_percent

    if planned.dataset.taken_for:
        yield planned.dataset.taken_for
    if unsplit := [one.plan.category for one in seen if one.plan.unsplit]:
        yield (
            f"{_some(unsplit)}: no train and test, so {short_percent(settings.train_fraction)} of the good ones train "
            "(train_fraction), fewer where photographs show one part"
        )
    if any(one.groups for one in seen):
        yield "groups are calibrated together: sub-folders, or what group_by says (group_by=none: each by itself)"
    if untested := [one.plan.category for one in seen if not one.plan.test]:
        yield f"{_some(untested)}: nothing to test on: a model is made, and nothing is measured"
    for one in merged(planned.dataset.left_out):
        yield f"left out: {one.text}"


def _warnings(seen: Glance, settings: DatasetDownload) -> Iterator[str]:
    from vqi.preparation.data_report import too_few

    category = seen.plan.category
    if seen.unreadable:
        first = seen.unreadable[0]
        yield (
            f"warning: {category}: {len(seen.unreadable)} of {seen.looked_at} photographs that were looked at cannot "
            f"be read, such as {first.path.removeprefix('all/')}: {first.reason}"
        )
    if seen.problem is not None:
        yield f"warning: cannot be trained: {seen.problem}"
        return
    calibration = seen.plan.files.get("calibration/good", 0)
    images, split = (calibration, "calibration") if calibration else (seen.plan.train, "train")
    by_folder = split in seen.groups and settings.group_by == ""
    what = "for calibration" if calibration else ""
    for text in too_few(images, seen.groups.get(split, images), settings.target_fpr, what, by_folder=by_folder):
        yield f"warning: {category}: {text}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "")
