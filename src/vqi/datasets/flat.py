"""Photographs of which no folder says what they show: alone in a place, they are good parts of one category."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vqi.config import LEAST_TRAINING
from vqi.datasets.layout import GOOD, ONLY_GOOD, SPLITS, is_hidden, is_image_name
from vqi.datasets.words import is_apart, meaning_of
from vqi.errors import VqiError
from vqi.formatting import count

SHOWN = 3  # folders in a message


def flat(keys: Sequence[str], uri: str) -> dict[str, str]:
    """Photographs that lie in no folder, as good parts: path in the layout -> key; none where there are none.

    Raises:
        VqiError: What is next to them, or the name of the place, says that they may be something else.
    """
    images = [key for key in keys if "/" not in key and is_image_name(key)]
    if not images:
        return {}
    if beside := _folders_of_images(keys):
        raise VqiError(
            f"{shown(uri)}: {count(len(images), 'photograph')}, such as {images[0]}, next to folders of photographs "
            f"({_some(beside)}), and nothing says which are of good parts: {_sort_them(uri, beside)}"
        )
    if is_apart(name_of(uri)):
        raise VqiError(
            f"{shown(uri)} is called after defective parts, masks or previews: expected photographs of good parts; "
            "if that is what they are, rename the folder"
        )
    return {f"train/{GOOD}/{image}": image for image in sorted(images)}


def beside_a_split(keys: Sequence[str], categories: Iterable[str], uri: str) -> VqiError | None:
    """The error for photographs next to a folder such as ``test``: that would be taken for a category, and they would
    be left out. None where there is nothing of that."""
    loose = [key for key in keys if "/" not in key and is_image_name(key) and not is_hidden(key)]
    splits = sorted(one for one in categories if one.casefold() in SPLITS)
    if not loose or not splits:
        return None
    return VqiError(
        f"{shown(uri)}: {count(len(loose), 'photograph')}, such as {min(loose)}, next to the folder {splits[0]}: "
        f"{_sort_them(uri, splits)}"
    )


def nameless(keys: Sequence[str], uri: str) -> VqiError | None:
    """The error for folders of photographs of which none says what it holds; None where there are no such folders."""
    folders = _folders_of_images(keys)
    if all(meaning_of(folder) == "defective" for folder in folders):
        return None
    return VqiError(
        f"{shown(uri)}: photographs in folders of which none says what it holds ({_some(folders)}): where those in one "
        f"are all good parts of one kind, name it: {shown(uri)}/{folders[0]}; else {_sort_them(uri, folders)}"
    )


def no_good_parts(keys: Sequence[str], uri: str) -> VqiError | None:
    """The error for photographs that are all in folders of defective parts; None where there are no such folders."""
    folders = _folders_of_images(keys)
    if not folders or not all(meaning_of(folder) == "defective" for folder in folders):
        return None
    return VqiError(
        f"{shown(uri)}: all photographs are of defective parts ({_some(folders)}), and a model learns from good ones: "
        f"put at least {LEAST_TRAINING} of those into {shown(uri)}/{GOOD}"
    )


def _sort_them(uri: str, folders: Sequence[str]) -> str:
    """How to sort them; ``folders``: those that are there already."""
    split = any(folder.casefold() in SPLITS for folder in folders)
    good, others = (f"train/{GOOD}", f"{shown(uri)}/test") if split else (GOOD, "folders next to it")
    return (
        f"move good ones to {shown(uri)}/{good} (shifts, days or cameras are sub-folders of it), and leave defective "
        f"ones in {others}, a folder for each type of defect"
    )


def _folders_of_images(keys: Sequence[str]) -> list[str]:
    """The top folders in which images are, or below; not those of masks and previews."""
    images = [key for key in keys if "/" in key and is_image_name(key.rpartition("/")[2])]
    folders = {key.partition("/")[0] for key in images if not any(map(is_hidden, key.split("/")))}
    return sorted(one for one in folders if not is_apart(one) or meaning_of(one) == "defective")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def shown(uri: str) -> str:
    """The uri of a place as people type it."""
    return uri.rstrip("/").removeprefix("file://")


def name_of(uri: str) -> str:
    """The last part of a uri."""
    return uri.rstrip("/").rpartition("/")[2] or "dataset"


def part_of(uri: str) -> str:
    """The name of the parts in a folder of photographs: its own, or that of the folder above ``train/good``."""
    names = [name for name in uri.partition("://")[2].split("/") if name]
    own = [name for name in names if meaning_of(name) != "good" and SPLITS.get(name.casefold()) not in ONLY_GOOD]
    return own[-1] if own else name_of(uri)
