"""One answer at a time: a person says what a photograph shows, or takes that back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from vqi.errors import VqiError
from vqi.verdicts.book import Book
from vqi.verdicts.records import Entry, Said, Scored, TakenBack, Verdict, verdict_of
from vqi.verdicts.standing import Standing, standing, standing_by

_TICK = timedelta(microseconds=1)


class NothingToTakeBackError(VqiError):
    """Somebody who has no verdict on a photograph takes one back."""


class Answered(NamedTuple):
    """A verdict, and what stands of its photograph now."""

    verdict: Verdict
    standing: Standing | None  # None where nothing stands
    new: bool  # False where this person said the same before


def answer(book: Book, scored: Scored, said: Said, by: str, photograph: bytes | None) -> Answered:
    """Keep a verdict.

    Args:
        book: Of the category.
        scored: The photograph, as a model scored it.
        said: What it shows.
        by: Who says so.
        photograph: Its file, which is kept; None where it must not be.

    Raises:
        VqiError: The photograph is none, or the store cannot be read or written.
    """
    entries = book.of(scored.sha256)
    before = standing_by(entries, by)
    if before is not None and _same(before, scored, said) and (before.photograph or photograph is None):
        return Answered(before, _standing(entries), new=False)
    verdict = verdict_of(scored, said, by, _after(entries))  # first: a value may be wrong, and nothing is kept then
    if photograph is not None:
        verdict = verdict.model_copy(update={"photograph": book.keep(photograph, scored.name)})
    book.add([verdict])
    return Answered(verdict, _standing(book.of(scored.sha256)), new=True)


def take_back(book: Book, sha256: str, by: str, name: str) -> Answered:
    """Take back the last verdict of a person on a photograph; what that person said before counts again.

    Args:
        book: Of the category.
        sha256: Of the photograph.
        by: The person.
        name: Of the photograph, for the error.

    Raises:
        NothingToTakeBackError: That person has no verdict on it.
        VqiError: The store cannot be read or written.
    """
    entries = book.of(sha256)
    before = standing_by(entries, by)
    if before is None:
        others = [one.by for one in standing(entries)[sha256].verdicts] if standing(entries) else []
        hint = f"there are verdicts by {', '.join(others)}" if others else "there is none at all"
        raise NothingToTakeBackError(f"{name}: no verdict by {by} to take back: {hint}")
    book.add([TakenBack(sha256=sha256, takes=before.identity, by=by, at=_after(entries))])
    return Answered(before, _standing(book.of(sha256)), new=True)


def _same(verdict: Verdict, scored: Scored, said: Said) -> bool:
    told = (verdict.verdict, verdict.defect_type, verdict.version)
    return told == (said.verdict, said.defect_type, scored.version)


def _standing(entries: list[Entry]) -> Standing | None:
    return next(iter(standing(entries).values()), None)


def _after(entries: list[Entry]) -> datetime:
    """Now, or just after what was said before, where the clock of this machine is behind that of another one."""
    return max([datetime.now(UTC), *(entry.at + _TICK for entry in entries)])
