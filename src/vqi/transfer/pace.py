"""The body of an answer as it comes: it has an end, and comes faster than letter by letter."""

from __future__ import annotations

import time
from collections.abc import Iterator

import requests
import urllib3

from vqi.errors import VqiError
from vqi.redaction import shown

PIECE = 1 << 19  # bytes read at a time: they are still in the processor's cache when they are hashed and written
LARGEST = 1 << 40  # bytes of a file: a server that does not say a size may have no end
WINDOW, WINDOW_BYTES = 300.0, 300 * 1024  # seconds, and the bytes that must come in them: slower is not going on


def pieces_of(response: requests.Response, start: int) -> Iterator[bytes]:
    """The body of an answer that was asked for with ``stream``, which begins at the byte ``start`` of its file.

    Raises:
        TimeoutError: Of urllib3: it comes too slowly.
        VqiError: The file is too large.
    """
    size, until, needed = start, time.monotonic() + WINDOW, start + WINDOW_BYTES
    while piece := response.raw.read1(PIECE, decode_content=False):
        size += len(piece)
        if size > LARGEST:
            raise VqiError(f"cannot fetch {shown(response.url)}: it has more than {LARGEST} bytes: name another url")
        yield piece
        if time.monotonic() > until:
            if size < needed:
                slow = f"it comes too slowly, fewer than {WINDOW_BYTES} bytes in {WINDOW:g} seconds"
                raise urllib3.exceptions.TimeoutError(slow)
            until, needed = time.monotonic() + WINDOW, size + WINDOW_BYTES
