"""A sink that is sent each message by a POST; 2xx says that it has it."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import SplitResult, urlunsplit

import requests
from requests.auth import AuthBase, HTTPBasicAuth
from urllib3.exceptions import HTTPError

from vqi import __version__
from vqi.sinks.interface import SECONDS, Credentials, RefusedMessageError, UndeliveredError
from vqi.sinks.tls import tls_of

# The receiver read the message, and will say the same of it the next time.
_FINAL = (
    HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)  # fmt: skip
_LONGEST_ANSWER = 1 << 16  # bytes that are read of an answer; what is longer costs the connection


class Sink:
    """See ``vqi.sinks.interface.Sink``."""

    def __init__(self, address: SplitResult, credentials: Credentials) -> None:
        self._url = urlunsplit(address._replace(fragment=""))
        self._session = session = requests.Session()
        session.headers.update({"Content-Type": "application/json", "User-Agent": f"vqi/{__version__}"})
        tls_of(credentials)  # so that a file that is not there is an error at the start
        self._authority = credentials.authority or None
        if credentials.token:
            session.auth = _Bearer(credentials.token)
        elif credentials.user:
            session.auth = HTTPBasicAuth(credentials.user.encode(), credentials.password.encode())
        if credentials.certificate:
            session.cert = (credentials.certificate, credentials.key or credentials.certificate)

    def send(self, identity: str, body: bytes) -> None:
        """Hand over a message; see ``vqi.sinks.interface.Sink``. A redirection is not followed."""
        headers = {"Idempotency-Key": identity}
        try:
            with self._session.post(
                self._url, body, headers=headers, timeout=SECONDS, allow_redirects=False, stream=True,
                verify=self._authority,
            ) as answer:  # fmt: skip
                status = answer.status_code
                answer.raw.read(_LONGEST_ANSWER)
        except (OSError, requests.RequestException, HTTPError) as error:
            raise UndeliveredError(f"no answer: {_reason(error)}") from error
        if status in _FINAL:
            raise RefusedMessageError(f"it answers {status}")
        if not 200 <= status < 300:
            raise UndeliveredError(f"it answers {status}")

    def close(self) -> None:
        """See ``vqi.sinks.interface.Sink``."""
        self._session.close()


class _Bearer(AuthBase):
    """As ``auth``, because a header gives way to what a .netrc says."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _reason(error: BaseException) -> str:
    """What the system says at the bottom of an error; the errors above it quote the address with its query."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return (error.strerror or str(error)) if isinstance(error, OSError) else type(error).__name__
