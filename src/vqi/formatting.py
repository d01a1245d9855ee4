"""How figures are printed for people; None is a dash. Percent appears only here, never in code or JSON."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

NOTHING = "–"
# What a spreadsheet takes for the beginning of a formula; the last four are the same in full width.
_FORMULA = re.compile("'*[=+\\-@\t\r\n＝＋－＠]")


def percent(rate: float | None) -> str:
    """A rate in [0, 1] as ``5.1 %``."""
    return NOTHING if rate is None else f"{100 * rate:.1f} %"


def short_percent(rate: float) -> str:
    """A rate that the user set, with no more decimals than it has: ``5 %``, ``0.25 %``."""
    return f"{100 * rate:.4g} %"


def area(value: float | None) -> str:
    """An area under a curve as ``0.958``."""
    return NOTHING if value is None else f"{value:.3f}"


def area_with_interval(value: float | None, low: float | None, high: float | None) -> str:
    """An area under a curve with its confidence interval, ``0.958 [0.944, 0.971]``."""
    return area(value) if value is None or low is None or high is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def figure(value: float | None) -> str:
    """A score or a threshold, to four significant digits."""
    return NOTHING if value is None else f"{value:.4g}"


def count(number: int, one: str, many: str | None = None) -> str:
    """``1 good part``, ``2 good parts``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def ordinal(number: int) -> str:
    """``1st``, ``12th``, ``1,003rd``."""
    teens = number % 100 in (11, 12, 13)
    return f"{number:,}" + ("th" if teens else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th"))


def columns(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """Rows as lines, with their cells below each other; those of the columns ``right`` end below each other."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            text.rjust(width) if column in right else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def cell(text: str) -> str:
    """A name as a cell of a CSV table: behind ``'`` where a spreadsheet would run it as a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def text_of(cell: str) -> str:
    """The name that ``cell`` made such a cell of."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
