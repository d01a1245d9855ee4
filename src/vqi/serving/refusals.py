"""A request that is not answered as it was asked."""

from __future__ import annotations

from typing import Literal

from vqi.errors import printable

# A word for the metrics and the log. Their number is bounded, unlike that of the texts.
Reason = Literal[
    "address", "body", "busy", "encoding", "model", "pixels", "request", "scoring", "size", "slow", "store", "token",
    "unreadable", "verdict",
]  # fmt: skip


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
