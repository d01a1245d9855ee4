"""Accepted requests wait here for a thread; what is beyond a bound is refused, so that those that wait are answered."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from vqi.serving.refusals import RefusedError

Value = TypeVar("Value")

# One decodes a photograph, or draws a picture, while the network computes another one's features with all cores.
THREADS = 2
_WEIGHT = 0.1  # of the newest in the running mean of how long one takes
_LONGEST = 60  # seconds that a client is asked to wait


class Line:
    """To be used by one event loop.

    Args:
        most: Requests that are worked on or wait.
    """

    def __init__(self, most: int) -> None:
        self.most, self.depth = most, 0
        self._threads = ThreadPoolExecutor(THREADS, "scoring")
        self._mean = 0.0  # seconds of one

    async def run(self, work: Callable[[], Value]) -> Value:
        """What ``work`` returns, from a thread.

        Raises:
            RefusedError: Too many wait already; 503 with the time after which to try again.
        """
        if self.depth >= self.most:
            raise RefusedError(
                503, "busy", f"busy: {self.depth} photographs wait already: try again", {"retry-after": str(self.wait)}
            )
        self.depth += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._timed, work)
        finally:
            self.depth -= 1

    @property
    def wait(self) -> int:
        """Whole seconds until there is probably room again."""
        return min(max(1, math.ceil(self.depth * self._mean / THREADS)), _LONGEST)

    def close(self) -> None:
        """End the threads, after what they do."""
        self._threads.shutdown()

    def _timed(self, work: Callable[[], Value]) -> Value:
        began = time.perf_counter()
        try:
            return work()
        finally:
            took = time.perf_counter() - began
            self._mean += (took - self._mean) * (_WEIGHT if self._mean else 1)
