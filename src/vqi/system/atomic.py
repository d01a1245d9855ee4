"""Files and folders that are there whole or not at all: made under a temporary name, then renamed.

The one place where this is done. What a killed process leaves has a name that ``is_temporary`` recognises. Two things
have ways of their own, because another process has to find them: the part of a file that is still being fetched
(``vqi.transfer.parts``), and scratch folders (``vqi.system.scratch``).
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TEMPORARY = ".tmp-"  # begins every temporary name; the rest is random, so that concurrent writers do not collide
_ABANDONED = 24 * 60 * 60  # seconds after which nobody writes to a temporary name any more
_NOWHERE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # of a write, which does not say to which file


def is_temporary(name: str) -> bool:
    """Whether a file name is that of something unfinished."""
    return name.startswith(TEMPORARY)


@contextmanager
def atomic_path(target: Path, mode: int | None = None) -> Iterator[Path]:
    """A free name next to ``target``: the file, folder or link that is there when the block ends without an error
    becomes ``target`` and replaces what was there; after an error nothing is left of it.

    A link at ``target`` is replaced, never followed.

    Args:
        target: Its folders are made.
        mode: Permissions of a file, whatever umask wrote it; None for what the umask leaves.

    Raises:
        OSError: It cannot be written; ``filename`` is the target's, or is below it. ``target`` is a device, a pipe or
            a socket, which is left as it is.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    _refuse_device(target)
    temporary = target.with_name(f"{TEMPORARY}{uuid.uuid4().hex}")
    try:
        yield temporary
        if mode is not None:
            temporary.chmod(mode)
        _rename(temporary, target)
    except BaseException as error:
        remove(temporary)
        if isinstance(error, OSError):
            _name_target(error, temporary, target)
        raise


def write_text(path: Path, text: str, mode: int | None = None) -> None:
    """Write a text file whole or not at all; ``mode``: see ``atomic_path``."""
    with atomic_path(path, mode) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def remove(path: Path) -> None:
    """Remove a file, a link or a whole folder, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def clear_old(folder: Path) -> None:
    """Remove what writers that were killed left in a folder, if it is older than any write takes."""
    for left in folder.glob(f"{TEMPORARY}*"):
        with suppress(OSError):  # another process removes it as well
            if left.lstat().st_mtime < time.time() - _ABANDONED:
                remove(left)


def _rename(temporary: Path, target: Path) -> None:
    """Give a finished thing its name. A folder cannot be renamed over one that has files: that is moved aside first."""
    aside = None
    if temporary.is_dir() and target.is_dir() and not (temporary.is_symlink() or target.is_symlink()):
        aside = target.rename(target.with_name(f"{TEMPORARY}{uuid.uuid4().hex}"))
    temporary.replace(target)
    if aside:
        remove(aside)


def _refuse_device(target: Path) -> None:
    """``/dev/stdout``, say: a rename would put a file in its place, for all processes of the machine."""
    try:
        kind = target.stat().st_mode
    except OSError:
        return  # nothing is there, or a link to nothing, which is replaced
    open_file = target.is_symlink() and str(target.readlink()).startswith("/proc/")
    if open_file or not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        raise OSError(errno.ENXIO, "is a device, a pipe or a socket", str(target))


def _name_target(error: OSError, temporary: Path, target: Path) -> None:
    """Let an error name what was to be written and not the temporary name."""
    if error.filename is None and error.errno in _NOWHERE:
        error.filename = str(target)
    elif isinstance(error.filename, str | os.PathLike):
        named = Path(error.filename)
        if named == temporary or temporary in named.parents:
            error.filename = str(target / named.relative_to(temporary))
            error.filename2 = None
