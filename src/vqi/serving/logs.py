"""One line of JSON for each request, and for what else happens, on standard output."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime

from pydantic import Field

from vqi.records import Record

LONGEST = 200  # characters of a path that is logged


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class RequestLine(Record):
    """A request that ended. Neither the query nor any header but the length is in it, for they may hold secrets."""

    time: str = Field(default_factory=_now)
    event: str = "request"
    client: str
    method: str
    path: str
    status: int
    seconds: float
    bytes: int | None = None  # of the body that was read
    reason: str | None = None  # a word for why it was refused
    error: str | None = None
    model: str | None = None
    version: int | None = None
    photographs: int | None = None
    flagged: int | None = None  # how many of them
    score: float | None = None  # where there is one photograph
    threshold: float | None = None
    p_value: float | None = None


class EventLine(Record):
    """Something that is no request: a model was replaced, or could not be."""

    time: str = Field(default_factory=_now)
    event: str
    model: str
    version: int
    note: str = ""


Log = Callable[[Record], None]


def to_standard_output() -> Log:
    """What writes lines there. One that cannot be written is reported by ``logging``, and the service goes on."""
    logger = logging.getLogger("vqi.serving.log")
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(logging.INFO)
    return lambda line: logger.info(line.model_dump_json(exclude_none=True))
