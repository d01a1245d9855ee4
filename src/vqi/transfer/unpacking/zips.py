"""Members of a zip file, from its directory, which is checked as a whole before any member is read."""

from __future__ import annotations

import stat
import struct
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import BinaryIO

from vqi.transfer.unpacking.names import CHUNK, Member, Refused, Register

LOCAL_HEADER_BYTES = 30
LENGTHS_AT, LENGTHS = 26, struct.Struct("<HH")  # of the name and of the extra field, in a local header
HEADERS = (b"PK\x03\x04", b"PK\x01\x02")  # of a member, and of its entry in the directory
GAP_BYTES = 1 << 16  # looked at between two members
ENCRYPTED = 0x1
PLAIN = (0, stat.S_IFREG, stat.S_IFDIR)
ODD = {
    stat.S_IFLNK: "a link: pack the files themselves",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
}


@contextmanager
def members(source: BinaryIO, register: Register) -> Iterator[Iterator[Member]]:
    """The members, all of them checked before the first is given out.

    Raises:
        Refused: or what ``zipfile`` raises for a damaged file.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            infos = archive.infolist()
            check_overlap(infos, archive.start_dir)
            check_complete(source, infos, archive.start_dir)
            names = slashed([info.filename for info in infos])
            checked = [check(archive, info, name, register) for info, name in zip(infos, names, strict=True)]
            yield iter(checked)
    except zipfile.BadZipFile as error:
        raise Refused(f"it is cut short or damaged ({error}): fetch it again") from error


def slashed(names: Sequence[str]) -> Sequence[str]:
    r"""The names with '/' between folders, where all that have folders use '\', as some programs on Windows do."""
    if any("/" in name for name in names):
        return names
    return [name.replace("\\", "/") for name in names]


def check(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, register: Register) -> Member:
    """One entry of the directory as a member, given its name with '/' between folders."""
    shown = ascii(info.orig_filename[:120])
    if "\0" in info.orig_filename:
        raise Refused(f"the name {shown} has a control character: rename the file")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind in ODD:
        return Member(register.enter(name, 0, is_file=True, is_link=True), 0, is_file=False, odd=ODD[kind])
    if kind not in PLAIN:
        raise Refused(f"{shown} is a device or the like: pack plain files only")
    if info.flag_bits & ENCRYPTED:
        raise Refused(f"{shown} is encrypted: pack it without a password")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Refused(f"{shown} is packed with method {info.compress_type}: expected stored or deflated")
    is_file = not name.endswith("/") and kind != stat.S_IFDIR
    if not is_file and info.file_size:
        raise Refused(f"{shown} is a folder with {info.file_size} bytes of its own")
    clean = register.enter(name, info.file_size, is_file=is_file)
    return Member(clean, info.file_size, is_file, partial(_pieces, archive, info))


def check_overlap(infos: list[zipfile.ZipInfo], directory: int) -> None:
    """Refuse members that share bytes: with them a small file unpacks to any size."""
    ordered = sorted(infos, key=lambda info: info.header_offset)
    starts = [info.header_offset for info in ordered] + [directory]
    if starts[0] < 0:
        raise Refused("it is cut short or damaged (a member begins before the file): fetch it again")
    for info, (start, following) in zip(ordered, pairwise(starts), strict=True):
        if start + LOCAL_HEADER_BYTES + info.compress_size > following:
            raise Refused(f"{info.filename[:120]!a} overlaps another member: a decompression bomb")


def check_complete(source: BinaryIO, infos: list[zipfile.ZipInfo], directory: int) -> None:
    """Refuse a file with members that its directory does not list: an unpacking would lack them in silence."""
    position = source.tell()
    begin = 0
    for start, end in [*sorted(_spans(source, infos)), (directory, directory)]:
        source.seek(begin)
        gap = source.read(min(GAP_BYTES, max(0, start - begin)))
        if any(header in gap for header in HEADERS):
            raise Refused(f"its directory lacks a member that begins near byte {begin}: pack it, or fetch it, again")
        begin = end
    source.seek(position)


def _spans(source: BinaryIO, infos: list[zipfile.ZipInfo]) -> Iterator[tuple[int, int]]:
    """Where each member begins and ends, by its local header."""
    for info in infos:
        source.seek(info.header_offset + LENGTHS_AT)
        lengths = source.read(LENGTHS.size)
        name, extra = LENGTHS.unpack(lengths) if len(lengths) == LENGTHS.size else (0, 0)
        yield info.header_offset, info.header_offset + LOCAL_HEADER_BYTES + name + extra + info.compress_size


def _pieces(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    with archive.open(info) as opened:
        done = 0
        while piece := opened.read(CHUNK):
            done += len(piece)
            yield piece
    if done != info.file_size:
        raise Refused(f"{info.filename[:120]!a} has {done} bytes, its header says {info.file_size}")
