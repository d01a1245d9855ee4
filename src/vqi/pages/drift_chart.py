"""How unusual new good parts are to a model, as inline SVG: as many of them should be in each bar."""

from __future__ import annotations

import numpy as np

from vqi.artifacts.drift import Drift
from vqi.pages.charts import WIDTH, bar, line, svg, text, tick

_LEFT, _RIGHT, _TOP, _HEIGHT = 14, 14, 40, 130
_FEW = 40  # parts: of fewer, bars of a tenth would hold one or two


def drift_svg(drift: Drift) -> str:
    """A histogram of the new parts' p-values, with the line that good ones should reach."""
    bars = 5 if drift.parts < _FEW else 10
    # a p-value at the end of a bar is of that bar, the smallest ones on the left
    places = np.clip(np.ceil(np.array(drift.p_values) * bars - 1e-9).astype(int) - 1, 0, bars - 1)
    shares = np.bincount(places, minlength=bars) / drift.parts
    expected, tallest = 1 / bars, max(float(shares.max()), 1.6 / bars)
    width, bottom = (WIDTH - _LEFT - _RIGHT) / bars, _TOP + _HEIGHT
    parts = [
        bar(_LEFT + place * width + 1, bottom - share / tallest * _HEIGHT, width - 2, share / tallest * _HEIGHT, "good")
        for place, share in enumerate(shares)
        if share > 0
    ]
    level = bottom - expected / tallest * _HEIGHT
    parts += [line(_LEFT, level, WIDTH - _RIGHT, level, "ink", dashes="6 4", width=2)]
    parts += [line(_LEFT, bottom, WIDTH - _RIGHT, bottom, "muted")]
    parts += [text(_LEFT, 18, f"New good parts, to v{drift.version}", "good", "start", bold=True)]
    parts += [text(WIDTH - _RIGHT, 18, f"{drift.parts:,} parts, dashed: as it should be", "ink", "end")]
    parts += [tick(_LEFT + share * (WIDTH - _LEFT - _RIGHT), bottom, f"{share:g}") for share in (0.2, 0.4, 0.6, 0.8)]
    parts += [text(_LEFT, bottom + 40, "most unusual", "ink", "start")]
    parts += [text(WIDTH - _RIGHT, bottom + 40, "most usual", "ink", "end")]
    parts += [text(WIDTH / 2, bottom + 40, "p-value", "ink", "middle")]
    title = "Histogram of the p-values of new good parts; they would be equally frequent if nothing had changed"
    return svg(title, bottom + 50, parts)
