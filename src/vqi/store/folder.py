"""The store on this machine: a plain folder.

The sha256 of ``a/b`` is in ``a/.sha256/b``, next to the object, so that it is found from whichever root the store is
opened. That file holds the digests of the latest versions, newest first, and is written before the object is renamed
into place: whichever version a reader or a killed writer leaves, its digest is there. An object that somebody put into
the folder by hand has none, and is read unchecked.
"""

from __future__ import annotations

import errno
import os
import shutil
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from vqi.digests import sha256_bytes, sha256_file
from vqi.errors import VqiError
from vqi.store.interface import (
    DIGESTS,
    LARGEST_IN_MEMORY,
    READABLE,
    AllUnfinished,
    ObjectInfo,
    Store,
    Tagged,
    Unfinished,
    check_key,
    check_path,
    corrupted,
)
from vqi.system.atomic import atomic_path, clear_old, is_temporary, remove
from vqi.system.files import open_regular
from vqi.system.locks import held_folder
from vqi.system.os_errors import explain

COPIED_AT_A_TIME = 1 << 20  # bytes
VERSIONS = 8  # digests kept of one key: more than can be between two renames of racing writers


class FolderStore(Store):
    """Objects as files under ``root``; see ``Store``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.uri = f"file://{root}"

    def check(self) -> None:
        """See ``Store.check``: the folder, or what it can be made in, is one that can be written to."""
        with self._errors("use", ""):
            there = next(folder for folder in (self.root, *self.root.parents) if os.path.lexists(folder))
            if not there.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(there))
            if not os.access(there, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(there))

    def put_file(self, key: str, path: Path) -> None:
        """See ``Store.put_file``."""
        self._put(key, lambda temporary: _copy(path, temporary))

    def put_bytes(self, key: str, data: bytes) -> None:
        """See ``Store.put_bytes``."""
        self._put(key, lambda temporary: temporary.write_bytes(data))

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """See ``Store.put_if_absent``."""
        target = self.root / check_key(key)
        with self._errors("write", key), _locked(target):
            self._refuse_other_spelling(target)
            if os.path.lexists(target):
                return False
            self._commit(target, lambda temporary: temporary.write_bytes(data))
            return True

    def get_tagged(self, key: str) -> Tagged | None:
        """See ``Store.get_tagged``."""
        if not self.exists(key):
            return None
        data = self.get_bytes(key)
        return Tagged(data, sha256_bytes(data))

    def replace(self, key: str, data: bytes, tag: str) -> bool:
        """See ``Store.replace``."""
        target = self.root / check_key(key)
        with self._errors("write", key), _locked(target):
            if not target.is_file() or sha256_file(target) != tag:
                return False
            self._commit(target, lambda temporary: temporary.write_bytes(data))
            return True

    def check_conditions(self, key: str) -> None:
        """See ``Store.check_conditions``: the kernel's lock is looked at by all writers of a folder."""

    def get_file(self, key: str, path: Path) -> str:
        """See ``Store.get_file``."""
        source = self._path(key)
        with self._errors("read", key), atomic_path(path, READABLE) as temporary:
            _copy(source, temporary)
            digest = sha256_file(temporary)
            self._check(source, digest)
        return digest

    def get_bytes(self, key: str) -> bytes:
        """See ``Store.get_bytes``."""
        source = self._path(key)
        with self._errors("read", key):
            with open_regular(source) as file:
                data = file.read(LARGEST_IN_MEMORY + 1)
            if len(data) > LARGEST_IN_MEMORY:
                raise OSError(errno.EFBIG, f"more than {LARGEST_IN_MEMORY} bytes are not read into memory", str(source))
            self._check(source, sha256_bytes(data))
            return data

    def exists(self, key: str) -> bool:
        """See ``Store.exists``."""
        with self._errors("look for", key):
            return self._path(key).is_file()

    def delete(self, key: str) -> None:
        """See ``Store.delete``."""
        target = self._path(key)
        with self._errors("delete", key):
            if target.is_file():
                with _locked(target):
                    target.unlink(missing_ok=True)
                    (target.parent / DIGESTS / target.name).unlink(missing_ok=True)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """See ``Store.list``."""
        folder = prefix.rpartition("/")[0]
        start = self._path(folder) if folder else self.root
        with self._errors("list", prefix):
            found = sorted(_walk(start, f"{folder}/" if folder else ""))
        return iter([info for info in found if info.key.startswith(prefix)])

    def unfinished(self) -> AllUnfinished:
        """See ``Store.unfinished``: files of temporary names."""
        with self._errors("list", ""):
            found = (Path(folder) / name for folder, _, names in os.walk(self.root) for name in names)
            return sorted(_unfinished(one, self.root) for one in found if is_temporary(one.name))

    def discard(self, left: Unfinished) -> None:
        """See ``Store.discard``."""
        with self._errors("delete", left.key):
            remove(self.root / left.key)

    def _path(self, key: str) -> Path:
        return self.root / check_path(key)

    def _put(self, key: str, write: Callable[[Path], object]) -> None:
        target = self.root / check_key(key)
        with self._errors("write", key), _locked(target):
            self._refuse_other_spelling(target)
            self._commit(target, write)

    def _refuse_other_spelling(self, target: Path) -> None:
        """On a file system that takes ``a`` and ``A`` for one name, as on a share of Windows: keys differ by them.

        Raises:
            VqiError: The file, or a folder that it is in, is there in another spelling.
        """
        if not os.path.lexists(target.parent / DIGESTS.upper()):
            return
        for path in (target, *target.parents):
            if path == self.root:
                break
            other = next((one.name for one in path.parent.iterdir() if _same_spelling(one.name, path.name)), "")
            if other:
                raise VqiError(
                    f"cannot write file://{target}: its file system takes '{path.name}' for '{other}', which is there: "
                    "rename one of them, or use a store on another file system"
                )

    def _commit(self, target: Path, write: Callable[[Path], object]) -> None:
        """Write next to ``target``, note the digest, then rename. The caller holds the lock."""
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a folder", str(target))
        with atomic_path(target, READABLE) as temporary:
            write(temporary)
            _synchronise(temporary)
            _note(target, sha256_file(temporary))

    def _check(self, source: Path, got: str) -> None:
        noted = _noted(source)
        if noted and got not in noted:
            raise corrupted(f"file://{source}", noted[0], got)

    @contextmanager
    def _errors(self, action: str, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            place = f"{self.uri}/{key}" if key else self.uri
            raise VqiError(f"cannot {action} {place}: {explain(error)}") from error


def _walk(folder: Path, prefix: str, above: tuple[str, ...] = ()) -> Iterator[ObjectInfo]:
    """Every object below ``folder``, keys starting with ``prefix``; a folder that is not there has none.

    Left out: links to a folder ``above``, links that lead nowhere, pipes, sockets and devices.
    """
    if not folder.is_dir():
        return
    here = os.path.realpath(folder)
    if here in above:
        return
    for entry in os.scandir(folder):
        if entry.name == DIGESTS or is_temporary(entry.name):
            continue
        if entry.is_dir():
            yield from _walk(Path(entry.path), f"{prefix}{entry.name}/", (*above, here))
        elif entry.is_file():
            found = entry.stat()
            yield ObjectInfo(f"{prefix}{entry.name}", found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))


