"""``models.html``: of each category of a dataset the champion, its challengers, their figures, what the gate said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from vqi.artifacts.metrics import Metrics
from vqi.formatting import NOTHING, area_with_interval, count, percent, short_percent
from vqi.pages.history_chart import Point, State, history_svg
from vqi.pages.rendering import render

_VERSIONS, _TOLD = 10, 4  # versions, and what was told of them, that are shown; the others are folded
_WORDS: dict[State, str] = {
    "champion": "champion",
    "before": "was champion",
    "rejected": "rejected",
    "held": "held",
    "none": "not decided on",
}


@dataclass(frozen=True)
class Version:
    """A version of a category."""

    number: int
    published: datetime | None
    state: State
    metrics: Metrics | None  # None where they cannot be read
    verdict: str  # of the gate; '' where none decided
    reasons: tuple[str, ...]
    problem: str = ""  # what is wrong with it


@dataclass(frozen=True)
class Move:
    """The champion was moved."""

    since: datetime
    version: int
    by: str
    why: str


@dataclass(frozen=True)
class CategoryModels:
    """A category, the first of its versions and moves first."""

    name: str
    folder: str  # beside the page
    versions: tuple[Version, ...]
    moves: tuple[Move, ...]
    problem: str = ""  # why it is not known which version is used


def models_page(dataset: str, categories: Sequence[CategoryModels], at: datetime, *, links: bool) -> str:
    """The page.

    Args:
        dataset: Its name.
        categories: In the order of their names.
        at: When all that was read.
        links: Whether the reports of the versions are below the page.
    """
    shown = [_category(number, one, links=links) for number, one in enumerate(categories, 1)]
    total = sum(len(one.versions) for one in categories)
    return render(
        "models.html.j2",
        dataset=dataset,
        lead=f"{count(len(shown), 'category', 'categories')}, {count(total, 'version')}, as of {_time(at)} UTC",
        categories=shown,
    )


def _category(number: int, one: CategoryModels, *, links: bool) -> dict[str, Any]:
    champion = next((version for version in one.versions if version.state == "champion"), None)
    measured = [(version, version.metrics) for version in one.versions if version.metrics is not None]
    last = one.moves[-1] if one.moves else None
    newest = one.versions[-1] if one.versions else None
    refused = [version for version in one.versions if version.verdict in ("rejected", "held")]
    return {
        "id": f"category-{number}",
        "name": one.name,
        "problem": one.problem,
        "champion": f"v{champion.number}" if champion else "",
        "since": f"{_time(last.since)} UTC, by {last.by}" if last and champion else "",
        "figures": _figures(champion.metrics) if champion and champion.metrics else [],
        "cells": _cells(champion.metrics if champion else None),
        "newest": f"v{newest.number} {_said(newest)}" if newest else NOTHING,
        "chart": history_svg([_point(*one) for one in measured]) if measured else "",
        "period": " to ".join(_time(one.published) for one, _ in (*measured[:1], *measured[1:][-1:])),
        "marks": [(state, words) for state, words in _WORDS.items() if state in {one.state for one, _ in measured}],
        "versions": _folded([_row(version, one.folder if links else "") for version in one.versions], _VERSIONS),
        "refused": _folded([_refused(version) for version in refused], _TOLD),
        "moves": _folded([_moved(move) for move in one.moves], _TOLD),
    }


def _folded(rows: list[Any], most: int) -> dict[str, list[Any]]:
    """The newest ones, first, and the others."""
    rows = rows[::-1]
    return {"shown": rows[:most], "more": rows[most:]}


def _said(version: Version) -> str:
    return "cannot be used" if version.problem else _WORDS[version.state]


def _figures(metrics: Metrics) -> list[tuple[str, str, str]]:
    """Name, value and meaning of the champion's figures."""
    low, high = metrics.image_auroc_low, metrics.image_auroc_high
    interval = "" if low is None or high is None else f"95 % interval {low:.3f} to {high:.3f}"
    images = f"of {count(metrics.test_good, 'good test image')}; {short_percent(metrics.target_fpr)} promised"
    return [
        ("Image AUROC", area_with_interval(metrics.image_auroc, None, None), interval),
        ("False alarms", percent(metrics.false_alarm_rate), images),
        ("Recall", percent(metrics.recall), f"of {count(metrics.test_anomalous, 'defective test image')}"),
        ("Trained on", f"{metrics.train_images:,}", "good images"),
    ]


def _cells(metrics: Metrics | None) -> list[str]:
    if metrics is None:
        return [NOTHING] * 3
    interval = area_with_interval(metrics.image_auroc, metrics.image_auroc_low, metrics.image_auroc_high)
    return [interval, percent(metrics.false_alarm_rate), percent(metrics.recall)]


def _row(version: Version, folder: str) -> dict[str, Any]:
    images = f"{version.metrics.test_images:,}" if version.metrics else NOTHING
    return {
        "name": f"v{version.number}",
        "report": f"{quote(folder)}/v{version.number}/report.html" if folder and version.metrics else "",
        "state": version.state,
        "said": _said(version),
        "problem": version.problem,
        "cells": [_time(version.published), *_cells(version.metrics), images],
    }


def _refused(version: Version) -> tuple[str, str, str, str]:
    return f"v{version.number}", _time(version.published), version.verdict, "; ".join(version.reasons)


def _moved(move: Move) -> tuple[str, str, str, str]:
    return f"v{move.version}", _time(move.since), f"by {move.by}", move.why


def _point(version: Version, found: Metrics) -> Point:
    return Point(
        version.number,
        version.state,
        found.image_auroc,
        found.image_auroc_low,
        found.image_auroc_high,
        found.false_alarm_rate,
        found.target_fpr,
        found.recall,
        found.scored.images if found.scored else "",
    )


def _time(moment: datetime | None) -> str:
    return NOTHING if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"
