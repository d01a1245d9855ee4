"""A server of files on loopback, as simple as possible: Range, If-Range and ETag; it counts what it sends.

``python -m tests.file_server FOLDER`` serves in a process of its own and prints its address.
"""

from __future__ import annotations

import http.server
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

AT_A_TIME = 1 << 20  # bytes that are sent before they are counted


class FileServer(http.server.ThreadingHTTPServer):
    """Serves the files of a folder; ``sent`` counts the bytes of their content."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder, self.sent, self._lock = folder, 0, threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def count(self, sent: int) -> None:
        with self._lock:
            self.sent += sent


class _Handler(http.server.BaseHTTPRequestHandler):
    server: FileServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        path = self.server.folder / self.path.lstrip("/")
        if not path.is_file():
            return self.send_error(404)
        size, etag = path.stat().st_size, f'"{path.stat().st_mtime_ns:x}"'
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(found[1]) if found and self.headers.get("If-Range") in (None, etag) else 0
        if self.headers.get("If-None-Match") == etag:
            return self._head(304, 0, etag)
        if start >= size:
            return self._head(416, 0, etag, f"bytes */{size}")
        self._head(206 if start else 200, size - start, etag, f"bytes {start}-{size - 1}/{size}" if start else "")
        with path.open("rb") as source, suppress(ConnectionError):  # a client that was killed
            while start < size:
                sent = os.sendfile(self.connection.fileno(), source.fileno(), start, min(AT_A_TIME, size - start))
                self.server.count(sent)
                start += sent
        return None

    def _head(self, status: int, length: int, etag: str, content_range: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.send_header("ETag", etag)
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()


@contextmanager
def serving(folder: Path) -> Iterator[FileServer]:
    """A server in a thread of this process."""
    with FileServer(folder) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


if __name__ == "__main__":
    with FileServer(Path(sys.argv[1])) as alone:
        print(alone.url, flush=True)
        alone.serve_forever()
