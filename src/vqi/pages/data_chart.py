"""How the light and the focus of the groups of images are spread: box plots over one axis, as inline SVG."""

from __future__ import annotations

from collections.abc import Mapping

from vqi.pages.charts import WIDTH, line, nice_ticks, svg, text, tick

LEFT, RIGHT, TOP = 144, 14, 12
ROW, BOX, AXIS = 36, 16, 34  # heights of a group's row, of its box, and of the axis below
ROOM = 0.04  # of the axis, left and right of the outermost values
COLOURS = {"train good": "muted", "calibration good": "muted", "test good": "good", "test defective": "bad"}

Spread = Mapping[str, float]  # least, lower quartile, median, upper quartile, most


def spread_svg(figure: str, groups: Mapping[str, Spread]) -> str:
    """One box per group: its middle half with the median, and lines to the minimum and the maximum."""
    low = min(spread["least"] for spread in groups.values())
    high = max(spread["most"] for spread in groups.values())
    room = ROOM * (high - low) or 1.0
    low, high = low - room, high + room

    def x(value: float) -> float:
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    bottom = TOP + ROW * len(groups)
    parts = [line(LEFT, bottom, WIDTH - RIGHT, bottom, "muted")]
    parts += [tick(x(value), bottom, f"{value:g}") for value in nice_ticks(low, high, 5)]
    for number, (name, spread) in enumerate(groups.items()):
        middle = TOP + ROW * (number + 0.5)
        parts.append(text(LEFT - 12, middle + 4, name, COLOURS[name], "end", bold=True))
        parts += _box({key: x(value) for key, value in spread.items()}, middle, COLOURS[name])
    return svg(f"{figure}: {', '.join(groups)}", bottom + AXIS, parts)


def _box(at: Spread, middle: float, colour: str) -> list[str]:
    """A box of lines, at the given places of the axis."""
    top, bottom = middle - BOX / 2, middle + BOX / 2
    left, right = at["lower quartile"], at["upper quartile"]
    return [
        line(at["least"], middle, left, middle, colour),
        line(right, middle, at["most"], middle, colour),
        *(line(end, top + 3, end, bottom - 3, colour) for end in (at["least"], at["most"])),
        line(left, top, right, top, colour, width=1.5),
        line(left, bottom, right, bottom, colour, width=1.5),
        *(line(end, top, end, bottom, colour, width=1.5) for end in (left, right)),
        line(at["median"], top, at["median"], bottom, colour, width=4),
    ]
