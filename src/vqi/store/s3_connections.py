"""Connections to S3 servers and to what gives their keys, bounded in time and in bytes whatever the other side does.

The client reads the whole of an answer: it must be small, and it must come. A server that sends a byte now and then,
a body without an end, one that is busy for ever: each ends with an error. Bodies of objects come another way.
"""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any, NamedTuple

import urllib3
from requests.utils import get_auth_from_url, get_environ_proxies, select_proxy
from urllib3.exceptions import HTTPError, NewConnectionError

from vqi.errors import VqiError
from vqi.redaction import shown
from vqi.store.s3_errors import NotS3Error
from vqi.transfer.timely import POOLS

CONNECTIONS = 16  # kept open, for many small objects at a time
RETRIES, FIRST_WAIT = 4, 0.25  # seconds, doubled from one attempt to the next
BUSY = (500, 502, 503, 504)
ANSWER_BYTES = 16 << 20  # of the largest answer that is not an object: a page of a listing has a tenth of it
READ_AT_A_TIME = 1 << 16  # bytes
SENT_TWICE = ("HEAD", "GET", "PUT", "DELETE")  # doing it again changes nothing


class Patience(NamedTuple):
    """How long to wait, in seconds."""

    connect: float = 5.0
    silence: float = 30.0  # between two pieces of an answer
    answer: float = 300.0  # for the body of an answer
    attempts: float = 60.0  # after which nothing is tried once more


STORE = Patience()
METADATA = Patience(connect=1.0, silence=2.0, answer=5.0, attempts=2.0)  # of a virtual machine: near, or not there


def connections(address: str, authorities: Path, patience: Patience) -> urllib3.PoolManager:
    """Connections to a server, through the environment's proxy where there is one; without an address, through none.

    Raises:
        VqiError: The proxy cannot be one.
    """
    settings: dict[str, Any] = {
        "maxsize": CONNECTIONS,
        "timeout": urllib3.Timeout(connect=patience.connect, read=patience.silence),
        "cert_reqs": "CERT_REQUIRED",
        "ca_certs": str(authorities),
    }
    proxy = proxy_of(address) if address else ""
    if not proxy:
        return _Bounded(patience, **settings)
    login = ":".join(get_auth_from_url(proxy))
    headers = urllib3.make_headers(proxy_basic_auth=login) if login != ":" else None
    try:
        return _ThroughProxy(patience, proxy_url=proxy, proxy_headers=headers, **settings)
    except (HTTPError, ValueError) as error:
        raise VqiError(f"the object store cannot be reached through the proxy '{shown(proxy)}': {error}") from error


def proxy_of(address: str) -> str:
    """The proxy through which the environment sends requests to a server; '' for none."""
    proxy = select_proxy(address, get_environ_proxies(address)) or ""
    return proxy if "://" in proxy or not proxy else f"http://{proxy}"


class _Bounded(urllib3.PoolManager):
    """Asks again a few times, follows no redirection, and reads answers within their bounds."""

    def __init__(self, patience: Patience, **settings: Any) -> None:
        super().__init__(**settings)
        self._patience = patience
        self.pool_classes_by_scheme = POOLS

    def urlopen(  # type: ignore[override]
        self, method: str, url: str, redirect: bool = False, preload_content: bool = True, **more: Any
    ) -> urllib3.BaseHTTPResponse:
        """See ``PoolManager.urlopen``."""
        until = time.monotonic() + self._patience.attempts
        for attempt in range(RETRIES + 1):
            last = attempt == RETRIES or time.monotonic() > until
            try:
                answer = super().urlopen(method, url, redirect=False, retries=False, preload_content=False, **more)
                if preload_content or answer.status >= 300:
                    answer = self._whole(answer, method)
                if last or answer.status not in BUSY or method not in SENT_TWICE:
                    return answer
            except HTTPError as error:
                if last or not (method in SENT_TWICE or isinstance(error, NewConnectionError)):
                    raise
            time.sleep(FIRST_WAIT * 2**attempt)
        raise AssertionError("the last attempt returns or raises")

    def _whole(self, answer: urllib3.BaseHTTPResponse, method: str) -> urllib3.HTTPResponse:
        """The answer with its body read."""
        until = time.monotonic() + self._patience.answer
        body = bytearray()
        try:
            while piece := answer.read1(READ_AT_A_TIME):
                body += piece
                if len(body) > ANSWER_BYTES:
                    raise NotS3Error(f"an answer of more than {ANSWER_BYTES} bytes")
                if time.monotonic() > until:
                    raise urllib3.exceptions.TimeoutError(f"its answer took more than {self._patience.answer} seconds")
        except BaseException:
            answer.close()
            raise
        answer.release_conn()
        if b"<!ENTITY" in body:
            raise NotS3Error("XML that defines its own entities")
        return urllib3.HTTPResponse(
            io.BytesIO(body), answer.headers, answer.status, reason=answer.reason, request_method=method,
            decode_content=False, enforce_content_length=False,
        )  # fmt: skip


class _ThroughProxy(_Bounded, urllib3.ProxyManager):
    """The same through a proxy."""
