"""Members of a zip file, from its directory, which is checked as a whole before any member is read."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import BinaryIO

from vqi.transfer.unpacking.names import CHUNK, Member, Refused, Register

LOCAL_HEADER_BYTES = 30
ENCRYPTED = 0x1


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
            checked = [check(archive, info, register) for info in infos]
            yield iter(checked)
    except zipfile.BadZipFile as error:
        raise Refused(f"it is cut short or damaged ({error}): fetch it again") from error


def check(archive: zipfile.ZipFile, info: zipfile.ZipInfo, register: Register) -> Member:
    """One entry of the directory as a member."""
    shown = ascii(info.orig_filename[:120])
    if "\0" in info.orig_filename:
        raise Refused(f"the name {shown} has a control character: rename the file")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise Refused(f"{shown} is a {'link' if kind == stat.S_IFLNK else 'device or the like'}: pack plain files only")
    if info.flag_bits & ENCRYPTED:
        raise Refused(f"{shown} is encrypted: pack it without a password")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Refused(f"{shown} is packed with method {info.compress_type}: expected stored or deflated")
    is_file = not info.is_dir() and kind != stat.S_IFDIR
    if not is_file and info.file_size:
        raise Refused(f"{shown} is a folder with {info.file_size} bytes of its own")
    name = register.enter(info.filename, info.file_size, is_file=is_file)
    return Member(name, info.file_size, is_file, partial(_pieces, archive, info))


def check_overlap(infos: list[zipfile.ZipInfo], directory: int) -> None:
    """Refuse members that share bytes: with them a small file unpacks to any size."""
    ordered = sorted(infos, key=lambda info: info.header_offset)
    starts = [info.header_offset for info in ordered] + [directory]
    if starts[0] < 0:
        raise Refused("it is cut short or damaged (a member begins before the file): fetch it again")
    for info, (start, following) in zip(ordered, pairwise(starts), strict=True):
        if start + LOCAL_HEADER_BYTES + info.compress_size > following:
            raise Refused(f"{info.filename[:120]!a} overlaps another member: a decompression bomb")


def _pieces(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    with archive.open(info) as opened:
        done = 0
        while piece := opened.read(CHUNK):
            done += len(piece)
            yield piece
    if done != info.file_size:
        raise Refused(f"{info.filename[:120]!a} has {done} bytes, its header says {info.file_size}")
