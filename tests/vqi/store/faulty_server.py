"""A small S3 server on loopback that does one thing wrong; without a fault it is right, for one bucket."""

from __future__ import annotations

import hashlib
import re
import socket
import socketserver
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

DATE = "Thu, 01 Jan 2026 00:00:00 GMT"
LARGE = 3 << 20


class Request(NamedTuple):
    """What a client asks."""

    method: str
    key: str  # '' for the bucket
    query: Mapping[str, str]
    headers: Mapping[str, str]  # in lower case
    body: bytes
    number: int  # of requests before it

    @property
    def is_listing(self) -> bool:
        return self.method == "GET" and not self.key and "location" not in self.query

    @property
    def is_get(self) -> bool:
        return self.method == "GET" and bool(self.key)

    @property
    def is_head(self) -> bool:
        return self.method == "HEAD" and bool(self.key)

    @property
    def is_put(self) -> bool:
        return self.method == "PUT" and bool(self.key)


Answer = Iterable[bytes]  # raw, from the status line on
Fault = Callable[["FaultyServer", Request], Answer | None]  # None: as it should be


def answer(status: int, body: bytes = b"", **headers: str) -> list[bytes]:
    """An HTTP answer; ``Content_Length='-'`` leaves that out."""
    named = {"Content-Length": str(len(body)), **{name.replace("_", "-"): value for name, value in headers.items()}}
    lines = [f"HTTP/1.1 {status} said", *(f"{name}: {value}" for name, value in named.items() if value != "-")]
    return ["\r\n".join([*lines, "", ""]).encode("latin-1"), body]


def xml(text: str, status: int = 200) -> list[bytes]:
    return answer(status, text.encode(), Content_Type="application/xml")


def error(status: int, code: str, message: str = "said") -> list[bytes]:
    return xml(f"<Error><Code>{code}</Code><Message>{message}</Message></Error>", status)


def etag(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def contents(key: str, data: bytes, **changed: str) -> str:
    """An object of a listing; a change to ``-`` leaves an element out."""
    fields = {
        "Key": escape(key),
        "Size": str(len(data)),
        "ETag": f'"{etag(data)}"',
        "LastModified": "2026-01-01T00:00:00.000Z",
    }
    fields |= changed
    return "<Contents>" + "".join(f"<{k}>{v}</{k}>" for k, v in fields.items() if v != "-") + "</Contents>"


def listing(inner: str, truncated: str = "false", token: str = "") -> str:
    more = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return (
        '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name>'
        f"<IsTruncated>{truncated}</IsTruncated>{more}{inner}</ListBucketResult>"
    )


class FaultyServer(socketserver.ThreadingTCPServer):
    """``objects``: key -> bytes."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, fault: Fault | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.fault, self.objects = fault, {"p/a": b"small", "p/b": bytes(range(256)) * (LARGE // 256)}
        self.number = 0
        self.parts: dict[int, bytes] = {}
        self.ended = threading.Event()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def answer_to(self, request: Request) -> Answer:
        wrong = self.fault(self, request) if self.fault else None
        return self.right(request) if wrong is None else wrong

    def right(self, request: Request) -> Answer:
        """What an S3 server answers."""
        if not request.key:
            return xml(self.listed(request)) if request.is_listing else answer(200)
        if request.method == "PUT" and "partNumber" in request.query:
            self.parts[int(request.query["partNumber"])] = request.body
            return answer(200, ETag=f'"{etag(request.body)}"')
        if request.method == "PUT":
            if request.headers.get("if-none-match") and request.key in self.objects:
                return error(412, "PreconditionFailed")
            wanted = request.headers.get("if-match")
            if wanted and wanted != f'"{etag(self.objects.get(request.key, b""))}"':
                return error(412 if request.key in self.objects else 404, "PreconditionFailed")
            self.objects[request.key] = request.body
            return answer(200, ETag=f'"{etag(request.body)}"')
        if request.method == "POST" and "uploads" in request.query:
            return xml("<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>")
        if request.method == "POST":
            self.objects[request.key] = b"".join(self.parts[number] for number in sorted(self.parts))
            return xml('<CompleteMultipartUploadResult><ETag>"e-2"</ETag></CompleteMultipartUploadResult>')
        if request.method == "DELETE":
            self.objects.pop(request.key, None)
            return answer(204)
        if request.key not in self.objects:
            return error(404, "NoSuchKey") if request.method == "GET" else answer(404)
        return self.sent(request, self.objects[request.key])

    def listed(self, request: Request) -> str:
        prefix = request.query.get("prefix", "")
        return listing("".join(contents(k, v) for k, v in sorted(self.objects.items()) if k.startswith(prefix)))

    def sent(self, request: Request, data: bytes, **changed: str) -> Answer:
        """An object, or the range that is asked for."""
        headers = {
            "ETag": f'"{etag(data)}"',
            "Last_Modified": DATE,
            "x_amz_meta_sha256": hashlib.sha256(data).hexdigest(),
        }
        wanted = request.headers.get("if-match")
        if wanted and wanted != headers["ETag"]:
            return error(412, "PreconditionFailed")
        headers |= changed
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
        if found:
            start, end = int(found[1]), min(int(found[2] or len(data)), len(data) - 1)
            headers["Content_Range"] = f"bytes {start}-{end}/{len(data)}"
            data = data[start : end + 1]
        body = b"" if request.method == "HEAD" else data
        return answer(206 if found else 200, body, **{"Content_Length": str(len(data)), **headers})

    def for_ever(self, piece: bytes, pause: float = 0.0) -> Iterator[bytes]:
        """The same again and again, until the client hangs up."""
        while not self.ended.wait(pause):
            yield piece

    def silence(self) -> Iterator[bytes]:
        self.ended.wait()
        yield b""


class _Handler(socketserver.StreamRequestHandler):
    server: FaultyServer

    def handle(self) -> None:
        with suppress(ConnectionError, ValueError):  # the client hung up, or closed an idle connection
            while self._one():
                continue

    def _one(self) -> bool:
        words = self.rfile.readline().decode("latin-1").split()
        if len(words) != 3:
            return False
        headers = {}
        while line := self.rfile.readline().decode("latin-1").strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = self.rfile.read(int(headers.get("content-length", 0)))
        url = urlsplit(words[1])
        _, _, key = unquote(url.path).lstrip("/").partition("/")
        query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        self.server.number += 1
        request = Request(words[0], key, query, headers, body, self.server.number - 1)
        ended = False
        for piece in self.server.answer_to(request):
            if piece is HANG_UP:
                ended = True
                break
            self.wfile.write(piece)
        if ended:
            self.connection.shutdown(socket.SHUT_RDWR)
        return not ended


HANG_UP = b"\0hang up"


@contextmanager
def serving(fault: Fault | None = None) -> Iterator[FaultyServer]:
    """The server, in threads of this process."""
    with FaultyServer(fault) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield server
        finally:
            server.ended.set()
            server.shutdown()
