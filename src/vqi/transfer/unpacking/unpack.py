"""Untrusted archives: tar (plain, gz, bz2, xz, zst) and zip.

``names`` says which names of members are taken, ``tars`` and ``zips`` read members one by one, ``spool`` keeps what
they hold. The name of a member never becomes a path of this machine: everything goes into one unnamed file. So
nothing can be written elsewhere, and what is refused here is refused because an archive with such members is not
safe, or because two of its members would be confused later.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from vqi.errors import VqiError
from vqi.system.os_errors import explain
from vqi.transfer.unpacking import tars, zips
from vqi.transfer.unpacking.names import DAMAGED, Limits, Member, Refused, Register
from vqi.transfer.unpacking.spool import Spool

__all__ = ["LIMITS", "Limits", "Refused", "Spool", "unpack"]

LIMITS = Limits()
ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
HEAD_BYTES = 512

Reader = Callable[[BinaryIO, Register], AbstractContextManager[Iterator[Member]]]


def unpack(archive: Path, folder: Path, wanted: Callable[[str], bool], limits: Limits = LIMITS) -> Spool:
    """The wanted members of an archive, spooled into an unnamed file in ``folder``.

    Every member is checked before a byte of it is written, also those that are not wanted; a tar is read to its end. In
    case of doubt the whole archive is refused. Archives within the archive are not opened.

    Args:
        archive: a local file; its first bytes tell what it is.
        folder: where there is room for what the wanted members hold.
        wanted: whether a member is to be kept, by its normalised name.
        limits: of number, sizes and ratio.

    Raises:
        Refused: the archive is damaged, cut short, or has a member that is not taken; the message says which and why.
        VqiError: the archive cannot be read, or the disk has no room.
    """
    try:
        with archive.open("rb") as source:
            return _unpack(archive.name, source, folder, wanted, limits)
    except OSError as error:
        raise VqiError(f"cannot unpack {archive.name}: {explain(error, archive)}") from error


def _unpack(name: str, source: BinaryIO, folder: Path, wanted: Callable[[str], bool], limits: Limits) -> Spool:
    size = source.seek(0, io.SEEK_END)
    source.seek(0)
    head = source.read(HEAD_BYTES)
    source.seek(0)
    spool = Spool(folder)
    try:
        register = Register(limits, size)
        with _reader(head)(source, register) as members:
            for member in members:
                if member.is_file and wanted(member.name):
                    spool.add(member.name, member.size, member.pieces())
    except Refused as error:
        spool.close()
        raise Refused(f"archive {name} is refused: {error}") from error
    except DAMAGED as error:
        spool.close()
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = str(error) or type(error).__name__
        raise Refused(f"archive {name} is refused: it is cut short or damaged ({reason}): fetch it again") from error
    except BaseException:
        spool.close()
        raise
    return spool


def _reader(head: bytes) -> Reader:
    if head.startswith(ZIP_MAGIC):
        return zips.members
    if tars.decompressor(head) is None and not tars.is_tar(head):
        raise Refused(f"it is neither a tar (plain, gz, bz2, xz, zst) nor a zip: it starts with {head[:16]!r}")
    return tars.members
