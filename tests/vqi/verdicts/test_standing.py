"""What counts: the last one by time, of each person and of all; whatever the order in which they are read."""

from __future__ import annotations

import itertools

import pytest

from tests.vqi.verdicts.made import MORNING, photograph, scored, verdict
from vqi.verdicts.records import Entry, TakenBack, Verdict
from vqi.verdicts.standing import standing, standing_by


def taken(one: Verdict) -> TakenBack:
    return TakenBack(sha256=one.sha256, takes=one.identity, by=one.by, at=MORNING)


@pytest.mark.parametrize(
    ("said", "counts", "disagree"),
    [
        ([("good", "anna", 0)], "good", False),
        ([("good", "anna", 0), ("defect", "anna", 1)], "defect", False),
        ([("good", "anna", 0), ("defect", "bob", 1)], "defect", True),
        ([("good", "anna", 1), ("defect", "bob", 0)], "good", True),
        ([("good", "anna", 0), ("good", "bob", 1)], "good", False),
        ([("defect:a", "anna", 0), ("defect:b", "bob", 1)], "defect:b", False),
        ([("good", "anna", 0), ("unclear", "bob", 1)], "unclear", False),
        ([("good", "anna", 0), ("defect", "bob", 1), ("good", "bob", 2)], "good", False),
    ],
)
def test_the_last_one_counts(said: list[tuple[str, str, int]], counts: str, disagree: bool) -> None:
    entries = [verdict(*one) for one in said]
    for order in itertools.permutations(entries):
        (found,) = standing(order).values()
        assert found.last.text == counts
        assert found.disagree is disagree


def test_what_was_taken_back_does_not_count() -> None:
    first, second = verdict("good", minutes=0), verdict("defect", minutes=1)
    entries: list[Entry] = [first, second, taken(second)]
    for order in itertools.permutations(entries):
        assert standing(order)[first.sha256].verdicts == (first,)
        assert standing_by(order, "anna") == first
    assert standing([*entries, taken(first)]) == {}
    assert standing_by([], "anna") is None


def test_each_photograph_by_itself() -> None:
    other = verdict("defect", of=scored(photograph(7)))
    found = standing([verdict(), other])
    assert list(found) == sorted([verdict().sha256, other.sha256])
    assert found[other.sha256].last == other


def test_the_photograph_is_kept_by_whoever_kept_it() -> None:
    kept = verdict().model_copy(update={"photograph": f"{verdict().sha256}.png"})
    (found,) = standing([kept, verdict("good", "bob", 1)]).values()
    assert (found.last.photograph, found.kept) == ("", f"{verdict().sha256}.png")
