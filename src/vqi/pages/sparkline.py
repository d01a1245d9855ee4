"""A figure over time as a line of a word's height, as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

_WIDTH, _HEIGHT, _MARGIN = 160, 36, 5
_LEAST = 0.02  # of the figure: what is smaller is noise, and is not to look like a fall


def sparkline_svg(title: str, values: Sequence[float]) -> str:
    """At least two values, the oldest first; the newest one has a dot."""
    low, high = min(values), max(values)
    spread = max(high - low, _LEAST)
    middle = (low + high) / 2

    def x(place: int) -> float:
        return _MARGIN + place / (len(values) - 1) * (_WIDTH - 2 * _MARGIN)

    def y(value: float) -> float:
        return _HEIGHT / 2 - (value - middle) / spread * (_HEIGHT - 2 * _MARGIN)

    points = [f"{x(place):.1f},{y(value):.1f}" for place, value in enumerate(values)]
    line = f'<polyline points="{" ".join(points)}" style="fill:none;stroke:var(--muted);stroke-width:2"/>'
    end = points[-1].split(",")
    name = escape(title, quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" '
        f'role="img" aria-label="{name}"><title>{name}</title>{line}'
        f'<circle cx="{end[0]}" cy="{end[1]}" r="4" style="fill:var(--good)"/></svg>'
    )
