"""Many small transfers at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from vqi.progress import track

AT_ONCE = 16
BUDGET = (
    16 << 20
)  # bytes under way at once: what a killed process may have to fetch again; one larger object goes alone

Item = TypeVar("Item")
Result = TypeVar("Result")


def at_once(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    what: str,
    size: Callable[[Item], int] | None = None,
) -> list[Result]:
    """What ``work`` gives for each item, in their order, several at a time; the first error ends it.

    Args:
        what: the name of the progress.
        size: bytes that an item brings; where it is given, no more than ``BUDGET`` are under way.
    """
    budget = _Budget(BUDGET)

    def one(item: Item) -> Result:
        with budget.taking(size(item) if size else 0):
            return work(item)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            return list(track(pool.map(one, items), len(items), what))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class _Budget:
    """Lets work begin while what is under way stays within a number of bytes."""

    def __init__(self, total: int) -> None:
        self._total, self._taken = total, 0
        self._changed = threading.Condition()

    @contextmanager
    def taking(self, size: int) -> Iterator[None]:
        size = min(size, self._total)  # a larger one waits until it is alone
        with self._changed:
            self._changed.wait_for(lambda: self._taken + size <= self._total)
            self._taken += size
        try:
            yield
        finally:
            with self._changed:
                self._taken -= size
                self._changed.notify_all()
