"""A budget of memory: what is held at the same time, and by whom."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, Lock

import pytest

from vqi.system.memory import MemoryBudget


@pytest.mark.parametrize(("amount", "at_once"), [(100, 1), (50, 2), (34, 2), (33, 3), (500, 1)])
def test_no_more_is_held_at_once_than_fits(amount: int, at_once: int) -> None:
    budget, lock, together = MemoryBudget(100), Lock(), Barrier(at_once)
    held, most = 0, 0

    def work(_: int) -> None:
        nonlocal held, most
        with budget.hold(amount):
            with lock:
                held += 1
                most = max(most, held)
            together.wait(30)  # as many as fit are inside at the same time
            with lock:
                held -= 1

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert most == at_once


def test_what_ends_in_an_error_is_given_back() -> None:
    budget = MemoryBudget(1)
    with pytest.raises(ValueError, match="planted"), budget.hold(1):
        raise ValueError("planted")
    entered = Event()
    with budget.hold(1):
        entered.set()
    assert entered.is_set()
