"""Charts as inline SVG: pure functions of figures, text that scales with the page, colours from CSS variables.

The variables (``--good``, ``--bad``, ``--ink``, ``--muted``, ``--grid``) come from the page; colour-blind readers can
distinguish blue from orange, and nothing is shown by colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]

WIDTH = 440
_BINS = 36
_LEFT, _RIGHT, _TOP, _BOTTOM = 14, 14, 10, 46  # margins around a plot
_ROC_LEFT = 68  # room for the labels of its vertical axis
_PANEL, _HEADING = 84, 34  # heights of a histogram's bars and of the text over them
_COLOURS = {
    "good": "var(--good, #0b62a4)",
    "bad": "var(--bad, #c8500a)",
    "ink": "var(--ink, #1c2430)",
    "muted": "var(--muted, #5a6675)",
    "grid": "var(--grid, #dde2e8)",
    "surface": "var(--surface, #ffffff)",
}


@dataclass(frozen=True)
class Group:
    """Scores that make one panel of a histogram."""

    name: str
    scores: Floats
    colour: str  # "good" or "bad"
    below: str  # what it means to lie at or below the threshold: "passed"
    above: str  # and above: "false alarms"


def roc_svg(false_alarm_rates: Floats, recalls: Floats, operating: tuple[float, float] | None = None) -> str:
    """The ROC curve with the chance line and the operating point.

    Args:
        false_alarm_rates: (n,) in [0, 1], ascending.
        recalls: (n,) in [0, 1].
        operating: False-alarm rate and recall at the threshold.
    """
    size = WIDTH - _ROC_LEFT - _RIGHT

    def x(rate: float) -> float:
        return _ROC_LEFT + rate * size

    def y(rate: float) -> float:
        return _TOP + (1 - rate) * size

    curve = path([(x(a), y(b)) for a, b in zip(false_alarm_rates, recalls, strict=True)], "good")
    parts = [_percent_grid(x, y)]
    parts.append(line(x(0), y(0), x(1), y(1), "muted", dashes="5 5"))
    parts.append(text(x(0.8), y(0.82) - 8, "guessing", "muted", "end"))
    parts.append(curve)
    parts.append(text(x(0.5), y(0) + 40, "good parts flagged (false alarms)", "ink", "middle"))
    parts.append(text(16, y(0.5), "defective parts caught (recall)", "ink", "middle", turned=True))
    if operating is not None:
        parts.append(_operating_point(x, y, operating))
    title = "ROC curve: defective parts caught against good parts flagged, over all thresholds"
    return svg(title, size + _TOP + _BOTTOM, parts)


def histogram_svg(groups: Sequence[Group], threshold: float) -> str:
    """Score histograms, one panel per group over one axis, with the threshold through all of them.

    One edge of the bars is at the threshold, and a score at the threshold counts to the left of it, so each bar is on
    the same side as its images. Scores far above the others are counted in the last bar.

    Args:
        groups: With at least one score each.
        threshold: A score above it is flagged.
    """
    edges, cut = _edges(np.concatenate([group.scores for group in groups]), threshold)
    low, high = float(edges[0]), float(edges[-1])

    def x(score: float) -> float:
        return _LEFT + (score - low) / (high - low) * (WIDTH - _LEFT - _RIGHT)

    shares = [bin_counts(group.scores, edges, threshold) / len(group.scores) for group in groups]
    tallest = max(float(share.max()) for share in shares)
    tops = [_TOP + i * (_PANEL + _HEADING) for i in range(len(groups))]
    parts = [
        _panel(group, share / tallest, [x(edge) for edge in edges], threshold, top)
        for group, share, top in zip(groups, shares, tops, strict=True)
    ]
    bottom = _TOP + len(groups) * (_PANEL + _HEADING)
    at = x(threshold)
    parts += [line(at, y + _HEADING - 6, at, y + _HEADING + _PANEL, "ink", dashes="6 4", width=2) for y in tops]
    parts += [tick(x(score), bottom, f"{score:g}") for score in nice_ticks(low, high, 6)]
    labels = ["anomaly score, higher = less like the good parts"]
    labels += [f"(the last bar also counts {cut:,} further to the right)"] if cut else []
    parts += [text(WIDTH / 2, bottom + 40 + 18 * i, label, "ink", "middle") for i, label in enumerate(labels)]
    title = "Histogram of scores: " + ", ".join(group.name for group in groups)
    return svg(title, bottom + _BOTTOM + 18 * (len(labels) - 1), parts)


def bin_counts(scores: Floats, edges: Floats, threshold: float) -> npt.NDArray[np.int64]:
    """How many scores (n,) fall into each bar, (bars,): right ends included; outer bars include what is outside."""
    width = (edges[-1] - edges[0]) / (len(edges) - 1)
    middle = int(np.abs(edges - threshold).argmin())  # the edge that is the threshold
    bars = np.ceil((scores - threshold) / width).astype(np.int64) - 1 + middle
    # whatever rounding gives, the side of the threshold agrees with the decision
    bars = np.where(scores > threshold, np.maximum(bars, middle), np.minimum(bars, middle - 1))
    return np.bincount(np.clip(bars, 0, len(edges) - 2), minlength=len(edges) - 1)


def nice_ticks(low: float, high: float, most: int) -> list[float]:
    """At most ``most`` round numbers (1, 2, 5 times a power of ten apart) within [low, high]."""
    magnitude = 10.0 ** math.floor(math.log10((high - low) / most))
    steps = [factor * magnitude for factor in (1, 2, 5, 10, 20)]
    for step in steps:
        first, last = math.ceil(low / step), math.floor(high / step)
        if last - first < most:
            break
    return [round(step * i, 12 - math.floor(math.log10(step))) for i in range(first, last + 1)]


def _edges(scores: Floats, threshold: float) -> tuple[Floats, int]:
    """Edges of equal bars that have the threshold among them, and how many scores lie beyond the last."""
    low, high = min(float(scores.min()), threshold), max(float(scores.max()), threshold)
    usual = max(float(np.quantile(scores, 0.98)), threshold)
    if high - low > 1.6 * (usual - low):  # a few far ones would press all others into a corner
        high = usual + 0.1 * (usual - low)
    width = (high - low) / _BINS if high > low else max(abs(low), 1.0) / _BINS
    below = max(1, math.ceil((threshold - low) / width))
    above = max(1, math.ceil((high - threshold) / width))
    edges = threshold + width * np.arange(-below, above + 1)
    return edges, int((scores > edges[-1]).sum())


def _panel(group: Group, heights: Floats, xs: Sequence[float], threshold: float, top: float) -> str:
    """One group's bars between ``xs``, heights (bars,) in [0, 1], with its name and what it counts."""
    bottom = top + _HEADING + _PANEL
    flagged = int((group.scores > threshold).sum())
    counts = f"{len(group.scores) - flagged:,} {group.below} | {flagged:,} {group.above}"
    bars = [
        bar(a, bottom - height * _PANEL, max(b - a - 1, 0.8), height * _PANEL, group.colour)
        for a, b, height in zip(xs[:-1], xs[1:], heights, strict=True)
        if height > 0
    ]
    name = text(_LEFT, top + 18, group.name, group.colour, "start", bold=True)
    right = text(WIDTH - _RIGHT, top + 18, counts, "ink", "end")
    return name + right + "".join(bars) + line(_LEFT, bottom, WIDTH - _RIGHT, bottom, "muted")


