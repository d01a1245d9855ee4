"""The figures of a category's versions, one after the other, as inline SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from vqi.pages.charts import WIDTH, dot, line, nice_ticks, path, svg, text

State = Literal["champion", "before", "rejected", "held", "none"]

_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 18, 2, 48  # margins around the panels
_PANEL, _HEADING = 96, 34  # heights of a panel's plot and of the text over it
_MOST_LABELS = 8


@dataclass(frozen=True)
class Point:
    """A version."""

    number: int
    state: State
    auroc: float | None
    low: float | None  # of the interval of the AUROC
    high: float | None
    false_alarms: float | None
    promised: float
    recall: float | None
    images: str  # digest of its test images; '' where that is not known


def history_svg(points: Sequence[Point]) -> str:
    """The chart of at least one version, in the order of their numbers; a dashed line where the test images changed."""
    span = WIDTH - _LEFT - _RIGHT

    def x(place: float) -> float:
        return _LEFT + (place + 0.5) / len(points) * span

    xs = [x(place) for place in range(len(points))]
    areas = [value for one in points for value in (one.auroc, one.low) if value is not None]
    low = min([*areas, 0.9])
    alarms = [value for one in points for value in (one.false_alarms, one.promised) if value is not None]
    recalls = [one.recall for one in points]
    aurocs, rates = [one.auroc for one in points], [one.false_alarms for one in points]
    intervals = [(one.low, one.high) for one in points]
    least = max(min([one - 0.1 for one in recalls if one is not None], default=0.0), 0.0)
    most = max(alarms) * 1.15 or 1.0
    panels = [
        _panel("image AUROC", aurocs, points, xs, _top(0), (low, 1.0), "{:.2f}".format, intervals),
        _panel("false alarms", rates, points, xs, _top(1), (0.0, most), _percent, promised=True),
        _panel("recall", recalls, points, xs, _top(2), (least, 1.0), _percent),
    ]
    bottom = _top(2) + _PANEL
    changed = [
        (xs[place] + xs[place - 1]) / 2
        for place in range(1, len(points))
        if points[place].images != points[place - 1].images
    ]
    marks = [line(at, _top(0), at, bottom, "muted", dashes="2 4") for at in changed]
    every = -(-len(points) // _MOST_LABELS)
    shown = range((len(points) - 1) % every, len(points), every)  # the newest one among them
    labels = [text(xs[place], bottom + 18, f"v{points[place].number}", "muted", "middle") for place in shown]
    told = "version (dotted line: other test images from here on)" if changed else "version"
    labels.append(text(_LEFT + span / 2, bottom + 40, told, "ink", "middle"))
    return svg("AUROC, false alarms and recall of each version", bottom + _BOTTOM, [*marks, *panels, *labels])


def _percent(rate: float) -> str:
    return f"{100 * rate:.3g} %"


def _top(panel: int) -> float:
    return _TOP + panel * (_PANEL + _HEADING) + _HEADING


def _panel(
    name: str,
    values: Sequence[float | None],
    points: Sequence[Point],
    xs: Sequence[float],
    top: float,
    limits: tuple[float, float],
    told: Callable[[float], str],
    intervals: Sequence[tuple[float | None, float | None]] = (),
    *,
    promised: bool = False,
) -> str:
    """One figure of all versions, over its axis."""
    low, high = limits

    def y(value: float) -> float:
        return top + _PANEL - (value - low) / (high - low) * _PANEL

    ticks = nice_ticks(low, high, 4)
    parts = [line(_LEFT, y(one), WIDTH - _RIGHT, y(one), "grid") for one in ticks]
    parts += [text(_LEFT - 8, y(one) + 4, told(one), "muted", "end") for one in ticks]
    if promised:
        steps = [(at, y(one.promised)) for at, one in zip(xs, points, strict=True)]
        edges = [(_LEFT, steps[0][1]), *steps, (WIDTH - _RIGHT, steps[-1][1])]
        parts.append(path(edges, "muted", "7 4"))
        parts.append(text(WIDTH - _RIGHT, top - 12, "dashed: promised", "muted", "end"))
    for at, (least, most) in zip(xs, intervals, strict=False):
        if least is not None and most is not None:
            parts.append(line(at, y(least), at, y(most), "good", width=1.5))
    known = [(at, y(value), one) for at, value, one in zip(xs, values, points, strict=True) if value is not None]
    if len(known) > 1:
        parts.append(path([(at, height) for at, height, _ in known], "grid"))
    parts += [dot(at, height, *_LOOKS[one.state]) for at, height, one in known]
    parts.append(text(_LEFT, top - 12, name, "ink", "start", bold=True))
    return "".join(parts)


# By state: radius, colour, and whether it is filled. Nothing is shown by colour alone.
_LOOKS: dict[State, tuple[float, str, bool]] = {
    "champion": (6.5, "good", True),
    "before": (4, "good", True),
    "rejected": (4, "bad", False),
    "held": (4, "muted", False),
    "none": (4, "muted", True),
}
