"""The photographs to score, as files, folders, patterns and addresses of object stores that a user names."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from vqi.datasets.layout import EXTENSIONS, is_hidden, is_image_name
from vqi.datasets.left_out import is_photograph
from vqi.errors import VqiError
from vqi.formatting import count
from vqi.models.reading import Failure, Stored
from vqi.progress import message
from vqi.store.opening import file_path, open_store, split_uri
from vqi.system.os_errors import reason
from vqi.system.paths import local_path

Found = Path | Stored | Failure


def find_images(names: Iterable[str | Path], *, patterns: bool = False) -> Iterator[Found]:
    """The images among files, folders and addresses, in order; what is not there, or cannot be searched, is in its
    place.

    What is named is taken, whatever it is called. In a folder, and below an address, an image is what training takes
    for one: what ends like an image and is not hidden, nor in a hidden folder. Links are followed; each folder is
    searched once.

    Args:
        names: Paths, or ``s3://`` and ``file://`` addresses.
        patterns: Whether a name of nothing that is there is a pattern, such as ``*.png`` or ``parts/**/top-?.png``.
    """
    for name in names:
        text = str(name)
        if "://" in text and not text.startswith("file://"):
            yield from _objects(text)
        else:
            yield from _files(name, patterns=patterns)


def _files(name: str | Path, *, patterns: bool) -> Iterator[Path | Failure]:
    """Those of one name."""
    path = Path()
    try:
        path = file_path(str(name)) if str(name).startswith("file://") else local_path(name)
        if path.is_dir():
            yield from _Search(path).found()
        elif os.path.lexists(path):
            yield path
        elif patterns and glob.has_magic(str(path)):
            yield from _matches(path)
        else:
            yield _failure(path, "no such file or folder")
    except OSError as error:
        yield _failure(path, reason(error))
    except VqiError as error:
        yield Failure(str(name), error)


def _matches(pattern: Path) -> Iterator[Path | Failure]:
    found = sorted(glob.glob(str(pattern), recursive=True))  # noqa: PTH207 - Path.glob takes no absolute patterns
    if not found:
        yield _failure(pattern, "no file matches this pattern")
    for name in found:
        yield from _files(Path(name), patterns=False)


def _objects(address: str) -> Iterator[Stored | Failure]:
    """The images of an object store below an address, or the one object that it names."""
    try:
        if "/" in address.partition("://")[2] and not address.endswith("/"):
            folder, name = split_uri(address)
            if (store := open_store(folder)).exists(name):
                yield Stored(address, partial(store.get_bytes, name))
                return
        store = open_store(address)
        images: list[str] = []
        others: list[str] = []
        for one in store.list():
            if not any(map(is_hidden, one.key.split("/"))):
                (images if is_image_name(one.key.rpartition("/")[2]) else others).append(one.key)
    except VqiError as error:
        yield Failure(address, error)
        return
    _say_left_out(address, others)
    if not images:
        yield Failure(address, _no_images(address))
    yield from (Stored(f"{store.uri.rstrip('/')}/{key}", partial(store.get_bytes, key)) for key in images)


def images_below(folder: Path) -> list[Path]:
    """The images in a folder and below, as ``find_images`` finds them, sorted; what cannot be searched is left out."""
    search = _Search(folder)
    search.walk()
    return sorted(search.images)


class _Search:
    """Of one folder, to the bottom."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._others: list[str] = []  # names
        self.images: list[Path] = []
        self._failed: list[Path | Failure] = []
        self._seen = {_identity(top)}

    def found(self) -> list[Path | Failure]:
        """Folders that cannot be read, then the images, sorted."""
        self.walk()
        _say_left_out(str(self._top), self._others)
        if not self.images and not self._failed:
            self._failed.append(Failure(str(self._top), _no_images(str(self._top))))
        return self._failed + sorted(self.images)

    def walk(self) -> None:
        """Look into every folder."""
        for folder, below, names in os.walk(self._top, followlinks=True, onerror=self._unreadable):
            below[:] = [name for name in below if not name.startswith(".") and self._is_new(Path(folder, name))]
            images = [name for name in names if is_image_name(name)]
            self._others += sorted({name for name in names if not name.startswith(".")} - set(images))
            self.images += [Path(folder, name) for name in images]

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


def _say_left_out(place: str, names: list[str]) -> None:
    """Say what is not scored, of the files that do not end like an image."""
    photographs = [name for name in names if is_photograph(name)]
    if photographs:
        kind = "its kind is" if len(photographs) == 1 else "their kind is"
        message(
            f"warning: {count(len(photographs), 'photograph')} in {place} not scored, because {kind} not read, "
            f"for example {photographs[0]}: save as PNG, JPEG or TIFF"
        )
    if rest := len(names) - len(photographs):
        message(f"note: {count(rest, 'file')} in {place} left out: the names are not those of images")


def _no_images(place: str) -> VqiError:
    return VqiError(f"{place}: expected image files ({', '.join(sorted(EXTENSIONS))}), got none")


def _identity(folder: Path) -> tuple[int, int]:
    found = folder.stat()
    return found.st_dev, found.st_ino


def _failure(path: Path, why: str) -> Failure:
    return Failure(str(path), VqiError(f"{path}: {why}"))
