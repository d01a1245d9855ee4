"""Many small transfers at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from vqi.progress import track
from vqi.system.memory import MemoryBudget

AT_ONCE = 16
BUDGET = (
    16 << 20
)  # bytes under way at a time: what a killed process may have to fetch again; one larger object goes alone

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
    budget = MemoryBudget(BUDGET)

    def one(item: Item) -> Result:
        with budget.hold(size(item) if size else 0):
            return work(item)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            return list(track(pool.map(one, items), len(items), what))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
