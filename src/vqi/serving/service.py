"""What the routes share: the models, the line before them, and how a photograph's error becomes a response."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeVar

from vqi.errors import UnavailableError, VqiError
from vqi.models.result import Result
from vqi.models.rows import row_of
from vqi.photographs.unreadable import UnreadableImage
from vqi.serving.bodies import Bodies
from vqi.serving.keeping import REMEMBERED, Keeping, Recents
from vqi.serving.limits import Limits
from vqi.serving.line import Line
from vqi.serving.logs import EventLine, Log
from vqi.serving.metrics import Metrics
from vqi.serving.models import Change, Models
from vqi.serving.refusals import RefusedError
from vqi.sinks.outbox import Outbox
from vqi.verdicts.answering import NothingToTakeBackError

Value = TypeVar("Value")


class Service:
    """Models that score what is sent.

    Args:
        models: That are served.
        limits: What is beyond is refused.
        log: What writes lines.
        keeping: Where verdicts are kept; None where none are.
        outbox: What sends rows on; None for nothing.
    """

    def __init__(
        self, models: Models, limits: Limits, log: Log, keeping: Keeping | None = None, outbox: Outbox | None = None
    ) -> None:
        self.models, self.log, self.ready = models, log, False
        self.bodies, self.line = Bodies(limits), Line(limits.queue)
        self.keeping, self.recents = keeping, Recents(REMEMBERED, limits.bodies)
        self._verdicts = Line(limits.queue)  # of its own: a store that is slow holds up no photograph
        self.metrics = Metrics(lambda: self.line.depth, self.line.most)
        self._outbox = outbox
        if outbox is not None:
            self.metrics.sends(outbox)
        for one in models:
            self.metrics.serves(one.name, one.now.version)

    async def run(self, work: Callable[[], Value]) -> Value:
        """What ``work`` returns, which scores photographs, in its turn.

        Raises:
            RefusedError: There is no room, a photograph cannot be read, or the model has no score for it.
        """
        try:
            return await self.line.run(work)
        except UnreadableImage as error:
            if "max_pixels is" in error.reason:
                raise RefusedError(413, "pixels", str(error)) from error
            raise RefusedError(422, "unreadable", str(error)) from error
        except VqiError as error:  # of the model, not of the photograph
            raise RefusedError(500, "scoring", str(error)) from error

    def tell(self, model: str, results: Iterable[Result]) -> None:
        """Send what a model said on, where there is a sink. To be called in a thread: it writes to the disk."""
        if self._outbox is not None:
            for one in results:
                self._outbox.put(model, one.version, row_of(one) | {"path": None})

    async def keep(self, work: Callable[[], Value]) -> Value:
        """What ``work`` returns, which keeps a verdict, in its turn.

        Raises:
            RefusedError: There is no room, nothing to take back, or the store cannot be read or written.
        """
        try:
            return await self._verdicts.run(work)
        except NothingToTakeBackError as error:
            raise RefusedError(409, "verdict", str(error)) from error
        except UnavailableError as error:
            raise RefusedError(503, "store", str(error)) from error
        except VqiError as error:
            raise RefusedError(500, "store", str(error)) from error

    def close(self) -> None:
        """End the threads, after what they do."""
        self.line.close()
        self._verdicts.close()

    async def reload(self, seconds: float) -> None:
        """Look for new versions, for ever."""
        while True:
            await asyncio.sleep(seconds)
            await self.refresh()

    async def refresh(self) -> None:
        """Look for new versions once, in another thread."""
        for one in self.models:
            before = one.note
            change = await asyncio.to_thread(one.refresh)
            self.metrics.reloaded(one.name, change)
            if change is Change.SWAPPED:
                self.metrics.serves(one.name, one.now.version)
            if change is Change.SWAPPED or one.note != before:
                event = "model swapped" if change is Change.SWAPPED else "model kept" if one.note else "model current"
                self.log(EventLine(event=event, model=one.name, version=one.now.version, note=one.note))
