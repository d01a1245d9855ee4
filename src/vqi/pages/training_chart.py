"""The course of a fine-tuning as inline SVG: losses, the method's own figure, learning rate and speed by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vqi.artifacts.training_log import Epoch, best_epoch
from vqi.pages.charts import WIDTH, line, path, svg, text, tick

_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 14, 4, 46  # margins around the panels
_PANEL, _HEADING = 92, 34  # heights of a panel's plot and of the text over it


@dataclass(frozen=True)
class _Series:
    """A line of a panel."""

    name: str
    values: Sequence[float]
    colour: str
    dashes: str = ""


def training_svg(log: Sequence[Epoch]) -> str:
    """The chart of a training log with at least one epoch; a dashed line marks the epoch that was kept."""
    losses = [
        _Series("training loss", [row.train_loss for row in log], "good"),
        _Series("validation loss", [row.validation_loss for row in log], "bad", "7 4"),
    ]
    figure = f"{log[0].figure.replace('_', ' ')} (at best {log[0].healthy:.3g})"
    panels = [
        losses,
        [_Series(figure, [row.value for row in log], "good")],
        [_Series("learning rate", [row.lr for row in log], "good")],
        [_Series("images per second", [row.images_per_second for row in log], "good")],
    ]
    epochs = [row.epoch for row in log]

    def x(epoch: float) -> float:
        first, last = epochs[0] - 0.5, epochs[-1] + 0.5
        return _LEFT + (epoch - first) / (last - first) * (WIDTH - _LEFT - _RIGHT)

    xs = [x(epoch) for epoch in epochs]
    tops = [_TOP + i * (_PANEL + _HEADING) for i in range(len(panels))]
    kept = x(best_epoch(log).epoch)
    parts = [_panel(panel, xs, top + _HEADING) for panel, top in zip(panels, tops, strict=True)]
    parts += [line(kept, top + _HEADING, kept, top + _HEADING + _PANEL, "ink", dashes="3 4") for top in tops]
    bottom = tops[-1] + _HEADING + _PANEL
    every = max(1, -(-len(epochs) // 10))
    parts += [tick(x(epoch), bottom, str(epoch)) for epoch in epochs[::every]]
    parts.append(text(WIDTH / 2, bottom + 40, "epoch (dashed: the one that was kept)", "ink", "middle"))
    return svg(
        "Course of the fine-tuning: losses, the method's figure, learning rate and speed", bottom + _BOTTOM, parts
    )


def _panel(series: Sequence[_Series], xs: Sequence[float], top: float) -> str:
    """Lines over one vertical axis, each with its name, and the ends of the axis."""
    values = [value for one in series for value in one.values]
    low, high = min(values), max(values)
    span = high - low or abs(high) or 1.0

    def y(value: float) -> float:
        return top + _PANEL - 6 - (value - low) / span * (_PANEL - 12)

    parts = [line(_LEFT, at, WIDTH - _RIGHT, at, "grid") for at in (top, top + _PANEL)]
    parts += [text(_LEFT - 7, y(value) + 4, f"{value:.2g}", "muted", "end") for value in dict.fromkeys((low, high))]
    for place, one in enumerate(series):
        parts.append(path([(at, y(value)) for at, value in zip(xs, one.values, strict=True)], one.colour, one.dashes))
        side, anchor = ((_LEFT, "start"), (WIDTH - _RIGHT, "end"))[place]
        parts.append(text(side, top - 10, one.name, one.colour, anchor, bold=True))
    return "".join(parts)
