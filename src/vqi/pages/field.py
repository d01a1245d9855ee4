"""What operators say of models, as the rows of a table and in words: the same on pages and on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vqi.errors import VqiError
from vqi.formatting import NOTHING, count, percent
from vqi.pages.rendering import render
from vqi.verdicts.field import Field, Rate
from vqi.verdicts.records import OUTCOMES, Outcome

HEADER = (
    "category", "version", "answered", "false alarms", "true defects", "missed defects", "good parts", "unclear",
    "people disagree", "alarms that are false", "false-alarm rate", "promised", "kept from",
)  # fmt: skip
ON_PAGES = ("category", "version", "answered", "missed defects", *HEADER[-4:])  # what is not in the counts of these
_PLACE = "<!-- what operators say -->"  # in the template of the report
_MOST_VERSIONS = 5
_VERSIONS = "Of the versions of this category's model that have verdicts, the newest first."
OF_THE_RATE = (
    "The false-alarm rate is that of the good parts that were answered: too high where alarms are answered and the "
    "other parts are not."
)
OF_THE_PROMISE = (
    "How many parts were scored is kept nowhere. 'kept from': how many good ones it takes for so many false alarms "
    "to be no more than was promised, give or take chance; with fewer, the promise is broken."
)


def row_of(field: Field) -> tuple[str, ...]:
    """The cells of a version, as `HEADER` names them."""
    kept_from = NOTHING if field.kept_from is None else f"{field.kept_from:,}"
    return (
        f"{field.dataset}/{field.category}", f"v{field.version}", f"{field.answered:,}",
        *(f"{field.outcomes.get(name, 0):,}" for name in OUTCOMES), f"{len(field.disagreements):,}",
        rate(field.false_of_alarms), rate(field.false_alarm_rate), percent(field.promised), kept_from,
    )  # fmt: skip


def rate(seen: Rate | None) -> str:
    """A share with its interval and its counts: ``74.0 % [69.0, 78.6 %] (251 of 339)``."""
    if seen is None:
        return NOTHING
    low, high = percent(seen.low).removesuffix(" %"), percent(seen.high)
    return f"{percent(seen.share)} [{low}, {high}] ({seen.hits:,} of {seen.of:,})"


def answers(field: Field) -> str:
    """How often operators said what: ``342 answered: 251 false alarms, 88 true defects, 3 unclear``."""
    said = [_told(number, name) for name in OUTCOMES if (number := field.outcomes.get(name, 0))]
    people = count(len(field.disagreements), "photograph") if field.disagreements else ""
    return f"{field.answered:,} answered: {', '.join(said)}{f'; people disagree on {people}' if people else ''}"


def promise(field: Field) -> str:
    """How often alarms are false, against what was promised; '' where no alarm was answered."""
    if field.false_of_alarms is None:
        return ""
    alarms = f"of the alarms {rate(field.false_of_alarms)} were false"
    if not field.kept_from:  # without a false alarm, too
        return alarms
    parts = count(field.kept_from, "scored good part")  # see `OF_THE_PROMISE`
    return f"{alarms}; {percent(field.promised)} of good parts are promised, which holds from {parts} on"


def first_contradicted(categories: Sequence[str], fields: Sequence[Field]) -> list[str]:
    """Categories in the order of a table: those first whose operators contradict the model, the others as they were.

    Args:
        categories: All of them.
        fields: What is said of some, the one first that is contradicted most.
    """
    first = {one.category: place for place, one in enumerate(fields) if one.contradicted}
    return sorted(categories, key=lambda name: first.get(name, len(first)))


def with_field(report: str, fields: Sequence[Field]) -> str:
    """A category's report with what operators say of its versions.

    Args:
        report: As ``evaluate`` wrote it. That one is in the model's package, whose digest must not hang on verdicts:
            this is a copy for people.
        fields: Of the versions, the newest first; as many are shown as fit.

    Raises:
        VqiError: It is no report, or an earlier vqi wrote it.
    """
    if _PLACE not in report:
        raise VqiError("report: expected one that this version of vqi wrote: run evaluate again")
    return report.replace(_PLACE, section(fields[:_MOST_VERSIONS], _VERSIONS), 1)


def section(fields: Sequence[Field], quiet: str) -> str:
    """A section of a page; '' where nobody said anything.

    Args:
        fields: Of versions.
        quiet: Which these are, in a sentence.
    """
    if not fields:
        return ""
    rows: list[Mapping[str, str]] = [
        {**dict(zip(HEADER, row_of(one), strict=True)), "category": one.category} for one in fields
    ]
    return render(
        "field.html.j2", header=ON_PAGES, rows=rows, quiet=quiet, notes=(OF_THE_RATE, OF_THE_PROMISE),
        disagree=[(f"{one.category} v{one.version}", one.disagreements) for one in fields if one.disagreements],
    )  # fmt: skip


def _told(number: int, outcome: Outcome) -> str:
    return f"{number:,} unclear" if outcome == "unclear" else count(number, outcome)