def _operating_point(x: Callable[[float], float], y: Callable[[float], float], rates: tuple[float, float]) -> str:
    """The point that was chosen, and below the diagonal, where no curve runs, the same mark with what it gives."""
    words = f"{100 * rates[1]:.1f} % caught, {100 * rates[0]:.1f} % false alarms"
    right, low = x(1) - 8, y(0.12)
    mark = dot(x(0.56), low - 4, 5, "bad", filled=True)
    name = text(x(0.56) + 12, low, "at the threshold", "ink", "start", bold=True)
    return (
        dot(x(rates[0]), y(rates[1]), 7, "bad", filled=True) + mark + name + text(right, low + 19, words, "ink", "end")
    )


def _percent_grid(x: Callable[[float], float], y: Callable[[float], float]) -> str:
    """Lines and labels at every 20 % of the unit square."""
    parts = []
    for rate in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        label = f"{100 * rate:.0f} %"
        parts.append(line(x(rate), y(0), x(rate), y(1), "grid") + line(x(0), y(rate), x(1), y(rate), "grid"))
        parts.append(text(x(rate), y(0) + 20, label, "muted", "middle" if rate < 1 else "end"))
        parts.append(text(x(0) - 7, y(rate) + 4, label, "muted", "end"))
    return "".join(parts)


def tick(x: float, y: float, label: str) -> str:
    """A mark with a label below an axis."""
    return line(x, y, x, y + 5, "muted") + text(x, y + 20, label, "muted", "middle")


def path(points: Sequence[tuple[float, float]], colour: str, dashes: str = "") -> str:
    """A line through points, equal printed points only once; a dot if only one is left."""
    printed = list(dict.fromkeys(f"{x:.1f} {y:.1f}" for x, y in points))
    if len(printed) == 1:
        x, y = points[0]
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" style="fill:{_COLOURS[colour]}"/>'
    dashed = f";stroke-dasharray:{dashes}" if dashes else ""
    style = f"fill:none;stroke:{_COLOURS[colour]};stroke-width:3;stroke-linejoin:round{dashed}"
    return f'<path d="M{"L".join(printed)}" style="{style}"/>'


def bar(x: float, y: float, width: float, height: float, colour: str) -> str:
    """A bar with its top at ``y``."""
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect {place} style="fill:{_COLOURS[colour]}"/>'


def dot(x: float, y: float, radius: float, colour: str, filled: bool) -> str:
    """A mark of a point, filled or a ring."""
    fill, rim = (colour, "surface") if filled else ("surface", colour)
    style = f"fill:{_COLOURS[fill]};stroke:{_COLOURS[rim]};stroke-width:2"
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" style="{style}"/>'


def line(x1: float, y1: float, x2: float, y2: float, colour: str, dashes: str = "", width: float = 1) -> str:
    """A straight line."""
    style = f"stroke:{_COLOURS[colour]};stroke-width:{width}" + (f";stroke-dasharray:{dashes}" if dashes else "")
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" style="{style}"/>'


def text(x: float, y: float, words: str, colour: str, anchor: str, *, bold: bool = False, turned: bool = False) -> str:
    """A line of text, readable over any background."""
    weight = ";font-weight:600" if bold else ""
    turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{turn}'
    # a rim in the ground's colour keeps words readable over lines
    rim = f"paint-order:stroke;stroke:{_COLOURS['surface']};stroke-width:4px"
    return f'<text {place} style="fill:{_COLOURS[colour]};{rim}{weight}">{escape(words)}</text>'


def svg(title: str, height: float, parts: Sequence[str]) -> str:
    """The whole picture."""
    name = escape(title, quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{name}" '
        f'font-size="13" font-family="system-ui, sans-serif"><title>{name}</title>{"".join(parts)}</svg>'
    )
