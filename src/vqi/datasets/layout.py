"""What every source yields: images by category, at paths of the MVTec AD layout.

``train/good/x.png``, ``test/good/x.png``, ``test/<defect type>/x.png``, ``ground_truth/<defect type>/x_mask.png``, and
``calibration/good/x.png`` for good images that do not train and set the threshold. Good images may lie in sub-folders:
``train/good/2024-05-01/x.png``.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

from vqi.artifacts.catalog import Licence
from vqi.artifacts.left_out import LeftOut, Unreadable
from vqi.errors import VqiError, closest, printable, unknown
from vqi.photographs.unreadable import UnreadableImage

Split = Literal["train", "calibration", "test", "ground_truth"]

SPLITS: dict[str, Split] = {
    "train": "train",
    "test": "test",
    "ground_truth": "ground_truth",
    **dict.fromkeys(("calibration", "calibrate", "calib"), "calibration"),
}
ONLY_GOOD: tuple[Split, ...] = ("train", "calibration")
GOOD = "good"
MASK_ENDING = "_mask"
# What Kubernetes and Argo replace wherever they find it in what a step is given; neither can be told to leave it.
_FILLED_IN = ("$(", "$$", "{{")
SYSTEM = frozenset(("thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin", "lost+found"))
EXTENSIONS = frozenset(
    {"png", "jpg", "jpeg", "jpe", "jfif", "bmp", "dib", "gif", "tif", "tiff", "webp"}
    | {"pgm", "ppm", "pbm", "pnm", "jp2", "j2k", "jpc", "j2c"}
)
ANY_PHOTOGRAPHS = f"expected photographs of good parts ({', '.join(sorted(EXTENSIONS))})"
EXPECTED = (
    "expected <category>/train/good/<image>, optionally <category>/test/<good or a defect type>/<image>, "
    "<category>/calibration/good/<image> and "
    f"<category>/ground_truth/<defect type>/<image>_mask.png, images as {', '.join(sorted(EXTENSIONS))}"
)


@dataclass(frozen=True)
class Entry:
    """One file of a category: its path in the layout, and what reads its bytes.

    Reading raises ``UnreadableImage`` where this file cannot be read and others can: it then counts as one bad image.
    """

    path: str
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Dataset:
    """A dataset as a source found it."""

    name: str
    licence: Licence | None  # None: the user's own images
    categories: Mapping[str, tuple[Entry, ...]]
    snapshot: str = ""  # text that names the versions of what was read, where the source can change
    taken_for: str = ""  # what the source was taken for, in a sentence, where no folder of it says that
    left_out: tuple[LeftOut, ...] = ()


class Shard(NamedTuple):
    """The packed files of a category, on this disk, and what is not among them."""

    path: Path
    sha256: str
    licence: Licence | None = None  # None: the user's own images
    unreadable: tuple[Unreadable, ...] = ()  # images and masks of the source
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True)
class Place:
    """Where a file is in the layout."""

    split: Split
    defect_type: str  # 'good' for a normal part
    stem: str  # the path below that folder without its extension

    @property
    def label(self) -> int:
        """0 normal, 1 anomalous."""
        return int(self.defect_type != GOOD)


def place_of(path: str) -> Place | None:
    """The place of ``path`` within its category; None for anything that is not an image of the layout."""
    parts = path.split("/", 2)
    if len(parts) != 3 or not is_image_name(parts[2].rpartition("/")[2]):
        return None
    split = SPLITS.get(parts[0])
    if split is None or split != parts[0] or (split in ONLY_GOOD and parts[1] != GOOD):
        return None
    return Place(split, parts[1], parts[2].rpartition(".")[0])


def check_names(dataset: Dataset) -> Dataset:
    """The dataset without names that would mean something else as part of a path: they become folders and keys later.

    A file of such a name cannot be read.

    Raises:
        VqiError: a category or a folder of it has such a name.
    """
    for category, entries in dataset.categories.items():
        if not _is_plain(category) or category.startswith("."):
            raise VqiError(f"a category of '{dataset.name}' is called {category!a}: give it a plain name")
        if found := next((text for text in _FILLED_IN if text in category), ""):
            raise VqiError(
                f"a category of '{dataset.name}' is called {category!a}: expected a name without '{found}', which a "
                "cluster would fill in: rename it"
            )
        for entry in entries:
            if not all(_is_plain(part) for part in entry.path.split("/")[:-1]):
                raise VqiError(f"category '{category}' has a file {entry.path!a}: give it a plain name")
    categories = {name: tuple(map(_named_plainly, entries)) for name, entries in dataset.categories.items()}
    return replace(dataset, categories=categories)


def no_training_images(category: str, folders: Iterable[str]) -> VqiError:
    """The error for a category without them; ``folders``: what it has, such as ``test/good``."""
    found = ", ".join(sorted(set(folders))) or "nothing"
    return VqiError(f"category '{category}' has no train images: expected some in train/good, found {found}")


def check_categories(wanted: Iterable[str], known: Iterable[str]) -> None:
    """Refuse a category that is not there.

    Raises:
        VqiError: with a did-you-mean.
    """
    names = set(known)
    for category in wanted:
        if category not in names:
            example = json.dumps([closest(category, names) or min(names, default="name")], ensure_ascii=False)
            raise VqiError(f"{unknown('category', category, names)}; write categories='{example}'")


def unreadable(path: str, reason: str) -> Entry:
    """An entry that cannot be read, and why."""

    def read() -> bytes:
        raise UnreadableImage(path, reason)

    return Entry(path, read)


def _named_plainly(entry: Entry) -> Entry:
    name = entry.path.rpartition("/")[2]
    if _is_plain(name):
        return entry
    return unreadable(printable(entry.path), "its name has control characters or bytes that are not UTF-8: rename it")


def _is_plain(name: str) -> bool:
    return name not in ("", ".", "..") and not any(
        one == "/" or unicodedata.category(one) in ("Cc", "Cs") for one in name
    )


def is_hidden(name: str) -> bool:
    """Whether a file or folder is hidden, or one that an operating system puts there."""
    return name.startswith(".") or name.casefold() in SYSTEM


def is_image_name(name: str) -> bool:
    """Whether a file name ends like an image, in any letter case, and is not hidden."""
    stem, _, extension = name.rpartition(".")
    return bool(stem) and not name.startswith(".") and extension.lower() in EXTENSIONS
