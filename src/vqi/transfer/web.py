"""How http(s):// servers are asked: logins, tokens, and what their refusals mean.

requests knows the proxy variables, ``.netrc`` and ``REQUESTS_CA_BUNDLE``. ``VQI_HTTP_TOKENS`` has bearer tokens, as
``host=token`` separated by spaces: each goes to its host only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import requests
from requests.adapters import HTTPAdapter

from vqi.errors import VqiError
from vqi.redaction import shown
from vqi.transfer.timely import POOLS

TOKENS = "VQI_HTTP_TOKENS"
TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two pieces of an answer
LONGEST_ASKED = 300.0  # seconds that a server may ask for with Retry-After
ABSENT = (404, 410)
BUSY = (408, 425, 429, 500, 502, 503, 504)

ADVICE = {
    401: "it wants a login: put it into ~/.netrc, or a token into VQI_HTTP_TOKENS as host=token",
    403: "access is denied: accept the terms at its site, put a login into ~/.netrc, or name another url",
    404: "there is nothing at this address any more: find the new one and set 'url'",
    407: "the proxy wants a login: put it into https_proxy",
    410: "it was removed: find the new address and set 'url'",
}


def session(authorities: Path | None = None) -> requests.Session:
    """What asks servers, over connections that stay open.

    Args:
        authorities: A file of the certificate authorities that are trusted; else those of the environment are.
    """
    made = requests.Session()
    made.verify = str(authorities) if authorities else True
    for scheme in ("http://", "https://"):
        made.mount(scheme, _TimelyAdapter())
    return made


class _TimelyAdapter(HTTPAdapter):
    """Connections whose answers begin in time."""

    def init_poolmanager(self, *args: Any, **settings: Any) -> None:
        """See ``HTTPAdapter.init_poolmanager``."""
        super().init_poolmanager(*args, **settings)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, *args: Any, **settings: Any) -> Any:
        """See ``HTTPAdapter.proxy_manager_for``."""
        manager = super().proxy_manager_for(*args, **settings)
        manager.pool_classes_by_scheme = POOLS
        return manager


def get(session: requests.Session, url: str, headers: Mapping[str, str]) -> requests.Response:
    """Ask for a file; the body of the answer is still to be read.

    Raises:
        VqiError: it is not the address of a web server.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise VqiError(f"cannot fetch '{shown(url)}': expected an address like https://host/path")
    # the bytes of the file are wanted, not compressed ones: ranges and digests count those
    asked = {**headers, "Accept-Encoding": "identity"}
    # as an argument: the environment's certificates would override those of the session
    verify = None if session.verify is True else session.verify
    return session.get(url, headers=asked, auth=bearer_of(parts), stream=True, timeout=TIMEOUT, verify=verify)


def bearer_of(parts: SplitResult) -> requests.auth.AuthBase | None:
    """The bearer token for the host of an address, from ``VQI_HTTP_TOKENS``; None for none."""
    tokens = dict(pair.partition("=")[::2] for pair in os.environ.get(TOKENS, "").split())
    token = tokens.get(parts.netloc.rpartition("@")[2]) or tokens.get(parts.hostname or "")
    return _Bearer(token) if token else None


def refusal(status: int) -> str:
    """What to do about an answer that has no file."""
    return ADVICE.get(status, "name another url")


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds from Retry-After; dates, which servers rarely send, count as none."""
    text = headers.get("Retry-After", "")
    return min(float(text), LONGEST_ASKED) if text.isdecimal() else 0.0


def network_reason(error: Exception) -> str:
    """Why a request failed, in one line without the addresses of Python objects, and of urls, which may be signed."""
    noise = r"<[^>]*>(: )?|\w+\(host='[^']*', port=\d+\)(: )?|with url: \S+ ?|https?://\S+"
    plain = re.sub(noise, "", " ".join(str(error).split()))
    return plain[:200] or type(error).__name__


class _Bearer(requests.auth.AuthBase):
    """A bearer token. requests leaves it out where a redirection leads to another host."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request
