"""Fewer images, and a split for those that have none.

Images at ``all/<defect type>`` have no split. Good ones are divided at random, ``train_fraction`` of them to train;
everything else is for the test. Photographs of the same part stay together, and where one of them is defective all of
them are for the test. A split that a source brings is never changed.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from vqi.config import Division, Preprocess, defaults
from vqi.datasets.layout import GOOD, MASK_ENDING, ONLY_GOOD, Dataset, Entry
from vqi.photographs.decoding import UnreadableImage, decode, own_white
from vqi.photographs.similarity import SIDE, Pair, group, near_duplicates, shrink
from vqi.progress import message, track
from vqi.sizes import square

UNSPLIT = "all"
FEW = 0.9  # of the images that should train: fewer are worth a note
MAX_PIXELS = defaults(Preprocess).max_pixels  # of an image that is looked at for duplicates


KEEP_ALL = Division.model_validate({})


def divide(dataset: Dataset, division: Division) -> Dataset:
    """The dataset with at most ``limit_per_class`` images per split and defect type, and a split for all of them."""
    categories = {
        category: _divide(category, limit(category, entries, division), division)
        for category, entries in dataset.categories.items()
    }
    return replace(dataset, categories=categories)


def limit(category: str, entries: Sequence[Entry], division: Division) -> tuple[Entry, ...]:
    """A random choice of the images of each split and defect type, with their masks; all of them for 0."""
    if not division.limit_per_class:
        return tuple(entries)
    folders: dict[str, list[Entry]] = defaultdict(list)
    for entry in sorted(entries, key=lambda entry: entry.path):
        folders[_folder(entry)].append(entry)
    kept: list[Entry] = []
    for folder, members in folders.items():
        if not folder.startswith("ground_truth/"):
            chance = random.Random(f"{division.split_seed}/{category}/{folder}")  # noqa: S311 - a choice, not a secret
            kept += chance.sample(members, min(division.limit_per_class, len(members)))
    return _with_masks(kept, entries)


def _divide(category: str, entries: Sequence[Entry], division: Division) -> tuple[Entry, ...]:
    """The entries with those at ``all`` moved to ``train`` or ``test``."""
    unsplit = sorted((entry for entry in entries if _split(entry) == UNSPLIT), key=lambda entry: entry.path)
    if not unsplit:
        return tuple(entries)
    together = _groups(category, unsplit) if division.hold_out_near_duplicates else list(range(len(unsplit)))
    groups: dict[int, list[Entry]] = defaultdict(list)
    for number, entry in zip(together, unsplit, strict=True):
        groups[number].append(entry)
    good = [members for members in groups.values() if all(_defect_type(entry) == GOOD for entry in members)]
    random.Random(f"{division.split_seed}/{category}").shuffle(good)  # noqa: S311 - a split, not a secret
    wanted = round(division.train_fraction * sum(_defect_type(entry) == GOOD for entry in unsplit))
    train: set[str] = set()
    for members in good:
        if len(train) + len(members) <= wanted:
            train |= {entry.path for entry in members}
    if len(train) < FEW * wanted:
        message(
            f"note: {category}: {len(train)} good images train where train_fraction asks for {wanted}: the others show "
            "parts that are in the test. Set hold_out_near_duplicates to false if they are different parts"
        )
    return tuple(
        replace(entry, path=f"{'train' if entry.path in train else 'test'}/{entry.path.partition('/')[2]}")
        if _split(entry) == UNSPLIT
        else entry
        for entry in entries
    )


def _groups(category: str, entries: Sequence[Entry]) -> list[int]:
    """For each entry the number of its group of near-duplicates. One that cannot be read is alone."""
    squares, numbers = squares_of(entries, f"compare {category}")
    pairs = near_duplicates(squares)
    if pairs:
        message(f"{category}: {len(pairs)} pairs of images show the same part; each stays on one side of the split")
    alike = [Pair(numbers[pair.first], numbers[pair.second], pair.correlation) for pair in pairs]
    return [int(number) for number in group(len(entries), alike)]


def squares_of(entries: Sequence[Entry], what: str) -> tuple[npt.NDArray[np.float32], list[int]]:
    """What is compared of images: squares (n, SIDE, SIDE), and the number of the entry that each belongs to.

    One that cannot be read has none. ``what``: the name of the progress.
    """
    squares: list[npt.NDArray[np.float32]] = []
    numbers: list[int] = []
    for number, entry in enumerate(track(entries, len(entries), what)):
        try:
            data = entry.read()
            white = own_white(data, entry.path, MAX_PIXELS)
            squares.append(shrink(decode(data, entry.path, square(2 * SIDE), MAX_PIXELS, white)))
        except UnreadableImage:  # preprocess says what is wrong with it
            continue
        numbers.append(number)
    return np.stack(squares) if squares else np.zeros((0, SIDE, SIDE), np.float32), numbers


def _with_masks(kept: Sequence[Entry], entries: Sequence[Entry]) -> tuple[Entry, ...]:
    stems = {(_defect_type(entry), _stem(entry)) for entry in kept if _split(entry) not in ONLY_GOOD}
    masks = [
        entry
        for entry in entries
        if _split(entry) == "ground_truth" and (_defect_type(entry), _stem(entry).removesuffix(MASK_ENDING)) in stems
    ]
    return tuple(sorted([*kept, *masks], key=lambda entry: entry.path))


def _split(entry: Entry) -> str:
    return entry.path.split("/")[0]


def _defect_type(entry: Entry) -> str:
    return entry.path.split("/")[1]


def _stem(entry: Entry) -> str:
    return entry.path.split("/", 2)[2].rpartition(".")[0]


def _folder(entry: Entry) -> str:
    return f"{_split(entry)}/{_defect_type(entry)}"
