"""What every source yields: images by category, at paths of the MVTec AD layout.

``train/good/x.png``, ``test/good/x.png``, ``test/<defect type>/x.png``, ``ground_truth/<defect type>/x_mask.png``.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from vqi.artifacts.catalog import Licence
from vqi.errors import VqiError, unknown

Split = Literal["train", "test", "ground_truth"]

GOOD = "good"
MASK_ENDING = "_mask"
READ = frozenset(
    {"png", "jpg", "jpeg", "jpe", "jfif", "bmp", "dib", "gif", "tif", "tiff", "webp"}
    | {"pgm", "ppm", "pbm", "pnm", "jp2", "j2k", "jpc", "j2c"}
)
# Those of phones are taken too, and refused by name when they are decoded: nobody left them out on purpose.
EXTENSIONS = READ | {"heic", "heif", "avif"}
EXPECTED = (
    "expected <category>/train/good/<image>, optionally <category>/test/<good or a defect type>/<image> and "
    f"<category>/ground_truth/<defect type>/<image>_mask.png, images as {', '.join(sorted(READ))}"
)


@dataclass(frozen=True)
class Entry:
    """One file of a category: its path in the layout, and what reads its bytes."""

    path: str
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Dataset:
    """A dataset as a source found it."""

    name: str
    licence: Licence | None  # None: the user's own images
    categories: Mapping[str, tuple[Entry, ...]]
    snapshot: str = ""  # text that names the versions of what was read, where the source can change


class Shard(NamedTuple):
    """The packed files of a category, on this disk."""

    path: Path
    sha256: str


@dataclass(frozen=True)
class Place:
    """Where a file is in the layout."""

    split: Split
    defect_type: str  # 'good' for a normal part
    stem: str  # the file name without its extension

    @property
    def label(self) -> int:
        """0 normal, 1 anomalous."""
        return int(self.defect_type != GOOD)


def place_of(path: str) -> Place | None:
    """The place of ``path`` within its category; None for anything that is not an image of the layout."""
    parts = path.split("/")
    if len(parts) != 3 or not is_image_name(parts[2]):
        return None
    split, defect_type, name = parts
    stem = name.rpartition(".")[0]
    if split == "train" and defect_type == GOOD:
        return Place("train", defect_type, stem)
    if split == "test":
        return Place("test", defect_type, stem)
    return Place("ground_truth", defect_type, stem) if split == "ground_truth" else None


def check_names(dataset: Dataset) -> None:
    """Refuse names that would mean something else as part of a path: they become folders and keys later.

    Raises:
        VqiError: a category or a file of it has such a name.
    """
    for category, entries in dataset.categories.items():
        if not _is_plain(category) or category.startswith("."):
            raise VqiError(f"a category of '{dataset.name}' is called {category!a}: give it a plain name")
        for entry in entries:
            if not all(_is_plain(part) for part in entry.path.split("/")):
                raise VqiError(f"category '{category}' has a file {entry.path!a}: give it a plain name")


def check_categories(wanted: Iterable[str], known: Iterable[str]) -> None:
    """Refuse a category that is not there.

    Raises:
        VqiError: with a did-you-mean.
    """
    names = set(known)
    for category in wanted:
        if category not in names:
            raise unknown("category", category, names)


def _is_plain(name: str) -> bool:
    return name not in ("", ".", "..") and not any(one == "/" or unicodedata.category(one) == "Cc" for one in name)


def is_image_name(name: str) -> bool:
    """Whether a file name ends like an image, in any letter case, and is not hidden."""
    stem, _, extension = name.rpartition(".")
    return bool(stem) and not name.startswith(".") and extension.lower() in EXTENSIONS
