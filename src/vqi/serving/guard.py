"""With a token, only who sends it is served: ``Authorization: Bearer TOKEN``."""

from __future__ import annotations

import hmac

from fastapi.responses import JSONResponse

from vqi.errors import VqiError
from vqi.serving.accounting import facts_in
from vqi.serving.asgi import App, Receive, Scope, Send
from vqi.serving.refusals import CLOSE, RefusedError

# The probes of a cluster send none, and the page is needed to type it. Without one they say nothing of the models.
OPEN = ("/", "/page.css", "/page.js", "/icon.svg", "/healthz", "/readyz", "/v2/health/live", "/v2/health/ready")
_ADMITTED = "vqi.admitted"
_LEAST = 16  # characters
_EXPECTED = "expected the header 'Authorization: Bearer TOKEN' with the token of this service"


def is_admitted(scope: Scope) -> bool:
    """Whether a request has the token, or needs none."""
    return bool(scope.get(_ADMITTED, True))


class Guard:
    """An ASGI application around another one."""

    def __init__(self, app: App, token: str) -> None:
        self._app, self._token = app, token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ``asgi.App``."""
        if scope["type"] == "http":
            scope[_ADMITTED] = self._admits(scope)
            if not scope[_ADMITTED] and scope["path"] not in OPEN:
                refusal = facts_in(scope).refusal = RefusedError(401, "token", _EXPECTED)
                headers = {"www-authenticate": "Bearer", **CLOSE}
                await JSONResponse({"error": refusal.text}, refusal.status, headers)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _admits(self, scope: Scope) -> bool:
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        scheme, _, token = given.partition(b" ")
        # compared in a time that does not tell how much of it is right
        return scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(), self._token)


def check_token(token: str, place: str) -> str:
    """A token without the blanks around it.

    Raises:
        VqiError: It is too short to keep anybody out, or cannot be in a header.
    """
    token = token.strip()
    if len(token) < _LEAST or not token.isascii() or not token.isprintable() or " " in token:
        raise VqiError(f"{place}: expected a token of at least {_LEAST} letters and digits: openssl rand -hex 32")
    return token
