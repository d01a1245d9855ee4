"""The bodies of requests: each of a bounded size, all together of a bounded size, and each within a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import Request

from vqi.serving.limits import Limits
from vqi.serving.refusals import CLOSE, RefusedError

_DIGITS = 18  # of a length; Python reads no number of very many
_LINGER = 2.0  # seconds in which the rest of a refused body is thrown away, for a client that reads only after it sent


class Bodies:
    """To be used by one event loop."""

    def __init__(self, limits: Limits) -> None:
        self._limits, self._held = limits, 0

    @asynccontextmanager
    async def of(self, request: Request) -> AsyncIterator[bytes]:
        """The body of a request, which counts as held until the end of the context.

        Raises:
            RefusedError: It is too large, too slow, compressed, empty, or not all of it came.
        """
        share = _Share()
        try:
            yield await self._read(request, share)
        finally:
            self._held -= share.size

    async def _read(self, request: Request, share: _Share) -> bytes:
        self._check_coding(request)
        try:
            self._check_length(request)
            async with asyncio.timeout(self._limits.seconds):
                parts = [chunk async for chunk in self._chunks(request, share)]
        except TimeoutError:
            raise RefusedError(
                408, "slow", f"the body did not come within {self._limits.seconds:g} s: send it again", CLOSE
            ) from None
        except _TooLargeError:
            if "expect" not in request.headers:  # a client that waits for "100 Continue" has not sent anything yet
                await _throw_away(request)
            raise RefusedError(
                413, "size", f"the body is too large: at most {self._limits.body:,} bytes are taken", CLOSE
            ) from None
        if not any(parts):
            raise RefusedError(400, "body", "the body is empty: send a photograph")
        return b"".join(parts)

    def _check_coding(self, request: Request) -> None:
        coding = request.headers.get("content-encoding", "identity")
        if coding.strip().lower() != "identity":
            raise RefusedError(415, "encoding", f"content-encoding '{coding[:40]}': send the body as it is", CLOSE)

    def _check_length(self, request: Request) -> None:
        """Refuse a body that says itself that it is too large, before any of it is kept."""
        length = request.headers.get("content-length", "")
        if length.isascii() and length.isdecimal() and (len(length) > _DIGITS or int(length) > self._limits.body):
            raise _TooLargeError

    async def _chunks(self, request: Request, share: _Share) -> AsyncIterator[bytes]:
        more = True
        while more:
            message = await request.receive()
            if message["type"] == "http.disconnect":
                raise RefusedError(400, "body", "the connection ended before the body did", CLOSE)
            chunk: bytes = message.get("body", b"")
            more = message.get("more_body", False)
            share.size += len(chunk)
            self._held += len(chunk)
            if share.size > self._limits.body:
                raise _TooLargeError
            if self._held > self._limits.bodies:
                raise RefusedError(
                    503,
                    "busy",
                    "busy: too many bytes are being sent at a time: try again",
                    {"retry-after": "1", **CLOSE},
                )
            yield chunk


class _Share:
    """What one request holds of what all may."""

    def __init__(self) -> None:
        self.size = 0


class _TooLargeError(Exception):
    """A body that is."""


async def _throw_away(request: Request) -> None:
    """Read what still comes, for a while: a connection that is closed before that may lose the response."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_LINGER):
            more = True
            while more:
                message = await request.receive()
                more = message["type"] == "http.request" and message.get("more_body", False)
