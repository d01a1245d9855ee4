"""Which images belong together."""

import pytest

from vqi.artifacts.images import IndexRow
from vqi.errors import VqiError
from vqi.preparation.groups import grouped

EACH = [0, 1, 2, 3, 4]  # each image is a series of its own
PATHS = [
    "train/good/p1_a.png",
    "train/good/p1_b.png",
    "train/good/p2_a.png",
    "train/good/odd.png",
    "test/good/p2_b.png",
]


def index() -> list[IndexRow]:
    return [IndexRow(path, path.split("/")[0], 0, "good", None, f"{n:064d}", n) for n, path in enumerate(PATHS)]


def numbers(alike: list[int], group_by: str) -> list[int]:
    return [row.group for row in grouped(index(), alike, group_by, "part")]


def test_each_is_by_itself_until_something_joins_them() -> None:
    assert numbers(EACH, "") == [0, 1, 2, 3, 4]
    assert numbers([0, 1, 2, 0, 4], "") == [0, 1, 2, 0, 3]


def test_copies_are_one_group() -> None:
    rows = index()
    rows[4] = IndexRow(PATHS[4], "test", 0, "good", None, rows[1].sha256, 4)
    assert [row.group for row in grouped(rows, EACH, "", "part")] == [0, 1, 2, 3, 1]


@pytest.mark.parametrize("pattern", ["p[0-9]+", "(p[0-9]+)_", "good/(p)([0-9]+)"])
def test_a_pattern_names_the_group(pattern: str) -> None:
    assert numbers(EACH, pattern) == [0, 0, 1, 2, 1], "one without a name is by itself"
    assert numbers([0, 1, 2, 1, 4], pattern) == [0, 0, 1, 0, 1]


def test_a_pattern_that_finds_nothing() -> None:
    with pytest.raises(VqiError, match=r"group_by 'shift' is found in none of the 4 training images, such as train/go"):
        numbers(EACH, "shift")
