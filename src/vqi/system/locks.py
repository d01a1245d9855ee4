"""Locks that the kernel drops with the process that holds them, however it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def held_file(path: Path) -> Iterator[None]:
    """Hold a file, which is made if it does not exist.

    Raises:
        OSError: it cannot be opened.
    """
    with _held(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), fcntl.LOCK_EX):
        yield


@contextmanager
def held_folder(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a folder that exists.

    Raises:
        BlockingIOError: another process holds it, and ``wait`` is false.
        OSError: it is not a folder, or cannot be opened.
    """
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    with _held(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB)):
        yield


@contextmanager
def _held(handle: int, how: int) -> Iterator[None]:
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)
