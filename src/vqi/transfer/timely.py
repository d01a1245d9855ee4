"""Connections whose answers begin in time, or not at all.

The timeout of a socket is for one wait: a server that sends a letter now and then keeps a client for ever in the head
of an answer. Here the head has a time of its own, and what is sent goes piece by piece, each within its timeout.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

SENT_AT_A_TIME = 1 << 16  # bytes
SILENCES = 10  # times the timeout of one wait: how long the head of an answer may take


class _Timely:
    """What is added to a connection of urllib3."""

    sock: socket.socket
    timeout: float

    def send(self, data: Any) -> None:
        """Send the whole of what is given within its timeout, as a socket does, only for small pieces."""
        if not isinstance(data, bytes):
            super().send(data)  # type: ignore[misc]
            return
        view = memoryview(data)
        for start in range(0, len(view), SENT_AT_A_TIME):
            super().send(view[start : start + SENT_AT_A_TIME])  # type: ignore[misc]

    def getresponse(self) -> urllib3.HTTPResponse:
        """The answer, with its head read."""
        with _hung_up_after(SILENCES * self.timeout, self.sock):
            return super().getresponse()  # type: ignore[misc,no-any-return]


@contextmanager
def _hung_up_after(seconds: float, connection: socket.socket) -> Iterator[None]:
    timer = threading.Timer(seconds, _hang_up, (connection,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):  # it is closed already
        socket.socket.shutdown(connection, socket.SHUT_RDWR)  # also below TLS


class _HttpConnection(_Timely, HTTPConnection):  # type: ignore[misc]
    """Without TLS."""


class _HttpsConnection(_Timely, HTTPSConnection):  # type: ignore[misc]
    """With TLS."""


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _HttpConnection  # type: ignore[assignment]


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection  # type: ignore[assignment]


POOLS = {"http": _HttpPool, "https": _HttpsPool}  # for urllib3's ``PoolManager.pool_classes_by_scheme``
