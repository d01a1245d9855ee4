"""``vqi threshold``: what other false-alarm rates would give, and a version with the threshold of one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from vqi.models.thresholds import Points

_HEADER = (
    "target_fpr",
    "threshold",
    "flagged of 1,000 good parts",
    "good images needed",
    "false alarms seen",
    "recall",
)


@click.command(short_help="Other thresholds of a model, without a run.")
@click.argument("model")
@click.option(
    "--target-fpr",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="RATE",
    help="Make a version whose threshold is that of this share of good parts that may be flagged.",
)
@click.option(
    "--gate",
    type=click.Choice(["auto", "manual", "off"]),
    default="auto",
    show_default=True,
    help="Who decides whether that version is used: as the parameter of the pipeline.",
)
@click.option("--by", metavar="NAME", help="Who asks for it. [user@host]")
@click.option("--json", "as_json", is_flag=True, help="JSON, for programs.")
def threshold(model: str, target_fpr: float | None, gate: str, by: str | None, as_json: bool) -> None:
    """Show what the thresholds of several false-alarm rates give with MODEL, the uri of a version, or of a category for
    its champion.

    With --target-fpr a version with another threshold is made of the scores that the model keeps, without a run. It
    shares the network of MODEL, and the gate decides whether it is used, as it does in a run.

    \b
    Example:
      vqi threshold store/models/parts/bracket
      vqi threshold store/models/parts/bracket --target-fpr 0.02
    """
    from vqi.config import Publish
    from vqi.mirrors.feeding import feed
    from vqi.models.champion import whoami
    from vqi.models.thresholds import change_threshold, points_of

    points = points_of(model, target_fpr)
    if not as_json:
        _print_points(points)
    decision = None
    if target_fpr is not None:
        settings = Publish.model_validate({"gate": gate})
        decision = change_threshold(model, target_fpr, settings, f"the gate, for {by or whoami()}")
        feed(decision.model.rpartition("/")[0], os.environ)
    if as_json:
        _print_json(points, decision.model_dump(mode="json") if decision else None)
    elif decision is not None:
        click.echo(f"{decision.model.removeprefix('file://')}: {decision.verdict}")  # the reasons were said on stderr
        click.echo(f"a later run makes models for its own target_fpr: give it -p target_fpr={target_fpr:g}, too")


def _print_points(points: Points) -> None:
    from vqi.pages.findings import operating_table
    from vqi_pipelines.commands.tables import print_table

    table = operating_table(points.points, points.target_fpr)
    rows = [(*_HEADER, *table.types, "")]
    rows += [(*row.cells, row.remark) for row in table.rows]
    click.echo(click.style(points.category.uri_of(points.version).removeprefix("file://"), bold=True))
    print_table(rows)


def _print_json(points: Points, decision: dict[str, Any] | None) -> None:
    from vqi.detectors.calibration import expected_false_alarms
    from vqi_pipelines.commands.tables import print_json

    found = []
    for one in points.points:
        mean, low, high = expected_false_alarms(one.calibration_groups, one.rank, 1000)
        found.append({**one.model_dump(mode="json"), "expected_false_alarms": [1000 * mean, 1000 * low, 1000 * high]})
    model = points.category.uri_of(points.version)
    content = {"model": model, "target_fpr": points.target_fpr, "operating_points": found, "decision": decision}
    print_json(content)
