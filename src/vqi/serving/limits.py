"""How much the service takes, and how long it waits."""

from __future__ import annotations

from dataclasses import dataclass

MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What is beyond is refused, and named in the refusal."""

    body: int = 32 * MEBIBYTE  # bytes of one request
    bodies: int = 256 * MEBIBYTE  # of all that are read or wait at a time
    queue: int = 32  # requests that are scored or wait for it
    seconds: float = 30.0  # for a client to send a request, and to read its answer
