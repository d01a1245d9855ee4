"""A budget of memory that threads share, so that what they hold together fits the memory that is granted."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

_M_MMAP_THRESHOLD = -3  # <malloc.h> of glibc
LARGE = 1 << 20  # bytes


def give_back_large_blocks() -> None:
    """Return large blocks that this process frees to the system immediately.

    Otherwise glibc keeps them for the thread that freed them: eight threads that decoded a photograph of 200 MB each,
    one after the other, held 1.6 GB at the end, and 0.3 GB this way. Other C libraries have no such setting, and no
    such need.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_M_MMAP_THRESHOLD, LARGE)


class MemoryBudget:
    """Bytes that threads may hold at the same time. More than all of it is held alone: no thread waits forever."""

    def __init__(self, size: int) -> None:
        self._size, self._held = size, 0
        self._changed = Condition()

    @contextmanager
    def hold(self, amount: int) -> Iterator[None]:
        """Hold ``amount`` bytes, once the others leave room for them."""
        with self._changed:
            self._changed.wait_for(lambda: self._held == 0 or self._held + amount <= self._size)
            self._held += amount
        try:
            yield
        finally:
            with self._changed:
                self._held -= amount
                self._changed.notify_all()
