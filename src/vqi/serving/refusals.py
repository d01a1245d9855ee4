"""A request that is not answered as it was asked."""

from __future__ import annotations

from typing import Any, Literal

from vqi.errors import printable
from vqi.records import Record

# A word for the metrics and the log. Their number is bounded, unlike that of the texts.
Reason = Literal[
    "address", "body", "busy", "encoding", "model", "pixels", "request", "scoring", "size", "slow", "store", "token",
    "unreadable", "verdict",
]  # fmt: skip


class Problem(Record):
    """The body of every refusal."""

    error: str


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How an endpoint that asks for the token describes what it refuses, as FastAPI takes it."""
    # without a 422 or a 4XX FastAPI describes a 422 of its own, which is never sent
    named: tuple[int | str, ...] = (401, *statuses) if 422 in statuses else (401, "4XX", *statuses)
    return {status: {"model": Problem} for status in named}


class RefusedError(Exception):
    """What the client is told: a status of HTTP, and why, in one line.

    Args:
        status: Of HTTP.
        reason: A word for it.
        text: What was expected, what was got, and what to do.
        headers: Of the response.
    """

    def __init__(self, status: int, reason: Reason, text: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(text)
        self.status, self.reason, self.text, self.headers = status, reason, printable(text), headers or {}


# The rest of the body is not read, so that nothing that comes after it on the connection could be understood.
CLOSE = {"connection": "close"}
