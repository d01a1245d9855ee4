"""What of a file came so far: ``<name>.part``, and next to it ``<name>.json``, which says of which version it is.

The rest of another version is never appended. When all is there, the part becomes ``<name>``. Nothing waits for the
disk, which may be slower than the network: a file is used again only if its size, and the sha256 where one is known,
are what they were.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vqi.digests import CHUNK
from vqi.transfer.unpacking.spool import require_room

ROOM_EVERY = 64 << 20  # bytes of a file of unknown size, between two looks at the free space


@dataclass(frozen=True)
class Version:
    """What a server said of the file that is being fetched. Two answers with the same validator are the same file."""

    validator: str  # a strong ETag, else the date of change; '' where the server says neither
    size: int | None  # of the whole file in bytes; None where the server does not say


class Part:
    """The part of ``target`` that is on this disk. One process at a time uses it."""

    def __init__(self, target: Path, *, digest: bool) -> None:
        """``digest``: whether its sha256 will be asked for, which is then computed on the way."""
        self.target, self._digest = target, digest
        self.path = Path(f"{target}.part")
        self._note = Path(f"{target}.json")
        self._seen = _Digest()

    @property
    def size(self) -> int:
        """Bytes that came; 0 where there is no part."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def version(self) -> Version | None:
        """Of the part, or of the target as long as there is no part; None where nothing is known of it."""
        try:
            content: Any = json.loads(self._note.read_text())
            return Version(str(content["validator"]), content["size"])
        except (FileNotFoundError, ValueError, LookupError, TypeError):
            return None  # there is none, or a killed process left half of one: fetched from the beginning

    def target_is_whole(self) -> bool:
        """Whether the target is there with the size that was fetched."""
        version = self.version
        if not self.target.exists() or self.path.exists() or version is None:
            return False
        return self.target.stat().st_size == version.size

    def write(self, pieces: Iterable[bytes], start: int, version: Version) -> int:
        """Put pieces at ``start``, and give the size that the part has then.

        Raises:
            VqiError: the disk has no room.
        """
        require_room(self.path.parent, (version.size or start) - start)
        self.path.touch()  # before the note, which is the target's as long as there is no part
        self._keep(version)
        if self._digest:
            self._seen.follow(self.path, start)
        with self.path.open("r+b", buffering=0) as output:
            if output.seek(0, os.SEEK_END) > start:  # only then: ext4 flushes a file that was cut when it is closed
                output.truncate(start)
            output.seek(start)
            end = checked = start
            for piece in pieces:
                if version.size is None and end - checked >= ROOM_EVERY:
                    require_room(self.path.parent, ROOM_EVERY)
                    checked = end
                _write_all(output.fileno(), piece)
                end += len(piece)
                if self._digest:
                    self._seen.update(piece)
        return end

    def sha256(self) -> str:
        """Of the part as it is."""
        self._seen.follow(self.path, self.size)
        return self._seen.hexdigest()

    def complete(self) -> None:
        """Make the part the target."""
        version = self.version or Version("", None)
        self._keep(Version(version.validator, self.size))
        self.path.replace(self.target)

    def forget(self) -> None:
        """Remove what is there, so that it is fetched from its beginning."""
        for path in (self.path, self.target, self._note):
            path.unlink(missing_ok=True)

    def _keep(self, version: Version) -> None:
        self._note.write_text(json.dumps(version.__dict__))


class _Digest:
    """The sha256 of a file that grows."""

    def __init__(self) -> None:
        self._hash, self._bytes = hashlib.sha256(), 0

    def follow(self, path: Path, size: int) -> None:
        """Become that of the first ``size`` bytes of a file; what was not seen of them is read."""
        if self._bytes == size:
            return
        self._hash, self._bytes = hashlib.sha256(), 0
        with path.open("rb") as source:
            while self._bytes < size and (piece := source.read(min(size - self._bytes, CHUNK))):
                self.update(piece)

    def update(self, piece: bytes) -> None:
        """Include what was written."""
        self._hash.update(piece)
        self._bytes += len(piece)

    def hexdigest(self) -> str:
        """Of all that was included."""
        return self._hash.hexdigest()


def _write_all(handle: int, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(handle, view) :]
