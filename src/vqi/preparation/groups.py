"""Which images belong together: photographs of one part, copies, and what the user says is of one shift or batch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from vqi.artifacts.data_report import Note
from vqi.artifacts.images import IndexRow
from vqi.config import BY_FOLDER, BY_NOTHING, exif_seconds
from vqi.datasets.layout import ONLY_GOOD
from vqi.errors import VqiError
from vqi.formatting import count
from vqi.photographs.capture import Capture, bursts
from vqi.photographs.similarity import Pair, group


@dataclass(frozen=True)
class Grouped:
    """An index with groups, and what to know of them."""

    index: list[IndexRow]
    notes: tuple[Note, ...] = ()
    by_folder: bool = False  # whether sub-folders of the training images are groups


def grouped(
    index: Sequence[IndexRow],
    alike: Sequence[int],
    group_by: str,
    category: str,
    captures: Sequence[Capture | None] = (),
) -> Grouped:
    """The index with the number of each image's part and group.

    Images are of one part where their files are the same, or where they seem to show the same one. Images of one part
    are of one group, and so are those of one name: of the sub-folder, of the time when they were taken, or what
    ``group_by`` finds in their paths. Images of the split ``calibration`` are grouped among themselves, except that
    those of a part which trains have the group of that part.

    Args:
        index: In row order.
        alike: For each row the number of its series: equal where images seem to show the same part.
        group_by: The parameter of ``vqi.config.Preprocess``. Of a regular expression, what its groups match is the name
            of an image's group, or all that it matches where it has no groups.
        category: For the error.
        captures: For each row when it was taken, where ``group_by`` asks for that.

    Raises:
        VqiError: ``group_by`` says nothing of any training image.
    """
    parts = [
        int(one) for one in group(len(index), [*_equal(list(map(str, alike))), *_equal([r.sha256 for r in index])])
    ]
    names, notes = _names(index, group_by, category, captures)
    trained: dict[int, int] = {}  # part -> a training image of it
    for row, (one, part) in enumerate(zip(index, parts, strict=True)):
        if one.split == "train":
            trained.setdefault(part, row)
    apart = [row for row, one in enumerate(index) if one.split == "calibration"]
    numbers = _numbers([row for row, one in enumerate(index) if one.split != "calibration"], parts, names, 0)
    unseen = [row for row in apart if parts[row] not in trained]
    numbers |= _numbers(unseen, parts, names, len(index))
    numbers |= {row: numbers[trained[parts[row]]] for row in apart if parts[row] in trained}
    rows = [replace(one, part=parts[row], group=numbers[row]) for row, one in enumerate(index)]
    by_folder = group_by in ("", BY_FOLDER) and any(names[row] for row, one in enumerate(index) if one.split == "train")
    return Grouped(rows, tuple(notes), by_folder)


def _numbers(rows: Sequence[int], parts: Sequence[int], names: Sequence[str], first: int) -> dict[int, int]:
    """The group of each of some rows, by row, from ``first`` on."""
    same = [*_equal([str(parts[row]) for row in rows]), *_equal([names[row] for row in rows])]
    return {row: first + int(number) for row, number in zip(rows, group(len(rows), same), strict=True)}


def _names(
    index: Sequence[IndexRow], group_by: str, category: str, captures: Sequence[Capture | None]
) -> tuple[list[str], list[Note]]:
    """What names each image's group, '' where nothing does; and what to know of it."""
    if group_by in ("", BY_FOLDER):
        return _folders(index, category, asked_for=bool(group_by))
    if group_by == BY_NOTHING:
        return [""] * len(index), []
    if (seconds := exif_seconds(group_by)) is not None:
        return _taken(index, captures, seconds, category)
    names = [_name(re.search(group_by, row.path)) for row in index]
    expected = "expected a regular expression that finds the group's name in each path"
    _require_names(index, names, category, f"group_by '{group_by}' is found in", expected)
    apart = [(row.path, name) for row, name in zip(index, names, strict=True) if row.split == "calibration"]
    if not apart or any(name for _, name in apart):
        return names, []
    note = f"group_by '{group_by}' is found in no image for calibration: each is a group by itself"
    return names, [Note(path=apart[0][0], note=note)]


def _folders(index: Sequence[IndexRow], category: str, *, asked_for: bool) -> tuple[list[str], list[Note]]:
    """The first sub-folder of good images that train or set the threshold.

    Where all of them lie in one, that says nothing of which belong together: one group allows no threshold.
    """
    names, notes = [""] * len(index), []
    for split in ONLY_GOOD:
        rows = [row for row, one in enumerate(index) if one.split == split]
        folders = {index[row].sub_folder for row in rows}
        if len(folders) > 1:
            for row in rows:
                names[row] = index[row].sub_folder
        elif any(folders):
            only = folders.pop()
            notes.append(
                Note(path=f"{split}/good/{only}", note="the only sub-folder, so not taken as a group of its own")
            )
    if asked_for and not notes:
        expected = "expected sub-folders, as in train/good/<group>/<image>"
        _require_names(index, names, category, f"group_by '{BY_FOLDER}' names", expected)
    return names, notes


def _taken(
    index: Sequence[IndexRow], captures: Sequence[Capture | None], seconds: int, category: str
) -> tuple[list[str], list[Note]]:
    """The burst of each image, among those of its split."""
    names = [""] * len(index)
    for split in sorted({one.split for one in index}):
        rows = [row for row, one in enumerate(index) if one.split == split]
        for row, burst in zip(rows, bursts([captures[row] for row in rows], seconds), strict=True):
            names[row] = "" if burst is None else f"{split} {burst}"
    expected = "expected the time when it was taken (DateTimeOriginal) in its EXIF: name groups in another way"
    _require_names(index, names, category, f"group_by 'exif:{seconds}' names", expected)
    lacking = [one.path for one, name in zip(index, names, strict=True) if not name and one.split in ONLY_GOOD]
    if not lacking:
        return names, []
    note = f"no time in its EXIF, as in {count(len(lacking), 'good image')} in all: each is a group by itself"
    return names, [Note(path=lacking[0], note=note)]


def _require_names(index: Sequence[IndexRow], names: Sequence[str], category: str, what: str, expected: str) -> None:
    """Refuse names of which no training image has one."""
    train = [row.path for row in index if row.split == "train"]
    if not any(name for name, row in zip(names, index, strict=True) if row.split == "train"):
        raise VqiError(
            f"category '{category}': {what} none of the {count(len(train), 'training image')}, such as {train[0]}: "
            f"{expected}"
        )


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
