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
MOST_LINKS = 40  # hard links from one to the next

Reader = Callable[[BinaryIO, Register], AbstractContextManager[Iterator[Member]]]


def unpack(archive: Path, folder: Path, wanted: Callable[[str], bool], limits: Limits = LIMITS) -> Spool:
    """The wanted members of an archive, spooled into an unnamed file in ``folder``.

    Every member is checked before a byte of it is written, also those that are not wanted; a tar is read to its end. In
    case of doubt the whole archive is refused. Archives within the archive are not opened. A hard link has the bytes of
    the member that it names; other links, FIFOs and sockets are never followed: the spool's ``odd`` says what they are.

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
    head = source.read(HEAD_BYTES)
    source.seek(0)
    spool = Spool(folder)
    try:
        _fill(spool, source, _reader(head), wanted, limits)
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


def _fill(spool: Spool, source: BinaryIO, reader: Reader, wanted: Callable[[str], bool], limits: Limits) -> None:
    register = Register(limits, source.seek(0, io.SEEK_END))
    source.seek(0)
    links: dict[str, str] = {}  # hard links -> the members that they name
    with reader(source, register) as members:
        for member in members:
            if member.same_as:
                links[member.name] = member.same_as
            elif member.odd:
                spool.odd[member.name] = member.odd
                wanted(member.name)
            elif member.is_file and wanted(member.name):
                spool.add(member.name, member.size, member.pieces())
    missing = _add_links(links, spool, wanted, register)
    if missing:  # they name members that were not kept: the archive is read once more, for those
        source.seek(0)
        with reader(source, Register(limits, register.archive_bytes)) as members:
            for member in members:
                if member.is_file and not member.same_as and (names := missing.pop(member.name, None)):
                    spool.add(names[0], member.size, member.pieces())
                    for name in names:
                        register.add_bytes(spool.add_same(name, names[0]))
    for target, names in missing.items():
        spool.odd |= dict.fromkeys(names, f"a hard link to {target!a}, which is not in the archive")


def _add_links(
    links: dict[str, str], spool: Spool, wanted: Callable[[str], bool], register: Register
) -> dict[str, list[str]]:
    """Give the wanted hard links their bytes; returns those whose members are not in the spool, by member."""
    missing: dict[str, list[str]] = {}
    kept = set(spool.names)
    for name in filter(wanted, links):
        target, steps = links[name], 0
        while target in links and steps < MOST_LINKS:
            target, steps = links[target], steps + 1
        if target in kept:
            register.add_bytes(spool.add_same(name, target))
        elif target in spool.odd:
            spool.odd[name] = spool.odd[target]
        else:
            missing.setdefault(target, []).append(name)
    return missing


def _reader(head: bytes) -> Reader:
    if head.startswith(ZIP_MAGIC):
        return zips.members
    if tars.decompressor(head) is None and not tars.is_tar(head):
        raise Refused(f"it is neither a tar (plain, gz, bz2, xz, zst) nor a zip: it starts with {head[:16]!r}")
    return tars.members