def _unfinished(path: Path, root: Path) -> Unfinished:
    found = path.lstat()
    return Unfinished(str(path.relative_to(root)), "", found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))


def _same_spelling(one: str, other: str) -> bool:
    """Whether two different names are the same but for case, or for how accents are written."""
    folded = (unicodedata.normalize("NFC", name).casefold() for name in (one, other))
    return one != other and next(folded) == next(folded)


def _copy(source: Path, target: Path) -> None:
    with open_regular(source) as read, target.open("xb") as written:
        shutil.copyfileobj(read, written, COPIED_AT_A_TIME)


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    """One writer at a time in a folder."""
    folder = target.parent / DIGESTS
    folder.mkdir(parents=True, exist_ok=True)
    with held_folder(folder):
        clear_old(target.parent)
        yield


def _noted(target: Path) -> list[str]:
    """The digests noted for an object, newest first; none for an object put there by hand."""
    note = target.parent / DIGESTS / target.name
    return note.read_text("ascii", errors="replace").split() if note.is_file() else []


def _note(target: Path, digest: str) -> None:
    note = target.parent / DIGESTS / target.name
    digests = [digest, *(old for old in _noted(target) if old != digest)][:VERSIONS]
    with atomic_path(note, READABLE) as temporary:
        temporary.write_text("\n".join(digests) + "\n", "ascii")
        _synchronise(temporary)


def _synchronise(path: Path) -> None:
    """Flush the bytes to the disk before the rename: a power cut then leaves no empty file of the final name."""
    with path.open("rb") as written:
        os.fsync(written.fileno())
