"""Archives as tests need them: honest ones, and ones that nobody should unpack."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterable

from backports import zstd

PARTS = {"bottle/train/good/000.png": b"first" * 100, "bottle/test/crack/001.png": b"second", "readme.txt": b"hello"}

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "tar": lambda data: data,
    "tar.gz": lambda data: gzip.compress(data, mtime=0),
    "tar.bz2": bz2.compress,
    "tar.xz": lambda data: lzma.compress(data, filters=[{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 16}]),
    "tar.zst": zstd.compress,
}


def tar_of(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form, encoding="utf-8", errors="surrogateescape") as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def plain(name: str, data: bytes = b"x", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def special(name: str, kind: bytes, link: str = "") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info, b""


def names(*given: str, form: int = tarfile.PAX_FORMAT) -> bytes:
    return tar_of(*(plain(name) for name in given), form=form)


def honest_tar(ending: str = "tar") -> bytes:
    return COMPRESS[ending](tar_of(*(plain(name, data) for name, data in PARTS.items())))


def zip_of(members: Iterable[tuple[str | zipfile.ZipInfo, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def zip_names(*given: str) -> bytes:
    return zip_of([(name, b"x") for name in given])


def honest_zip() -> bytes:
    return zip_of(PARTS.items())


def zip_info(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return info


def zip_kind(name: str, mode: int) -> bytes:
    return zip_of([(zip_info(name, mode), b"/etc/passwd")])


def zip_without(lost: int, *given: str) -> bytes:
    """A zip of these names whose directory lacks one of them, and is consistent otherwise."""
    data = zip_names(*given)
    end = data.rfind(b"PK\x05\x06")
    count, size, begin = (*struct.unpack_from("<H", data, end + 8), *struct.unpack_from("<II", data, end + 12))
    entries = [b"PK\x01\x02" + part for part in data[begin : begin + size].split(b"PK\x01\x02")[1:]]
    kept = b"".join(entry for number, entry in enumerate(entries) if number != lost)
    tail = bytearray(data[end:])
    struct.pack_into("<HHII", tail, 8, count - 1, count - 1, len(kept), begin)
    return data[:begin] + kept + bytes(tail)


class Unseekable(io.BytesIO):
    """What a zip is written to as a stream: sizes stand behind each member."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation

    tell = seek


def streamed_zip(*given: str) -> bytes:
    target = Unseekable()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in given:
            archive.writestr(name, name.encode() * 100)
    return target.getvalue()


def patched(data: bytes, old: bytes, new: bytes, count: int = -1) -> bytes:
    assert old in data
    return data.replace(old, new, count)


def zip_field(data: bytes, offset: int, form: str, value: int) -> bytes:
    """A zip with one field of the first entry of its directory changed."""
    at = data.find(b"PK\x01\x02") + offset
    changed = bytearray(data)
    struct.pack_into(form, changed, at, value)
    return bytes(changed)


def tar_field(data: bytes, at: int, value: bytes) -> bytes:
    """A tar with a field of its first header changed and the header's checksum fixed."""
    header = bytearray(data[:512])
    header[at : at + len(value)] = value
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + data[512:]


def pax_with(records: bytes, claimed: int | None = None) -> bytes:
    """A tar whose first member is an extended header of the given records."""
    body = records + bytes(-len(records) % 512)
    head = tarfile.TarInfo("pax")
    head.type, head.size = tarfile.XHDTYPE, len(records) if claimed is None else claimed
    return head.tobuf(tarfile.USTAR_FORMAT) + body + names("a.png")


def record(key: str, value: bytes) -> bytes:
    rest = b" " + key.encode() + b"=" + value + b"\n"
    size = len(rest)
    while len(str(size)) + len(rest) != size:
        size = len(str(size)) + len(rest)
    return str(size).encode() + rest


def negative_size() -> bytes:
    """A size of -512 in base 256: a reader that trusts it loops forever."""
    return tar_field(names("a.png"), 124, b"\xff" * 10 + b"\xfe\x00")


def long_chain(count: int) -> bytes:
    """Long-name headers, each followed by another."""
    head = tarfile.TarInfo("././@LongLink")
    head.type, head.size = tarfile.GNUTYPE_LONGNAME, 1
    return (head.tobuf(tarfile.GNU_FORMAT) + b"a" + bytes(511)) * count + names("a.png")


def overlapping_zip() -> bytes:
    """Two entries of the directory that share the bytes of one member."""
    data = zip_of([("a.png", b"0" * 5000), ("b.png", b"0" * 5000)])
    second = data.find(b"PK\x01\x02", data.find(b"PK\x01\x02") + 1)
    changed = bytearray(data)
    struct.pack_into("<I", changed, second + 42, 0)
    return bytes(changed)
