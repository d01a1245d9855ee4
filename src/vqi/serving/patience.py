"""uvicorn's protocol for clients that do not send, or do not read, and for those that are served when it ends.

uvicorn ends a connection only between two requests: a client that sends one byte of a header now and then, or never
reads its answer, would have it for ever. For the body there is ``bodies``, which can still answer.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

_GRACE = 0.5  # seconds for a request that is on its way when the service ends


class Patient(H11Protocol):
    """See above; ``patient`` sets how long."""

    seconds = 30.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._header: asyncio.TimerHandle | None = None  # runs while a header is awaited
        self._reader: asyncio.TimerHandle | None = None  # runs while the client does not read
        self._ends = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See ``asyncio.Protocol``."""
        super().connection_made(transport)
        self._header = self.loop.call_later(self.seconds, transport.abort)

    def data_received(self, data: bytes) -> None:
        """See ``asyncio.Protocol``."""
        super().data_received(data)
        if self._is_busy:
            self._header = _stopped(self._header)
            if self._ends:
                self.cycle.keep_alive = False
        elif self._header is None:
            self._header = self.loop.call_later(self.seconds, self.transport.abort)

    def on_response_complete(self) -> None:
        """See ``H11Protocol``. The beginning of a next header may have come already."""
        super().on_response_complete()
        if not self._is_busy and self.conn.trailing_data[0] and self._header is None:
            self._header = self.loop.call_later(self.seconds, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """See ``asyncio.Protocol``."""
        self._header, self._reader = _stopped(self._header), _stopped(self._reader)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """See ``asyncio.Protocol``."""
        super().pause_writing()
        self._reader = self.loop.call_later(self.seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """See ``asyncio.Protocol``."""
        self._reader = _stopped(self._reader)
        super().resume_writing()

    def shutdown(self) -> None:
        """Called when the service ends. A request whose header is there is read to its end and answered."""
        self._ends = True
        if self._is_busy:
            self.cycle.keep_alive = False
        else:
            self.loop.call_later(_GRACE, self._end_if_idle)

    @property
    def _is_busy(self) -> bool:
        """Whether a request is being read or answered. uvicorn says that no cycle is there before the first one."""
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete

    def _end_if_idle(self) -> None:
        if not self._is_busy and not self.transport.is_closing():
            super().shutdown()


def _stopped(timer: asyncio.TimerHandle | None) -> asyncio.TimerHandle | None:
    if timer is not None:
        timer.cancel()
    return None


def patient(seconds: float) -> type[Patient]:
    """The protocol that waits so long for a client."""

    class Waiting(Patient):
        pass

    Waiting.seconds = seconds
    return Waiting
