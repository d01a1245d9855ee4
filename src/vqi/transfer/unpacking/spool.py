"""What members hold, one after the other in one unnamed file: gone with the process, whatever happens to it."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Iterable
from pathlib import Path

from vqi.errors import VqiError

SPARE_BYTES = 64 << 20  # left free on the disk


class Spool:
    """Bytes by name, in a file without a name in ``folder``. May be read from several threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        handle, name = tempfile.mkstemp(prefix=".spool-", dir=folder)
        os.unlink(name)  # noqa: PTH108 - the file lives as long as its handle
        self._handle = handle
        self._end = 0
        self._places: dict[str, tuple[int, int]] = {}
        self.odd: dict[str, str] = {}  # names that have no bytes, and why
        self.close = weakref.finalize(self, os.close, handle)  # or when nobody holds the spool any more

    @property
    def names(self) -> list[str]:
        """What was added, in that order."""
        return list(self._places)

    def add(self, name: str, size: int, pieces: Iterable[bytes]) -> None:
        """Append ``size`` bytes.

        Raises:
            VqiError: the disk has no room for them.
        """
        require_room(self.folder, size)
        start = self._end
        for piece in pieces:
            view = memoryview(piece)
            while view:
                written = os.pwrite(self._handle, view, self._end)
                self._end += written
                view = view[written:]
        self._places[name] = (start, self._end - start)

    def add_same(self, name: str, other: str) -> int:
        """Another name for the bytes of ``other``; returns how many they are."""
        self._places[name] = self._places[other]
        return self._places[name][1]

    def read(self, name: str) -> bytes:
        """The bytes of that name.

        Raises:
            VqiError: it is one of ``odd``.
        """
        if name in self.odd:
            raise VqiError(f"{name!a} is {self.odd[name]}")
        start, size = self._places[name]
        pieces = []
        while size:
            piece = os.pread(self._handle, size, start)
            pieces.append(piece)
            start, size = start + len(piece), size - len(piece)
        return b"".join(pieces)


def require_room(folder: Path, size: int, variable: str = "VQI_CACHE") -> None:
    """Fail before the disk is full, not after. ``variable``: the one that names the folder.

    Raises:
        VqiError: less than ``size`` bytes, and some to spare, are free at ``folder``.
    """
    free = shutil.disk_usage(folder).free
    if size and size + SPARE_BYTES > free:
        raise VqiError(
            f"no room in {folder}: {size} bytes and {SPARE_BYTES} to spare are needed, {free} are free; "
            f"free some space, or name a folder on a larger disk in {variable}"
        )
