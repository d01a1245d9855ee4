"""The photographs to score, as files and folders that a user names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vqi.datasets.layout import EXTENSIONS, is_image_name
from vqi.datasets.left_out import is_photograph
from vqi.errors import VqiError
from vqi.formatting import count
from vqi.progress import message
from vqi.system.os_errors import reason


@dataclass(frozen=True)
class Failure:
    """An image that has no score, and why."""

    name: str  # its path; '' for an image that has none
    error: VqiError


def find_images(paths: Iterable[Path]) -> Iterator[Path | Failure]:
    """The image files among files and folders, in order; what is not there, or cannot be searched, is in its place.

    What is named is taken, whatever it is called. In a folder, an image is what training takes for one: a file that
    ends like an image and is not hidden, nor in a hidden folder. Links are followed; each folder is searched once.
    """
    for path in paths:
        try:
            if path.is_dir():
                yield from _Search(path).found()
            elif os.path.lexists(path):
                yield path
            else:
                yield _failure(path, "no such file or folder")
        except OSError as error:
            yield _failure(path, reason(error))


class _Search:
    """Of one folder, to the bottom."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._others: list[str] = []  # names
        self._images: list[Path] = []
        self._failed: list[Path | Failure] = []
        self._seen = {_identity(top)}

    def found(self) -> list[Path | Failure]:
        """Folders that cannot be read, then the images, sorted."""
        for folder, below, names in os.walk(self._top, followlinks=True, onerror=self._unreadable):
            below[:] = [name for name in below if not name.startswith(".") and self._is_new(Path(folder, name))]
            images = [name for name in names if is_image_name(name)]
            self._others += sorted({name for name in names if not name.startswith(".")} - set(images))
            self._images += [Path(folder, name) for name in images]
        photographs = [name for name in self._others if is_photograph(name)]
        if photographs:
            kind = "its kind is" if len(photographs) == 1 else "their kind is"
            message(
                f"warning: {count(len(photographs), 'photograph')} in {self._top} not scored, because {kind} not read, "
                f"for example {photographs[0]}: save as PNG, JPEG or TIFF"
            )
        if rest := len(self._others) - len(photographs):
            message(f"note: {count(rest, 'file')} in {self._top} left out: the names are not those of images")
        if not self._images and not self._failed:
            endings = ", ".join(sorted(EXTENSIONS))
            self._failed.append(_failure(self._top, f"expected image files ({endings}), got none"))
        return self._failed + sorted(self._images)

    def _is_new(self, folder: Path) -> bool:
        """Whether it is searched for the first time: links may go round in circles."""
        try:
            place = _identity(folder)
        except OSError as error:
            self._unreadable(error)
            return False
        new = place not in self._seen
        self._seen.add(place)
        return new

    def _unreadable(self, error: OSError) -> None:
        self._failed.append(_failure(Path(error.filename), reason(error)))


def _identity(folder: Path) -> tuple[int, int]:
    found = folder.stat()
    return found.st_dev, found.st_ino


def _failure(path: Path, why: str) -> Failure:
    return Failure(str(path), VqiError(f"{path}: {why}"))
