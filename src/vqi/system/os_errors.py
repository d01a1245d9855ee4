"""What to do about an error of the operating system: the one table, and the one way to say it."""

from __future__ import annotations

import errno
import os

_ROOM = "free some space or choose another folder"
_FOLDER = "there is a file where a folder is needed: choose another folder"
_RIGHT = "choose a folder that this user can use, or ask for the right"
ADVICE = {
    errno.ENOSPC: f"the disk is full: {_ROOM}",
    errno.EDQUOT: f"the quota of the disk is used up: {_ROOM}",
    errno.EROFS: "the disk is read-only: choose a folder that can be written",
    errno.EACCES: _RIGHT,
    errno.EPERM: _RIGHT,
    errno.ENOENT: "there is nothing of that name: check it",
    errno.ENOTDIR: _FOLDER,
    errno.EEXIST: _FOLDER,
    errno.EISDIR: "there is a folder where a file is needed: choose another name",
    errno.ENAMETOOLONG: "use a shorter name",
    errno.ENXIO: "name a file",
    errno.EFBIG: "the disk, or 'ulimit -f', takes no file of that size: choose another folder",
    errno.EMFILE: "raise the limit of open files ('ulimit -n')",
    errno.EIO: "check the disk",
}


def is_known(error: OSError) -> bool:
    """Whether it is something that a user can do something about."""
    return error.errno in ADVICE


def explain(error: OSError, place: object = "") -> str:
    """``<file>: <what the system says>: <what to do>``.

    Args:
        error: It usually names the file itself.
        place: What is named where it does not; nothing when empty.
    """
    said = error.strerror or (os.strerror(error.errno) if error.errno else str(error))
    parts = (error.filename or place, said, ADVICE.get(error.errno or 0, ""))
    return ": ".join(str(part) for part in parts if part)


def reason(error: Exception) -> str:
    """Why something cannot be read, for a message that names the file itself: no file, no number, what to do."""
    if not isinstance(error, OSError):
        return " ".join(str(error).split())
    said = error.strerror or str(error)
    return ": ".join(part for part in (said, ADVICE.get(error.errno or 0, "")) if part)
