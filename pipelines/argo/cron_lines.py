"""Cron lines, as Argo reads them: the grammar of robfig/cron, and only numbers, because Argo 4 takes no names.

The rules are regular expressions without look-ahead, so that the chart's schema contains the very same ones.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property

from vqi.errors import VqiError

SHORTHANDS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_BLANKS = "[ \\t]"
_WORD = "[^ \\t]+"
_STEP = "/0*[1-9][0-9]{0,3}"
# An element that is every value; a step of more than one makes it a choice like any other.
_STAR = "[*?](?:/0*1)?"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONG_MONTHS = {1, 3, 5, 7, 8, 10, 12}


@dataclass(frozen=True)
class _Field:
    """A field of a cron line: its name, its range, and names for its values."""

    name: str
    lowest: int
    highest: int
    names: tuple[str, ...] = ()

    @cached_property
    def pattern(self) -> str:
        """A list of values, ranges and steps."""
        any_value = "|".join(f"{self.value(low)}(?:-{self.values(low)})?" for low in self.numbers)
        element = f"(?:[*?]|{any_value})(?:{_STEP})?"
        return f"(?:{element})(?:,(?:{element}))*"

    @property
    def numbers(self) -> range:
        return range(self.lowest, self.highest + 1)

    def value(self, number: int) -> str:
        """One value, as its number or its name."""
        return f"(?:{'|'.join([_numbers(number, number), *self._names(number, number)])})"

    def values(self, low: int) -> str:
        """Any value from ``low`` on."""
        return f"(?:{'|'.join([*_tens(low, self.highest), *self._names(low, self.highest)])})"

    def within(self, wanted: Collection[int]) -> str:
        """A list of elements each of which selects nothing but ``wanted`` values."""
        element = f"(?:{'|'.join(self._elements(wanted))})"
        return f"{element}(?:,{element})*"

    def selected(self, element: str) -> set[int]:
        """The values that an element of a valid list selects."""
        span, _, step = element.partition("/")
        low, dash, high = span.partition("-")
        if low in ("*", "?"):
            first, last = self.lowest, self.highest
        else:
            first = self.number(low)
            last = self.number(high) if dash else self.highest if step else first
        return set(range(first, last + 1, int(step or 1)))

    def number(self, text: str) -> int:
        """The value of a number or a name."""
        return int(text) if text.isdecimal() else self.names.index(text.lower()) + self.lowest

    def _names(self, low: int, high: int) -> Iterator[str]:
        for number in range(low, high + 1) if self.names else ():
            yield "".join(f"[{letter.upper()}{letter}]" for letter in self.names[number - self.lowest])

    def _elements(self, wanted: Collection[int]) -> Iterator[str]:
        for low in sorted(wanted):
            yield self.value(low)
            for high in range(low, self.highest + 1):
                steps = [step for step in range(1, high - low + 1) if set(range(low, high + 1, step)) <= set(wanted)]
                exactly = f"0*(?:{'|'.join(map(str, steps))})|" if steps else ""
                step = f"/(?:{exactly}{_at_least(high - low + 1)})"
                # "3/2" goes on to the highest value.
                ends = [f"-{self.value(high)}", *([""] if high == self.highest else [])]
                for end in ends:
                    optional = "?" if end and set(range(low, high + 1)) <= set(wanted) else ""
                    yield f"{self.value(low)}{end}(?:{step}){optional}"


_MINUTE, _HOUR = _Field("minute", 0, 59), _Field("hour", 0, 23)
_DAY, _MONTH = _Field("day of the month", 1, 31), _Field("month", 1, 12, _MONTHS)
_WEEKDAY = _Field("day of the week", 0, 6, _DAYS)
_FIELDS = (_MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY)


def check_cron_line(line: str, place: str) -> str:
    """A cron line of five fields or one of the shorthands, with numbers for names and one blank between fields.

    Raises:
        VqiError: Names the field that does not fit, or the line selects days that there are not.
    """
    if line in SHORTHANDS:
        return line
    parts = [part for part in re.split(_BLANKS, line) if part]
    if len(parts) != len(_FIELDS):
        raise VqiError(f"{place}: expected a cron line of five fields, such as '0 3 * * 1', got '{line}'")
    for text, field in zip(parts, _FIELDS, strict=True):
        if not re.fullmatch(field.pattern, text):
            raise VqiError(
                f"{place}: expected a {field.name} from {field.lowest} to {field.highest}, "
                f"a range from low to high, got '{text}' in '{line}'"
            )
    if _never(parts):
        raise VqiError(f"{place}: no month of '{line}' has the day that it names: such a schedule starts nothing")
    return " ".join(_in_numbers(text, field) for text, field in zip(parts, _FIELDS, strict=True))


def cron_schema() -> dict[str, object]:
    """What ``check_cron_line`` takes, as a JSON schema; ``not`` twice, because a refusal would print the pattern."""
    blank = f"{_BLANKS}+"
    line = blank.join(field.pattern for field in _FIELDS)
    short = f"{_DAY.within({30, 31})}{blank}{_MONTH.within({2})}"
    shorter = f"{_DAY.within({31})}{blank}{_MONTH.within(set(_MONTH.numbers) - _LONG_MONTHS)}"
    star = f"(?:[^ \\t]*,)?{_STAR}(?:,[^ \\t]*)?"
    never = f"{_WORD}{blank}{_WORD}{blank}(?:{short}|{shorter}){blank}{star}"
    valid = {"pattern": f"^(?:{'|'.join(SHORTHANDS)}|{_BLANKS}*{line}{_BLANKS}*)$"}
    return {"type": "string", "not": {"anyOf": [{"not": valid}, {"pattern": f"^{_BLANKS}*{never}{_BLANKS}*$"}]}}


def _never(parts: list[str]) -> bool:
    """Whether a line selects only days that its months do not have.

    A line with a choice of days of the week comes on these as well.
    """
    if not any(re.fullmatch(_STAR, element) for element in parts[_FIELDS.index(_WEEKDAY)].split(",")):
        return False
    days, months = (
        set().union(*(field.selected(element) for element in parts[_FIELDS.index(field)].split(",")))
        for field in (_DAY, _MONTH)
    )
    longest = max(31 if month in _LONG_MONTHS else 29 if month == 2 else 30 for month in months)
    return min(days) > longest


def _in_numbers(text: str, field: _Field) -> str:
    return re.sub("[A-Za-z]+", lambda found: str(field.number(found[0])), text)


def _numbers(low: int, high: int) -> str:
    """Numbers with the same ten in front; a zero may stand before a single digit."""
    ten = low // 10
    digits = f"{low % 10}" if low == high else f"[{low % 10}-{high % 10}]"
    return f"{ten or '0?'}{digits}"


def _tens(low: int, high: int) -> Iterator[str]:
    """The numbers from ``low`` to ``high``, below 100."""
    while low <= high:
        last = min(low // 10 * 10 + 9, high)
        yield _numbers(low, last)
        low = last + 1


def _at_least(number: int) -> str:
    """Steps of at least a number below 40."""
    if number < 10:
        return f"0*(?:[{number}-9]|[1-9][0-9]{{1,3}})"
    return f"0*(?:{'|'.join(_tens(number, 99))}|[1-9][0-9]{{2,3}})"
