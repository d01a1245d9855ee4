"""A first look at the photographs of a category: how many belong together, and the sizes of a few."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from vqi.artifacts.images import IndexRow
from vqi.artifacts.left_out import Unreadable
from vqi.config import Preparation, exif_seconds
from vqi.datasets.choice import split_of
from vqi.datasets.layout import GOOD, ONLY_GOOD, Entry
from vqi.datasets.placing import UNSPLIT
from vqi.datasets.plan import Plan
from vqi.errors import VqiError
from vqi.photographs.opening import damage, open_image, upright_size
from vqi.photographs.unreadable import UnreadableImage
from vqi.preparation.groups import grouped

_TRAIN_OR_CALIBRATE = tuple(f"{split}/{GOOD}/" for split in ONLY_GOOD)


@dataclass(frozen=True)
class Glance:
    """What was seen of a category."""

    plan: Plan
    groups: dict[str, int]  # split -> groups that folders or group_by name, where there are some
    sizes: dict[str, int]  # "300x300" -> photographs, the most frequent one first
    looked_at: int  # photographs
    unreadable: tuple[Unreadable, ...]  # of those
    problem: VqiError | None  # why no model can be trained; None where nothing is known against it


def glance(plan: Plan, settings: Preparation, most: int) -> Glance:
    """Look at up to ``most`` photographs of a category, evenly spread; only their headers are decoded."""
    photographs = [entry for entry in plan.entries if split_of(entry) != "ground_truth"]
    chosen = photographs[:: max(1, -(-len(photographs) // most))]
    sizes: Counter[str] = Counter()
    unread = []
    for entry in chosen:
        try:
            sizes[_size(entry, settings.max_pixels)] += 1
        except UnreadableImage as error:
            unread.append(Unreadable(path=entry.path, reason=error.reason))
    groups: dict[str, int] = {}
    problem = plan.problem
    if problem is None:
        try:
            groups = _groups(plan, settings.group_by)
        except VqiError as error:
            problem = error
    return Glance(plan, groups, dict(sizes.most_common()), len(chosen), tuple(unread), problem)


def _size(entry: Entry, max_pixels: int) -> str:
    data = entry.read()
    with damage(entry.path):
        open_image(data, entry.path, max_pixels)
    return str(upright_size(io.BytesIO(data)))


def _groups(plan: Plan, group_by: str) -> dict[str, int]:
    """By split, the groups that the paths of its images name, where they name some: by the rules of ``grouped``.

    Raises:
        VqiError: ``group_by`` says nothing of any training image.
    """
    if exif_seconds(group_by) is not None:
        return {}  # that is in the files
    rows = [_row(number, path) for number, path in enumerate(_good(plan.entries))]
    found = grouped(rows, range(len(rows)), group_by, plan.category).index
    counted = {split: [row.group for row in found if row.split == split] for split in ONLY_GOOD}
    return {split: named for split, groups in counted.items() if (named := len(set(groups))) < len(groups)}


def _good(entries: Sequence[Entry]) -> list[str]:
    """The paths of good images that train or calibrate; of those without a split any may train."""
    paths = (
        entry.path.replace(f"{UNSPLIT}/", "train/", 1) if split_of(entry) == UNSPLIT else entry.path
        for entry in entries
    )
    return [path for path in paths if path.startswith(_TRAIN_OR_CALIBRATE)]


def _row(number: int, path: str) -> IndexRow:
    """A row of an index of images that are all different."""
    return IndexRow(path, path.partition("/")[0], 0, GOOD, None, path, number, number)
