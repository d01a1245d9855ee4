"""What of a file came so far: ``<name>.part``, and beside it ``<name>.json``, which says of which version it is.

The rest of another version is never appended. When all is there, the part becomes ``<name>`` and the note keeps its
sha256: a file in the cache that a failing disk or a power cut damaged is fetched again, not used.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vqi.digests import CHUNK, sha256_file
from vqi.unpacking.spool import require_room

AHEAD = 4  # pieces that the digest may lag behind the disk
ROOM_EVERY = 64 << 20  # bytes of a file of unknown size, between two looks at the free space


@dataclass(frozen=True)
class Version:
    """What a server said of the file that is being fetched. Two answers with the same validator are the same file."""

    validator: str  # a strong ETag, else the date of change; '' where the server says neither
    size: int | None  # of the whole file in bytes; None where the server does not say
    sha256: str = ""  # of the file, once it is complete


class Part:
    """The part of ``target`` that is on this disk. One process at a time uses it."""

    def __init__(self, target: Path) -> None:
        self.target = target
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
            return Version(str(content["validator"]), content["size"], str(content.get("sha256", "")))
        except (FileNotFoundError, ValueError, LookupError, TypeError, AttributeError):
            return None  # there is none, or a killed process left half of one: fetched from the beginning

    def target_is_whole(self) -> bool:
        """Whether the target is there and has the bytes that were fetched. One that is damaged is removed."""
        version = self.version
        if not self.target.exists() or self.path.exists() or version is None or not version.sha256:
            return False
        if sha256_file(self.target) == version.sha256:
            return True
        self.forget()
        return False

    def write(self, pieces: Iterable[bytes], start: int, version: Version) -> int:
        """Put pieces at ``start``, and give the size that the part has then.

        Raises:
            VqiError: the disk has no room.
        """
        require_room(self.path.parent, (version.size or start) - start)
        self.path.touch()  # before the note, which is the target's as long as there is no part
        self._keep(version)
        with self.path.open("r+b" if start else "wb", buffering=0) as output, self._seen.following(self.path, start):
            output.seek(start)
            output.truncate()
            end = checked = start
            for piece in pieces:
                if version.size is None and end - checked >= ROOM_EVERY:
                    require_room(self.path.parent, ROOM_EVERY)
                    checked = end
                self._seen.update(piece)
                _write_all(output.fileno(), piece)
                end += len(piece)
        return end

    def sha256(self) -> str:
        """Of the part as it is."""
        return self._seen.following(self.path, self.size).hexdigest()

    def complete(self, sha256: str) -> None:
        """Make the part the target."""
        version = self.version or Version("", None)
        self._keep(Version(version.validator, version.size, sha256))
        self.path.replace(self.target)

    def forget(self) -> None:
        """Remove what is there, so that it is fetched from its beginning."""
        for path in (self.path, self.target, self._note):
            path.unlink(missing_ok=True)

    def _keep(self, version: Version) -> None:
        self._note.write_text(json.dumps(version.__dict__))


class _Digest:
    """The sha256 of a growing file, computed by a thread beside the transfer."""

    def __init__(self) -> None:
        self._hash, self._bytes = hashlib.sha256(), 0
        self._pool: ThreadPoolExecutor | None = None
        self._waiting: deque[Future[None]] = deque()

    def following(self, path: Path, start: int) -> _Digest:
        """Go on at ``start``: what of the file was not seen is read."""
        if self._bytes != start:
            self._hash, self._bytes = hashlib.sha256(), start
            if start:
                with path.open("rb") as source:
                    left = start
                    while left and (piece := source.read(min(left, CHUNK))):
                        self._hash.update(piece)
                        left -= len(piece)
        return self

    def __enter__(self) -> _Digest:
        self._pool = ThreadPoolExecutor(1)
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool:
            self._pool.shutdown()
        self._waiting.clear()

    def update(self, piece: bytes) -> None:
        """Count a piece in, soon."""
        if self._pool is None:
            raise RuntimeError("nothing is followed")
        self._waiting.append(self._pool.submit(self._hash.update, piece))
        self._bytes += len(piece)
        if len(self._waiting) > AHEAD:
            self._waiting.popleft().result()

    def hexdigest(self) -> str:
        """Of all that was counted in before the last ``with`` block ended."""
        return self._hash.hexdigest()


def _write_all(handle: int, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(handle, view) :]
