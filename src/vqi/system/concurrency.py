"""Work of several threads at a time: many small transfers, or a stream without an end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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


def in_order(tasks: Iterable[Item], work: Callable[[Item], Result], threads: int) -> Iterator[Result]:
    """The results in the order of the tasks, computed by threads; only a few are under way at any time."""
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for task in tasks:
            waiting.append(pool.submit(work, task))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
