"""vqi.system.concurrency: several at a time, in order, within a number of bytes."""

from __future__ import annotations

import threading
import time

import pytest

from vqi.system.concurrency import AT_ONCE, BUDGET, at_once, in_order


class Gauge:
    """Counts what is running; every piece of work waits until ``expected`` of them are, or no more come."""

    def __init__(self, expected: int) -> None:
        self.now = self.most = self.most_bytes = self.bytes = 0
        self.lock, self.barrier = threading.Lock(), threading.Barrier(expected)

    def work(self, size: int) -> int:
        with self.lock:
            self.now, self.bytes = self.now + 1, self.bytes + size
            self.most, self.most_bytes = max(self.most, self.now), max(self.most_bytes, self.bytes)
        self.barrier.wait(timeout=30)
        with self.lock:
            self.now, self.bytes = self.now - 1, self.bytes - size
        return size


def test_results_in_order_and_many_at_once() -> None:
    gauge = Gauge(AT_ONCE)
    items = list(range(2 * AT_ONCE))
    assert at_once(gauge.work, items, "work") == items
    assert gauge.most == AT_ONCE


def test_no_more_bytes_than_the_budget_are_under_way() -> None:
    gauge = Gauge(2)
    sizes = [BUDGET // 2] * 8
    assert at_once(gauge.work, sizes, "work", size=lambda size: size) == sizes
    assert (gauge.most, gauge.most_bytes) == (2, BUDGET)


def test_one_that_is_larger_goes_alone() -> None:
    gauge = Gauge(1)
    sizes = [1, 3 * BUDGET, 1, 2 * BUDGET]
    assert at_once(gauge.work, sizes, "work", size=lambda size: size) == sizes
    assert gauge.most_bytes <= 3 * BUDGET


def test_the_first_error_ends_it() -> None:
    done = []

    def work(item: int) -> None:
        done.append(item)
        if item == 0:
            raise ValueError("no")
        time.sleep(0.001)  # as long as a transfer: all of them would take longer than the error

    with pytest.raises(ValueError, match="no"):
        at_once(work, range(10_000), "work")
    assert len(done) < 10_000


def test_in_order_keeps_the_order_and_raises_what_was_raised() -> None:
    assert list(in_order(range(50), lambda n: n * n, threads=3)) == [n * n for n in range(50)]
    with pytest.raises(ZeroDivisionError):
        list(in_order([1, 0], lambda n: 1 // n, threads=2))
