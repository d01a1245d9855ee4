"""Which images belong together."""

import pytest
from pydantic import ValidationError

from vqi.artifacts.images import IndexRow
from vqi.config import Preprocess
from vqi.errors import VqiError
from vqi.photographs.capture import Capture
from vqi.preparation.groups import Grouped, grouped

EACH = [0, 1, 2, 3, 4]  # each image is a series of its own
PATHS = [
    "train/good/p1_a.png",
    "train/good/p1_b.png",
    "train/good/p2_a.png",
    "train/good/odd.png",
    "test/good/p2_b.png",
]


def index() -> list[IndexRow]:
    return [IndexRow(path, path.split("/")[0], 0, "good", None, f"{n:064d}", n, n) for n, path in enumerate(PATHS)]


def numbers(alike: list[int], group_by: str) -> list[int]:
    return [row.group for row in grouped(index(), alike, group_by, "part").index]


def test_each_is_by_itself_until_something_joins_them() -> None:
    assert numbers(EACH, "") == [0, 1, 2, 3, 4]
    assert numbers([0, 1, 2, 0, 4], "") == [0, 1, 2, 0, 3]


def test_copies_are_one_group() -> None:
    rows = index()
    rows[4] = IndexRow(PATHS[4], "test", 0, "good", None, rows[1].sha256, 4, 4)
    assert [row.group for row in grouped(rows, EACH, "", "part").index] == [0, 1, 2, 3, 1]


@pytest.mark.parametrize("pattern", ["p[0-9]+", "(p[0-9]+)_", "good/(p)([0-9]+)"])
def test_a_pattern_names_the_group(pattern: str) -> None:
    assert numbers(EACH, pattern) == [0, 0, 1, 2, 1], "one without a name is by itself"
    assert numbers([0, 1, 2, 1, 4], pattern) == [0, 0, 1, 0, 1]


def test_a_pattern_that_finds_nothing() -> None:
    with pytest.raises(VqiError, match=r"group_by 'shift' is found in none of the 4 training images, such as train/go"):
        numbers(EACH, "shift")


# ---------------------------------------------------------------------------------------------------------- sub-folders


def of_paths(*paths: str, alike: tuple[int, ...] = (), group_by: str = "") -> Grouped:
    rows = [IndexRow(path, path.split("/")[0], 0, "good", None, f"{n:064d}", n, n) for n, path in enumerate(paths)]
    return grouped(rows, alike or range(len(rows)), group_by, "part")


def groups_of(found: Grouped) -> list[int]:
    return [row.group for row in found.index]


MIXED = (
    "train/good/a.png",
    "train/good/x/b.png",
    "train/good/x/deep/c.png",
    "train/good/y/b.png",
    "train/good/z/d.png",
)


@pytest.mark.parametrize("group_by", ["", "folder"])
def test_the_first_sub_folder_is_a_group(group_by: str) -> None:
    found = of_paths(*MIXED, group_by=group_by)
    assert groups_of(found) == [0, 1, 1, 2, 3], "one next to them, and one alone in its own, are by themselves"
    assert [row.part for row in found.index] == [0, 1, 2, 3, 4]
    assert (found.by_folder, found.notes) == (True, ())
    assert groups_of(of_paths(*MIXED, alike=(0, 1, 2, 3, 0), group_by=group_by)) == [0, 1, 1, 2, 0]


def test_the_user_says_otherwise() -> None:
    for group_by, expected in (("none", [0, 1, 2, 3, 4]), ("[a-z](?=[.]png)", [0, 1, 2, 1, 3])):
        found = of_paths(*MIXED, group_by=group_by)
        assert (groups_of(found), found.by_folder) == (expected, False)


def test_all_images_in_one_sub_folder_are_not_one_group() -> None:
    found = of_paths("train/good/only/a.png", "train/good/only/b.png", "test/good/a.png")
    assert (groups_of(found), found.by_folder) == ([0, 1, 2], False)
    (note,) = found.notes
    assert (note.path, note.note) == ("train/good/only", "the only sub-folder, so not taken as a group of its own")


def test_a_word_that_says_nothing_of_these_images() -> None:
    with pytest.raises(VqiError, match=r"group_by 'folder' names none of the 2 training images, such as train/good/a"):
        of_paths("train/good/a.png", "train/good/b.png", group_by="folder")
    with pytest.raises(ValidationError, match="expected exif:<seconds>, such as exif:10, got 'exif:ten'"):
        Preprocess(dataset="d", category="c", group_by="exif:ten")


def test_the_times_of_photographs() -> None:
    rows = [IndexRow(f"train/good/{n}.png", "train", 0, "good", None, f"{n:064d}", n, n) for n in range(6)]
    times: list[Capture | None] = [Capture("x", at) for at in (100.0, 109.5, 0.0, 119.0)]
    found = grouped(rows, range(6), "exif:10", "part", [*times, Capture("y", 101.0), None])
    assert groups_of(found) == [0, 0, 1, 0, 2, 3], "each within 10 s of the one before, by the same camera"
    (note,) = found.notes
    assert note.path == "train/good/5.png"
    assert note.note.startswith("no time in its EXIF, as in 1 good image in all")
    with pytest.raises(VqiError, match=r"group_by 'exif:10' names none of the 6 training images, .*DateTimeOriginal"):
        grouped(rows, range(6), "exif:10", "part", [None] * 6)


# ---------------------------------------------------------------------------------------------------------- calibration

APART = ("train/good/x/a.png", "train/good/y/b.png", "calibration/good/x/c.png", "calibration/good/x/d.png",
         "calibration/good/w/e.png", "test/good/x/f.png")  # fmt: skip


def test_images_for_calibration_are_grouped_among_themselves() -> None:
    found = groups_of(of_paths(*APART))
    assert found[2] == found[3] != found[4]
    assert not {*found[2:5]} & {*found[:2]}, "a folder of the same name is of another split"


def test_a_pattern_that_is_found_in_no_image_for_calibration_is_noted() -> None:
    assert of_paths(*APART, group_by="/([a-z])/").notes == ()
    found = of_paths(*APART, group_by="/([ab])[.]")
    assert len(set(groups_of(found)[2:5])) == 3
    (note,) = found.notes
    assert note.path == "calibration/good/x/c.png"
    assert note.note == "group_by '/([ab])[.]' is found in no image for calibration: each is a group by itself"


def test_an_image_for_calibration_of_a_part_that_trains_is_of_its_group_and_takes_no_other_along() -> None:
    found = of_paths(*APART, alike=(0, 1, 0, 3, 4, 5))
    assert found.index[2].part == found.index[0].part
    assert groups_of(found)[2] == groups_of(found)[0]
    assert groups_of(found)[3] not in groups_of(found)[:2], "next to it in the sub-folder, but of another part"
    through = of_paths(*APART, alike=(0, 1, 2, 3, 4, 2))
    assert through.index[2].part == through.index[5].part
    assert not {*groups_of(through)[2:5]} & {*groups_of(through)[:2]}, "a test image between them changes nothing"
