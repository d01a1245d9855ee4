"""Where the files of a source belong in the MVTec AD layout, whatever people call their folders of good parts."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence

from vqi.datasets.layout import GOOD, ONLY_GOOD, SPLITS, is_hidden, is_image_name
from vqi.datasets.words import DEFECTIVE, is_apart, meaning_of
from vqi.errors import VqiError

UNSPLIT = "all"  # the folder of images without a split: see vqi.datasets.splits


class UnclearFolderError(VqiError):
    """A folder whose name may mean good parts, or defective ones: with the line that renames it."""

    def __init__(self, above: str, folder: str) -> None:
        place, good, bad = (shlex.quote(f"{above}{name}") for name in (folder, GOOD, f"{DEFECTIVE}-{folder}"))
        super().__init__(
            f"does the folder '{above}{folder}' hold good parts? If so, rename it: mv {place} {good}; if they are "
            f"defective: mv {place} {bad}"
        )
        self._above, self._folder = above, folder

    def below(self, root: str) -> UnclearFolderError:
        """The same with the whole path; ``root``: of the source, with '/' at its end."""
        return UnclearFolderError(f"{root}{self._above}", self._folder)


def canonical(path: str, root: str = "") -> str | None:
    """A path within a category as the layout has it: ``test/good/x.png`` for ``Test/OK/x.png``.

    Good images may lie in sub-folders, except in those that say something else (``is_apart``). In sub-folders of a
    type of defect there may be good images, too (``test/monday/good``), so they are not taken.

    Args:
        path: Within the category.
        root: The folder of the category in the source, with '/' at its end, for the error.

    Returns:
        None for anything that is not an image of the layout.

    Raises:
        UnclearFolderError: The name of its folder may mean good parts, or defective ones.
    """
    parts = path.split("/")
    if len(parts) < 3 or not is_image_name(parts[-1]):
        return None
    split = SPLITS.get(parts[0].casefold())
    if split is None or any(map(is_hidden, (*root.split("/"), *parts[1:-1]))):
        return None
    below = parts[2:-1]
    if below and meaning_of(parts[1]) != "good":
        return None
    kind = _kind(parts[1], f"{root}{parts[0]}/")
    if any(map(is_apart, below)) or (split in ONLY_GOOD and kind != GOOD):
        return None
    return "/".join((split, kind, *parts[2:]))


def arranged(paths: Iterable[str], root: str = "") -> dict[str, str]:
    """The files of a category: path in the layout -> path, both within the category; without a split at ``all``.

    Folders of good and of defective parts next to each other (``ok`` and ``ng``) have no split. They count where the
    category has no ``train`` and no ``test``.

    Raises:
        VqiError: ``UnclearFolderError``, as for ``canonical``; or two files would have the same path.
    """
    known = sorted(paths)
    placed = [(place, path) for path in known if (place := canonical(path, root)) is not None]
    if not any(place.startswith(("train/", "test/")) for place, _ in placed):
        placed += _unsplit(known, root)
    found: dict[str, str] = {}
    for place, path in sorted(placed, key=lambda one: (one[0] != one[1], one)):  # who has the layout's names keeps them
        free = place if place not in found else f"{place.rpartition('/')[0]}/{path.replace('/', '_')}"
        if free in found:
            raise VqiError(f"{root}{path} and {root}{found[free]} would have the same name: rename one of them")
        found[free] = path
    _ask_where_all_but_one_have_masks(found, root)
    return found


def _ask_where_all_but_one_have_masks(found: Mapping[str, str], root: str) -> None:
    """Test folders of which none is known to hold good parts, and all but one have masks: that one may hold them.

    Its name may be of any language.
    """
    folders: dict[str, dict[str, str]] = {"test": {}, "ground_truth": {}}
    for place, path in found.items():
        split, kind, _ = place.split("/", 2)
        if split in folders:
            folders[split][kind] = path
    tested, masked = folders["test"], folders["ground_truth"]
    bare = [kind for kind in tested if kind not in masked and meaning_of(kind) != "defective"]
    if GOOD not in tested and len(bare) == 1 and len(tested) > 1:
        raise UnclearFolderError(f"{root}{tested[bare[0]].partition('/')[0]}/", bare[0])


def is_unsplit_good(path: str) -> bool:
    """Whether a path within a category is an image in a folder of good parts, next to which others may be; or in a
    sub-folder there, except in those that say something else (``is_apart``)."""
    folder, *below = path.split("/")
    if not below or not is_image_name(below.pop()) or meaning_of(folder) != "good":
        return False
    return not any(is_hidden(one) or is_apart(one) for one in below)


def _unsplit(paths: Sequence[str], root: str) -> list[tuple[str, str]]:
    """The images one folder deep, where one of the folders is of good parts; and those in its sub-folders."""
    good = set(filter(is_unsplit_good, paths))
    if not good:
        return []
    images = [path for path in paths if path.count("/") == 1 and is_image_name(path.rpartition("/")[2])]
    images = [path for path in images if not is_hidden(folder := path.partition("/")[0]) and not _is_split(folder)]
    parts = [(path, *path.split("/", 1)) for path in sorted({*images, *good})]
    return [(f"{UNSPLIT}/{_kind(folder, root)}/{rest}", path) for path, folder, rest in parts]


def _is_split(folder: str) -> bool:
    return folder.casefold() in SPLITS


def _kind(folder: str, above: str) -> str:
    """``good``, or the folder's own name: that of a type of defect."""
    meaning = meaning_of(folder)
    if meaning == "unclear":
        raise UnclearFolderError(above, folder)
    return GOOD if meaning == "good" else folder
