"""The files below a folder of this machine: every one is named, and nothing odd among them ends the walk.

Links to folders are followed within the depth of the layout, except back to a folder above. FIFOs, sockets and devices
are never opened.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from vqi.artifacts.left_out import Reason
from vqi.errors import VqiError, printable
from vqi.photographs.unreadable import UnreadableImage
from vqi.store.interface import DIGESTS
from vqi.system.os_errors import explain, reason
from vqi.transfer.unpacking.names import Limits

LINK_DEPTH = 4  # folders below the root: category, split, type; below that no link is followed
FOLDER_DEPTH = 64  # folders below the root: a name can be too long to be opened further down
_KINDS = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}


@dataclass
class Listing:
    """What is below a folder, by its path from there."""

    files: list[str] = field(default_factory=list)
    odd: dict[str, Reason] = field(default_factory=dict)  # what is no plain file, and why: see ``LeftOut``

    def all(self) -> Iterator[str]:
        """All paths."""
        yield from self.files
        yield from self.odd


def walk(root: Path) -> Listing:
    """The files below ``root``; none where there is no such folder.

    Raises:
        VqiError: ``root`` itself cannot be read.
    """
    listing = Listing()
    try:
        if root.is_dir():
            _walk(root, "", (), listing)
    except OSError as error:
        raise VqiError(f"cannot read the folder {explain(error, root)}") from error
    return listing


def _walk(folder: Path, prefix: str, above: tuple[tuple[int, int], ...], listing: Listing) -> None:
    opened = folder.stat()
    above = (*above, (opened.st_dev, opened.st_ino))
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        key = f"{prefix}{entry.name}"
        if entry.name == DIGESTS:  # a store's own, when the folder is one
            continue
        if odd := _oddity(entry, above):
            listing.odd[key] = odd
        elif not entry.is_dir():
            listing.files.append(key)
        elif len(above) >= FOLDER_DEPTH:
            listing.odd[f"{key}/"] = "closed"
        else:
            try:
                _walk(Path(entry.path), f"{key}/", above, listing)
            except OSError:
                listing.odd[f"{key}/"] = "closed"


def _oddity(entry: os.DirEntry[str], above: tuple[tuple[int, int], ...]) -> Reason | None:
    """Why an entry is neither a plain file nor a folder to look into."""
    try:
        found = entry.stat()
    except OSError:  # a link to nowhere, in a circle, or to what may not be seen
        return "no file"
    if not stat.S_ISDIR(found.st_mode):
        return None if stat.S_ISREG(found.st_mode) else "no file"
    back = (found.st_dev, found.st_ino) in above
    return "no file" if back or (entry.is_symlink() and len(above) > LINK_DEPTH) else None


def checked(path: Path, name: str, read: Callable[[], bytes]) -> bytes:
    """What ``read`` gives, where ``path`` is a plain file of a size that fits into memory.

    Raises:
        UnreadableImage: It is none, is gone, or cannot be read.
    """
    try:
        found = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a NUL in its name
        link = (
            f"a link to {printable(str(path.readlink()))}: " if isinstance(error, OSError) and path.is_symlink() else ""
        )
        raise UnreadableImage(name, f"{link}{reason(error)}") from error
    if not stat.S_ISREG(found.st_mode):
        raise UnreadableImage(name, f"{_KINDS.get(stat.S_IFMT(found.st_mode), 'a folder')}, not a file: remove it")
    if found.st_size > Limits.member_bytes:
        raise UnreadableImage(name, f"{found.st_size} bytes: at most {Limits.member_bytes} are taken")
    try:
        return read()
    except UnreadableImage:
        raise
    except OSError as error:
        raise UnreadableImage(name, reason(error)) from error
    except VqiError as error:
        raise UnreadableImage(name, str(error)) from error


def read_file(path: Path, name: str) -> bytes:
    """The bytes of a file; see ``checked``."""
    return checked(path, name, path.read_bytes)
