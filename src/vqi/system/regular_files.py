"""Regular files, and nothing that only looks like one: to open a pipe waits for ever, a device has no end."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_regular(path: Path) -> BinaryIO:
    """A regular file, or what a link to one leads to, open for reading.

    Raises:
        OSError: It is a folder, a pipe, a socket or a device, or cannot be opened.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        kind = os.fstat(handle).st_mode
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(kind):
            raise OSError(errno.ENXIO, "is a device, a pipe or a socket", str(path))
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise
