"""What counts of what was said: the last verdict of each person that was not taken back, and the last one of all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from vqi.verdicts.records import Entry, TakenBack, Verdict


@dataclass(frozen=True)
class Standing:
    """What is said of one photograph."""

    verdicts: tuple[Verdict, ...]  # the last one of each person, by time; at least one

    @property
    def last(self) -> Verdict:
        """The one that counts."""
        return self.verdicts[-1]

    @property
    def disagree(self) -> bool:
        """Whether one person says good and another one says defect."""
        return {"good", "defect"} <= {one.verdict for one in self.verdicts}

    @property
    def kept(self) -> str:
        """The name under which the photograph is kept; '' where only its digest is."""
        return next((one.photograph for one in reversed(self.verdicts) if one.photograph), "")


def standing(entries: Iterable[Entry]) -> dict[str, Standing]:
    """What is said of each photograph, by its sha256, in their order; one whose verdicts were all taken back has none.

    Args:
        entries: In any order.
    """
    by_photograph: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_photograph[entry.sha256].append(entry)
    found = {sha256: _verdicts(of) for sha256, of in sorted(by_photograph.items())}
    return {sha256: Standing(verdicts) for sha256, verdicts in found.items() if verdicts}


def standing_by(entries: Iterable[Entry], by: str) -> Verdict | None:
    """The verdict of a person on one photograph; None where there is none.

    Args:
        entries: On that photograph.
        by: The person.
    """
    return next((one for one in _verdicts(list(entries)) if one.by == by), None)


def _verdicts(entries: list[Entry]) -> tuple[Verdict, ...]:
    taken = {entry.takes for entry in entries if isinstance(entry, TakenBack)}
    stand = [one for one in entries if isinstance(one, Verdict) and not (taken and one.identity in taken)]
    last: dict[str, Verdict] = {}
    for one in sorted(stand, key=lambda one: (one.at, one.by, one.text)):
        last[one.by] = one
    return tuple(sorted(last.values(), key=lambda one: (one.at, one.by)))
