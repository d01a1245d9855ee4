"""``index.html`` beside the runs of a machine: each with its figures, and where its pages are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from vqi.artifacts.metrics import Summary
from vqi.formatting import NOTHING, area, area_with_interval, count, percent, short_percent
from vqi.pages.rendering import render
from vqi.pages.sparkline import sparkline_svg
from vqi.progress import clock

_OPEN = 3  # runs whose details are seen without a click
_MOST_POINTS = 30  # of a line
_LOOKS = {"done": "passed", "failed": "flagged", "killed": "flagged", "running": "held"}  # state -> its badge


@dataclass(frozen=True)
class CategoryOfRun:
    """A category of a run."""

    name: str
    row: Summary | None  # its figures, where it has some
    decided: str  # what became of its model, in a few words
    reasons: tuple[str, ...] = ()
    failure: str = ""
    report: str = ""  # addresses, relative to the page; '' where there is none
    data_page: str = ""


@dataclass(frozen=True)
class RunOnPage:
    """A run."""

    name: str
    started: datetime | None
    seconds: float | None
    state: str
    source: str  # or the pipeline, where it has none
    mean_auroc: float | None
    decided: str
    note: str
    tags: tuple[str, ...]
    categories: tuple[CategoryOfRun, ...]
    folder: str  # addresses, relative to the page; '' where there is none
    table: str = ""
    models: str = ""
    problem: str = ""  # why it is not all known


def runs_page(runs: Sequence[RunOnPage], more: int, strangers: Sequence[tuple[str, str]], at: datetime) -> str:
    """The page.

    Args:
        runs: The newest first.
        more: How many older ones there are.
        strangers: Folders beside them that are no runs, and why.
        at: When all that was read.
    """
    return render(
        "runs.html.j2",
        lead=f"{count(len(runs) + more, 'run')}, as of {_time(at)} UTC",
        runs=[_shown(run, opened=place < _OPEN) for place, run in enumerate(runs)],
        more=more,
        strangers=strangers,
        histories=_histories(runs),
    )


def _shown(run: RunOnPage, *, opened: bool) -> dict[str, Any]:
    return {
        "name": run.name,
        "time": _time(run.started),
        "took": "" if run.seconds is None else f"{'so far ' if run.state == 'running' else ''}{clock(run.seconds)}",
        "state": run.state,
        "look": _LOOKS.get(run.state, "unchanged"),
        "source": run.source,
        "mean": area(run.mean_auroc) if run.mean_auroc is not None else "",
        "decided": run.decided,
        "note": run.note,
        "tags": run.tags,
        "links": [
            (words, link)
            for words, link in (("table", run.table), ("models over time", run.models), ("folder", run.folder))
            if link
        ],
        "categories": [_category(one) for one in run.categories],
        "pages": any(one.report or one.data_page for one in run.categories),
        "problem": run.problem,
        "opened": opened,
    }


def _category(one: CategoryOfRun) -> dict[str, Any]:
    row = one.row
    cells = [NOTHING] * 4
    usable: str = NOTHING
    if row is not None:
        interval = area_with_interval(row.image_auroc, row.image_auroc_low, row.image_auroc_high)
        alarms = f"{percent(row.false_alarm_rate)} ({short_percent(row.target_fpr)} promised)"
        usable = row.usable or NOTHING
        cells = [f"{row.test_images:,}", interval, percent(row.recall), alarms]
    return {
        "name": one.name,
        "usable": usable,
        "cells": cells,
        "decided": one.decided or NOTHING,
        "why": one.failure or "; ".join(one.reasons),
        "report": one.report,
        "data_page": one.data_page,
    }


def _histories(runs: Sequence[RunOnPage]) -> list[dict[str, str]]:
    """Of each category of a source its image AUROC over the runs that trained it, the latest last."""
    found: dict[tuple[str, str], list[float]] = {}
    for run in reversed(runs):
        for one in run.categories:
            if one.row is not None and one.row.image_auroc is not None and one.decided != "unchanged":
                found.setdefault((run.source, one.name), []).append(one.row.image_auroc)
    return [
        {
            "source": source,
            "name": name,
            "newest": area(values[-1]),
            "told": f"{count(len(values), 'run')}, {_range(values)}",
            "line": _line(name, values),
        }
        for (source, name), values in sorted(found.items())
    ]


def _line(category: str, values: Sequence[float]) -> str:
    """The values as a line; nothing of one alone."""
    title = f"image AUROC of {category} over {count(len(values), 'run')}"
    return sparkline_svg(title, values[-_MOST_POINTS:]) if len(values) > 1 else ""


def _range(values: Sequence[float]) -> str:
    low, high = area(min(values)), area(max(values))
    return low if low == high else f"{low} to {high}"


def _time(moment: datetime | None) -> str:
    return NOTHING if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"
