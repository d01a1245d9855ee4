"""Which members of an archive are taken: their names, kinds, number and sizes."""

from __future__ import annotations

import lzma
import struct
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from backports import zstd

from vqi.errors import VqiError

CHUNK = 1 << 20
# What the readers of the standard library raise for damaged archives, by format and by place of the damage.
DAMAGED = (
    *(OSError, ValueError, EOFError, LookupError, TypeError, ArithmeticError, RuntimeError, AttributeError),
    *(MemoryError, struct.error, zlib.error, lzma.LZMAError, zstd.ZstdError),
)
# By Unicode category: what people or programs read in different ways.
TRICKS = {
    "Cc": "a control character",
    "Cf": "an invisible character",
    "Cs": "bytes that are not UTF-8",
    "Zl": "a line end",
    "Zp": "a paragraph end",
}


class Refused(VqiError):  # noqa: N818 - says what became of the archive
    """An archive that is not unpacked, and why."""


@dataclass(frozen=True)
class Limits:
    """How much an archive may hold. What is more looks like a bomb."""

    members: int = 1_000_000
    member_bytes: int = 512 << 20  # of one file: it is held in memory later
    total_bytes: int = 500 << 30  # of all files together
    ratio: int = 100  # bytes unpacked for each byte of the archive ...
    ratio_from: int = 256 << 20  # ... once there are so many
    name_bytes: int = 1024
    depth: int = 32  # folders


@dataclass(frozen=True)
class Member:
    """A member that passed the checks: its normalised name and its bytes, to be read before the next is asked for."""

    name: str
    size: int
    is_file: bool
    pieces: Callable[[], Iterator[bytes]] = lambda: iter(())
    same_as: str = ""  # the member whose bytes it has: a hard link to it
    odd: str = ""  # what it is where it is neither file, folder nor hard link: it is left out, and never followed


class Register:
    """The members seen so far, against which the next one is checked."""

    def __init__(self, limits: Limits, archive_bytes: int) -> None:
        self.limits = limits
        self._most = min(limits.total_bytes, max(limits.ratio_from, limits.ratio * archive_bytes))
        self.archive_bytes = archive_bytes
        self._spellings: dict[str, str] = {}  # how a file system that ignores case sees a name -> how it is written
        self._links: set[str] = set()
        self._count = self._bytes = 0

    def enter(self, name: str, size: int, *, is_file: bool, is_link: bool = False) -> str:
        """The normalised name of a member, which is counted.

        Raises:
            Refused: its name, its size, or that together with those before it.
        """
        clean = check_name(name, self.limits)
        self._count += 1
        if self._count > self.limits.members:
            raise Refused(f"it has more than {self.limits.members} members")
        if not 0 <= size <= self.limits.member_bytes:
            raise Refused(f"{clean!r} has {size} bytes, at most {self.limits.member_bytes} are taken")
        self.add_bytes(size)
        if self._links and any(above in self._links for above in _above(clean)):
            raise Refused(f"{clean!r} lies below a link")
        if is_link:
            self._links.add(clean)
        if is_file and not clean:
            raise Refused("a file in it has no name")
        if is_file:
            self._enter_spelling(clean)
        return clean

    def add_bytes(self, size: int) -> None:
        """Count bytes that the members hold together; see ``check_total``."""
        self._bytes += size
        self.check_total(self._bytes)

    def check_total(self, unpacked: int) -> None:
        """Refuse an archive that holds ``unpacked`` bytes or more, where that is too many for its size."""
        if unpacked > self._most:
            raise Refused(
                f"it holds more than {self._most} bytes in an archive of {self.archive_bytes}: a decompression bomb"
            )

    def _enter_spelling(self, name: str) -> None:
        key = unicodedata.normalize("NFKC", name).casefold()
        if key not in self._spellings:
            self._spellings[key] = name
            return
        if self._spellings[key] == name:
            raise Refused(f"{name!r} is in it twice")
        raise Refused(f"{name!r} and {self._spellings[key]!r} are the same name if case or Unicode form is ignored")


def _above(name: str) -> Iterator[str]:
    """The folders above a member: ``a/b`` and ``a`` for ``a/b/c``."""
    while name := name.rpartition("/")[0]:
        yield name


def check_name(name: str, limits: Limits) -> str:
    """A member's name without ``.`` parts and doubled slashes.

    Raises:
        Refused: it is absolute, leaves the folder, is not text that everybody reads in the same way, or is too long.
    """
    shown = ascii(name[:120])
    if name.startswith("/") or (len(name) > 1 and name[1] == ":" and name[0].isalpha()):
        raise Refused(f"{shown} is an absolute path")
    if "\\" in name:
        raise Refused(f"{shown} has a backslash: pack it with '/' between folders, as 7-Zip and tar do")
    for character in name:
        if trick := TRICKS.get(unicodedata.category(character)):
            raise Refused(f"the name {shown} has {trick}: rename the file")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise Refused(f"{shown} leaves the folder with '..'")
    if len(name.encode()) > limits.name_bytes or len(parts) > limits.depth:
        raise Refused(f"the name {shown} is longer than {limits.name_bytes} bytes or {limits.depth} folders")
    return "/".join(parts)
