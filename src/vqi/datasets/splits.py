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
from vqi.datasets.choice import defect_type_of, limit, split_of, training_share
from vqi.datasets.layout import GOOD, Dataset, Entry
from vqi.datasets.placing import UNSPLIT
from vqi.photographs.decoding import UnreadableImage, decode, own_white
from vqi.photographs.similarity import SIDE, Pair, group, near_duplicates, shrink
from vqi.progress import message, track
from vqi.sizes import square

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


def _divide(category: str, entries: Sequence[Entry], division: Division) -> tuple[Entry, ...]:
    """The entries with those at ``all`` moved to ``train`` or ``test``."""
    unsplit = sorted((entry for entry in entries if split_of(entry) == UNSPLIT), key=lambda entry: entry.path)
    if not unsplit:
        return tuple(entries)
    together = _groups(category, unsplit) if division.hold_out_near_duplicates else list(range(len(unsplit)))
    groups: dict[int, list[Entry]] = defaultdict(list)
    for number, entry in zip(together, unsplit, strict=True):
        groups[number].append(entry)
    good = [members for members in groups.values() if all(defect_type_of(entry) == GOOD for entry in members)]
    random.Random(f"{division.split_seed}/{category}").shuffle(good)  # noqa: S311 - a split, not a secret
    wanted = training_share(unsplit, division)
    message(f"note: {category} has no train and test: train_fraction of its good images train")
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
        if split_of(entry) == UNSPLIT
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
