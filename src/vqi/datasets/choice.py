"""Fewer images: which of them are taken, and how many of those without a split train. Nothing is read for that."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence

from vqi.config import Division
from vqi.datasets.layout import GOOD, MASK_ENDING, ONLY_GOOD, Entry
from vqi.datasets.placing import UNSPLIT


def limit(category: str, entries: Sequence[Entry], division: Division) -> tuple[Entry, ...]:
    """A random choice of the images of each split and defect type, with their masks; all of them for 0."""
    if not division.limit_per_class:
        return tuple(entries)
    folders: dict[str, list[Entry]] = defaultdict(list)
    for entry in sorted(entries, key=lambda entry: entry.path):
        folders[folder_of(entry)].append(entry)
    kept: list[Entry] = []
    for folder, members in folders.items():
        if not folder.startswith("ground_truth/"):
            chance = random.Random(f"{division.split_seed}/{category}/{folder}")  # noqa: S311 - a choice, not a secret
            kept += chance.sample(members, min(division.limit_per_class, len(members)))
    return _with_masks(kept, entries)


def training_share(entries: Iterable[Entry], division: Division) -> int:
    """How many of the good images without a split should train."""
    good = sum(split_of(entry) == UNSPLIT and defect_type_of(entry) == GOOD for entry in entries)
    return round(division.train_fraction * good)


def _with_masks(kept: Sequence[Entry], entries: Sequence[Entry]) -> tuple[Entry, ...]:
    stems = {(defect_type_of(entry), _stem(entry)) for entry in kept if split_of(entry) not in ONLY_GOOD}
    masks = [
        entry
        for entry in entries
        if split_of(entry) == "ground_truth"
        and (defect_type_of(entry), _stem(entry).removesuffix(MASK_ENDING)) in stems
    ]
    return tuple(sorted([*kept, *masks], key=lambda entry: entry.path))


def split_of(entry: Entry) -> str:
    """``train``, ``calibration``, ``test``, ``ground_truth`` or ``UNSPLIT``."""
    return entry.path.split("/")[0]


def defect_type_of(entry: Entry) -> str:
    """``good``, or a type of defect."""
    return entry.path.split("/")[1]


def _stem(entry: Entry) -> str:
    return entry.path.split("/", 2)[2].rpartition(".")[0]


def folder_of(entry: Entry) -> str:
    """Such as ``train/good``."""
    return f"{split_of(entry)}/{defect_type_of(entry)}"
