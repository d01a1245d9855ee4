"""Which images belong together: photographs of one part, copies, and what the user says is of one shift or batch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from vqi.artifacts.images import IndexRow
from vqi.errors import VqiError
from vqi.photographs.similarity import Pair, group


def grouped(index: Sequence[IndexRow], alike: Sequence[int], group_by: str, category: str) -> list[IndexRow]:
    """The index with the number of each image's group.

    Images are of one group where their files are the same, where they seem to show the same part, or where ``group_by``
    finds the same text in their paths.

    Args:
        index: In row order.
        alike: For each row the number of its series: equal where images seem to show the same part.
        group_by: A regular expression that is searched for in each path: what its groups match is the name of an
            image's group, or all that it matches where it has no groups; '' = no names.
        category: For the error.

    Raises:
        VqiError: ``group_by`` is found in none of the training images.
    """
    same = [*_equal([str(number) for number in alike]), *_equal([row.sha256 for row in index])]
    if group_by:
        names = [_name(re.search(group_by, row.path)) for row in index]
        train = [row.path for row in index if row.split == "train"]
        if not any(name for name, row in zip(names, index, strict=True) if row.split == "train"):
            raise VqiError(
                f"category '{category}': group_by '{group_by}' is found in none of the {len(train)} training images, "
                f"such as {train[0]}: expected a regular expression that finds the group's name in each path"
            )
        same += _equal(names)
    numbers = group(len(index), same)
    return [replace(row, group=int(number)) for row, number in zip(index, numbers, strict=True)]


def _name(match: re.Match[str] | None) -> str:
    """What names the group; '' where nothing does."""
    if match is None:
        return ""
    return "\0".join(part or "" for part in match.groups()) or match.group()


def _equal(names: Sequence[str]) -> Iterator[Pair]:
    """Each row paired with the first one of the same name; '' is no name."""
    first: dict[str, int] = {}
    for row, name in enumerate(names):
        if name and first.setdefault(name, row) != row:
            yield Pair(first[name], row, 1.0)
