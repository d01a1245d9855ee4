"""Members of a tar file, read once from front to back; compressed ones are decompressed on the way.

``tarfile`` reads the headers and nothing else: what it may read at a time is bounded here, and it can never go back, so
that neither a header of gigabytes nor one of negative size (CVE-2025-8194) does harm. It never writes.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import BinaryIO, Protocol, cast

from backports import zstd

from vqi.transfer.unpacking.names import CHUNK, Member, Refused, Register, check_name

BLOCK = 512
HEADER_BYTES = 1 << 20  # the most that the extended headers of one member may have
DECODER_BYTES = 1 << 28  # the most memory that a compressed stream may ask for


class Readable(Protocol):
    """What gives bytes."""

    def read(self, size: int = -1, /) -> bytes: ...  # noqa: D102


@contextmanager
def members(source: BinaryIO, register: Register) -> Iterator[Iterator[Member]]:
    """The members one by one; each is checked before its bytes can be read.

    Raises:
        Refused: or what the decoders raise for a damaged file.
    """
    open_stream = decompressor(source.read(BLOCK)) or (lambda plain: plain)
    source.seek(0)
    yield _walk(Forward(open_stream(source), register))


def decompressor(head: bytes) -> Callable[[BinaryIO], Readable] | None:
    """What decompresses a file that begins with ``head``; None for none of the known."""
    known: dict[bytes, Callable[[BinaryIO], Readable]] = {
        b"\x1f\x8b": lambda source: cast(Readable, gzip.GzipFile(fileobj=source)),
        b"BZh": lambda source: cast(Readable, bz2.BZ2File(source)),
        b"\xfd7zXZ\0": Xz,
        b"\x28\xb5\x2f\xfd": open_zstandard,
    }
    return next((opener for magic, opener in known.items() if head.startswith(magic)), None)


def is_tar(head: bytes) -> bool:
    """Whether a block is the header of a tar, or its end."""
    if head == bytes(BLOCK):
        return True
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError):
        return False
    return True


def open_zstandard(source: BinaryIO) -> Readable:
    """The decompressed bytes of all frames."""
    limit = {int(zstd.DecompressionParameter.window_log_max): DECODER_BYTES.bit_length() - 1}
    return cast(Readable, zstd.ZstdFile(source, options=limit))


class Xz:
    """The decompressed bytes of all streams of an xz file, with bounded memory, unlike ``lzma.LZMAFile``."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._decoder = self._new()
        self._rest = b""

    def read(self, size: int = -1, /) -> bytes:
        """At most ``size`` bytes; none at the end.

        Raises:
            EOFError: the file is cut short.
        """
        while True:
            if self._decoder.eof and not self._next_stream():
                return b""
            if self._decoder.needs_input and not self._rest:
                self._rest = self._source.read(CHUNK)
                if not self._rest:
                    raise EOFError("the xz stream ends before its end marker")
            piece = self._decoder.decompress(self._rest, size)
            self._rest = b""
            if piece:
                return piece

    @staticmethod
    def _new() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=DECODER_BYTES)

    def _next_stream(self) -> bool:
        rest = (self._decoder.unused_data + self._source.read(CHUNK)).lstrip(b"\0")  # padding between streams
        if not rest:
            return False
        self._decoder, self._rest = self._new(), rest
        return True


class Forward(io.RawIOBase):
    """A stream as ``tarfile`` wants it: it seeks forwards only, and back within what was read last."""

    def __init__(self, stream: Readable, register: Register) -> None:
        super().__init__()
        self._stream, self.register = stream, register
        self._position = 0  # of the stream
        self._last = b""  # the last bytes read, a block at most
        self._back = 0  # how many of them are to be read again
        self._exhausted = False

    def tell(self) -> int:
        """Where the next read begins."""
        return self._position - self._back

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move on to ``offset``.

        Raises:
            Refused: it is before the current position.
        """
        if whence != io.SEEK_SET or offset < self._position - len(self._last):
            raise Refused("it is cut short or damaged (a header points backwards): fetch it again")
        if offset <= self._position:
            self._back = self._position - offset
            return offset
        self._back = 0
        while (left := offset - self._position) > 0 and self._pull(min(left, CHUNK)):
            continue
        return self._position

    def read(self, size: int = -1) -> bytes:
        """``size`` bytes, fewer at the end only.

        Raises:
            Refused: more at a time than a header may have.
        """
        if not 0 <= size <= HEADER_BYTES:
            raise Refused(f"a header has {size} bytes, at most {HEADER_BYTES} are taken")
        again = self._last[len(self._last) - self._back :][:size]
        self._back -= len(again)
        pieces, missing = [again], size - len(again)
        while missing and (piece := self._pull(missing)):
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def ended_with_zeros(self) -> bool:
        """Whether the block that was read last is the end mark of a tar."""
        return self._last == bytes(BLOCK) and not self._exhausted

    def drain(self) -> None:
        """Read to the end, which makes the decoder compare its checksum.

        Raises:
            Refused: there is more than padding.
        """
        while piece := self._pull(CHUNK):
            if piece.count(0) != len(piece):
                raise Refused("it continues after its end mark, as joined tars do: pack it again")

    def _pull(self, size: int) -> bytes:
        piece = self._stream.read(size)
        self._exhausted = not piece
        self._position += len(piece)
        self.register.check_total(self._position)
        self._last = (self._last + piece)[-BLOCK:] if len(piece) < BLOCK else piece[-BLOCK:]
        return piece


def _walk(stream: Forward) -> Iterator[Member]:
    with _errors():
        archive = tarfile.TarFile(fileobj=stream, mode="r", encoding="utf-8", errors="surrogateescape")
        while (info := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]  # tarfile keeps them all
            yield _check(stream, info)
        if not stream.ended_with_zeros():
            raise Refused("it is cut short or damaged (no end mark where a header should be): fetch it again")
        stream.drain()


def _check(stream: Forward, info: tarfile.TarInfo) -> Member:
    shown = ascii(info.name[:120])
    if info.type == tarfile.LNKTYPE and not info.size:
        name = stream.register.enter(info.name, 0, is_file=True)
        return Member(name, 0, is_file=True, same_as=check_name(info.linkname, stream.register.limits))
    if info.type in (tarfile.SYMTYPE, tarfile.FIFOTYPE):
        name = stream.register.enter(info.name, 0, is_file=True, is_link=True)
        link = f"a link to {info.linkname[:120]!a}: pack the files themselves (tar -h)"
        return Member(name, 0, is_file=False, odd=link if info.issym() else "a FIFO")
    if info.sparse is not None or not (info.isreg() or info.isdir()) or info.type == tarfile.GNUTYPE_SPARSE:
        raise Refused(f"{shown} is a device, a sparse file or the like: pack plain files only")
    if info.isdir() and info.size:
        raise Refused(f"{shown} is a folder with {info.size} bytes of its own")
    name = stream.register.enter(info.name, info.size, is_file=info.isreg())
    return Member(name, info.size, info.isreg(), partial(_pieces, stream, info))


def _pieces(stream: Forward, info: tarfile.TarInfo) -> Iterator[bytes]:
    with _errors():
        stream.seek(info.offset_data)
        left = info.size
        while left:
            piece = stream.read(min(left, HEADER_BYTES))
            if not piece:
                raise Refused(f"it is cut short or damaged (within {info.name[:120]!a}): fetch it again")
            left -= len(piece)
            yield piece


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except tarfile.TarError as error:
        raise Refused(f"it is cut short or damaged ({error}): fetch it again") from error
