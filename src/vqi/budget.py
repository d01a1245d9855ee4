"""A budget of memory that threads share, so that what they hold at once fits the memory that is granted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition


class MemoryBudget:
    """Bytes that threads may hold at once. What is larger than all of it is held alone: nobody waits for ever."""

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
