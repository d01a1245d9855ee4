"""What operators said of photographs -> images of the dataset: confirmed good ones train, confirmed defects test.

Left out, and counted by reason: what is not clear, what is not kept, what the dataset has already, and good photographs
of parts that are in the test, which must never train.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from vqi.artifacts.images import ANSWERED
from vqi.artifacts.left_out import ENDINGS, EXAMPLES, LeftOut, Reason
from vqi.datasets.layout import GOOD, Dataset, Entry, place_of
from vqi.datasets.splits import squares_of
from vqi.photographs.similarity import near_duplicates
from vqi.progress import message
from vqi.store.interface import Store
from vqi.verdicts.book import Book
from vqi.verdicts.standing import Standing, standing

UNTYPED = "defect"  # the folder of defects whose type nobody named
_DIGITS = 32  # of the sha256, in the name of an image


@dataclass(frozen=True)
class Answered:
    """A dataset with what operators said."""

    dataset: Dataset
    digests: dict[str, dict[str, str]]  # of what was added: category -> path -> sha256


def with_verdicts(dataset: Dataset, digests: Mapping[str, Mapping[str, str]], store: Store) -> Answered:
    """The dataset with the photographs that operators answered, where they were scored by a model of it.

    Args:
        dataset: With its splits.
        digests: The sha256 of each of its images: category -> path -> sha256.
        store: Where the verdicts are.

    Raises:
        VqiError: An entry or a photograph is damaged, or the store does not respond.
    """
    found = {
        category: _of_category(Book(store, dataset.name, category), entries, digests[category])
        for category, entries in dataset.categories.items()
    }
    left_out = tuple(one for members in found.values() for one in members.left_out)
    for category, members in found.items():
        if members.digests or members.left_out:
            message(f"{category}: operators' verdicts: {members.text}")
    return Answered(
        replace(
            dataset,
            categories={name: (*entries, *found[name].entries) for name, entries in dataset.categories.items()},
            left_out=(*dataset.left_out, *left_out),
        ),
        {category: members.digests for category, members in found.items()},
    )


@dataclass(frozen=True)
class _Members:
    """What a category gets, and what it does not."""

    entries: tuple[Entry, ...]
    digests: dict[str, str]  # path -> sha256
    left_out: tuple[LeftOut, ...]

    @property
    def text(self) -> str:
        train = sum(entry.path.startswith("train/") for entry in self.entries)
        out = sum(one.files for one in self.left_out)
        return f"{train:,} train, {len(self.entries) - train:,} test, {out:,} left out"


def _of_category(book: Book, entries: Sequence[Entry], digests: Mapping[str, str]) -> _Members:
    stands = standing(book.entries())
    there = _labels(digests)
    kept = book.photographs()
    out: dict[Reason, list[Standing]] = defaultdict(list)
    test: dict[Entry, Standing] = {}
    train: dict[Entry, Standing] = {}
    for sha256, one in stands.items():
        if reason := _reason(one, there.get(sha256), kept):
            out[reason].append(one)
        else:
            into = train if one.last.verdict == GOOD else test
            into[Entry(_path(one), partial(book.photograph, one.kept))] = one
    for entry in _tested(list(train), [*entries, *test]) if train else []:
        out["tested"].append(train.pop(entry))
    joined = {**train, **test}
    return _Members(
        tuple(sorted(joined, key=lambda entry: entry.path)),
        {entry.path: one.last.sha256 for entry, one in joined.items()},
        _left_out(book.category, out),
    )


def _labels(digests: Mapping[str, str]) -> dict[str, set[int]]:
    """By sha256 what the dataset says of its images: 0 good, 1 defective."""
    found: dict[str, set[int]] = defaultdict(set)
    for path, sha256 in digests.items():
        place = place_of(path)
        if place is not None and place.split != "ground_truth":
            found[sha256].add(place.label)
    return found


def _reason(one: Standing, there: set[int] | None, kept: set[str]) -> Reason | None:
    """Why a photograph is left out; None where it is not."""
    if one.disagree:
        return "disagree"
    if one.last.verdict == "unclear":
        return "unclear"
    if there is not None:
        return "known" if there == {int(one.last.verdict == "defect")} else "contradicted"
    return None if one.kept in kept else "digest"


def _path(one: Standing) -> str:
    ending = one.kept.partition(".")[2]
    folder = f"train/{GOOD}" if one.last.verdict == GOOD else f"test/{one.last.defect_type or UNTYPED}"
    return f"{folder}/{ANSWERED}{one.last.sha256[:_DIGITS]}.{ending}"


def _tested(candidates: Sequence[Entry], others: Sequence[Entry]) -> list[Entry]:
    """Those candidates that show a part of a test image, or seem to: all images say what they have in common."""
    images = [entry for entry in others if not entry.path.startswith("ground_truth/")]
    entries = [*candidates, *images]
    squares, numbers = squares_of(entries, "compare with the test images")
    found = set()
    for pair in near_duplicates(squares):
        first, second = sorted((numbers[pair.first], numbers[pair.second]))
        if first < len(candidates) <= second and entries[second].path.startswith("test/"):
            found.add(first)
    return [candidates[number] for number in sorted(found)]


def _left_out(category: str, out: Mapping[Reason, Sequence[Standing]]) -> tuple[LeftOut, ...]:
    return tuple(
        LeftOut(
            category=category,
            reason=reason,
            files=len(members),
            endings=dict(Counter(_ending(one) for one in members).most_common(ENDINGS)),
            examples=tuple(one.last.name for one in members[:EXAMPLES]),
        )
        for reason, members in sorted(out.items())
    )


def _ending(one: Standing) -> str:
    stem, dot, ending = one.last.name.rpartition(".")
    return f".{ending.lower()}" if stem and dot else "no ending"
