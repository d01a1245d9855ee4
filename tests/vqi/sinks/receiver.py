"""A webhook on loopback that does what a test says: answers, fails, hangs; it keeps what it took."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vqi.sinks.interface import Credentials
from vqi.sinks.outbox import Outbox
from vqi.sinks.registry import sink_at

WAIT = 120  # seconds; only what hangs takes so long


class Receiver(http.server.ThreadingHTTPServer):
    """``status`` is what it answers; 0 for no answer until ``released`` is set."""

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._context = context
        self.status = 200
        self.released = threading.Event()
        self.asked: list[dict[str, str]] = []  # the headers of each request
        self.taken: list[dict[str, Any]] = []
        self._news = threading.Condition()

    @property
    def url(self) -> str:
        return f"http{'s' if self._context else ''}://127.0.0.1:{self.server_address[1]}/rows"

    def get_request(self) -> tuple[Any, Any]:
        connection, address = super().get_request()
        if self._context is not None:
            connection = self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, *of: Any) -> None:
        """A handshake that fails is the client's to report."""

    def paths(self) -> list[Any]:
        """Of the messages that it has, without doubles, in their order."""
        return list({one["id"]: one["path"] for one in self.taken}.values())

    def until(self, true: Callable[[], object]) -> None:
        """Wait until something is true that a request changes."""
        with self._news:
            assert self._news.wait_for(true, WAIT)

    def note(self, headers: dict[str, str], body: bytes) -> int:
        with self._news:
            self.asked.append(headers)
            status = self.status
            if status == 200:
                self.taken.append(json.loads(body))
            self._news.notify_all()
        return status


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        """Nothing."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.server.note(dict(self.headers), body)
        if not status:
            self.server.released.wait(WAIT)
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def receiving(context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    with Receiver(context) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            thread.join()


def outbox_to(url: str, folder: Path, most: int = 1000, credentials: Credentials | None = None) -> Outbox:
    return Outbox(url, sink_at(url, credentials or Credentials()), folder, most)
