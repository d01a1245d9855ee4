"""Every request is counted and logged when it has ended, however it ended."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from vqi.models.result import Result
from vqi.serving.asgi import App, Message, Receive, Scope, Send
from vqi.serving.logs import LONGEST, Log, RequestLine
from vqi.serving.metrics import Metrics
from vqi.serving.refusals import RefusedError

_FACTS = "vqi.facts"
# Asked for every few seconds by whoever watches the service: counted, but logged only where something is wrong.
PROBES = ("/healthz", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready")
_FAILED = 500


@dataclass
class Facts:
    """What is known of a request at its end."""

    bytes: int = 0
    model: str = ""
    results: Sequence[Result] = ()
    refusal: RefusedError | None = None


def facts_in(scope: Scope) -> Facts:
    """Those of a request, to be filled in."""
    facts: Facts = scope[_FACTS]
    return facts


class Accounting:
    """An ASGI application around another one."""

    def __init__(self, app: App, metrics: Metrics, log: Log) -> None:
        self._app, self._metrics, self._log = app, metrics, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ``asgi.App``."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        facts = scope[_FACTS] = Facts()
        began, status = time.perf_counter(), _FAILED

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            self._account(scope, facts, status, time.perf_counter() - began)

    def _account(self, scope: Scope, facts: Facts, status: int, seconds: float) -> None:
        path: str = scope["path"]
        self._metrics.request(_endpoint(path), status, seconds)
        if facts.refusal is not None:
            self._metrics.refused(facts.refusal.reason)
        for result in facts.results:
            self._metrics.scored(facts.model, result)
        if path not in PROBES or status >= _FAILED:
            self._log(_line(scope, facts, status, seconds))


def _line(scope: Scope, facts: Facts, status: int, seconds: float) -> RequestLine:
    client, refusal, found = scope.get("client"), facts.refusal, facts.results
    line = RequestLine(
        client=client[0] if client else "",
        method=scope["method"],
        path=scope["path"][:LONGEST],
        status=status,
        seconds=round(seconds, 6),
        bytes=facts.bytes or None,
        reason=refusal.reason if refusal else None,
        error=refusal.text if refusal else None,
        model=facts.model or None,
    )
    if not found:
        return line
    flagged = sum(one.flagged for one in found)
    said: dict[str, float] = {"version": found[0].version, "photographs": len(found), "flagged": flagged}
    if len(found) == 1:
        said |= {"score": found[0].score, "p_value": found[0].p_value}
    return line.model_copy(update=said | {"threshold": found[0].threshold})


def _endpoint(path: str) -> str:
    """A word for a path; of a bounded number."""
    if path in ("/score", "/verdicts"):
        return path.removeprefix("/")
    if path.startswith("/v2/models/") and path.endswith("/infer"):
        return "infer"
    return "probe" if path in PROBES else "other"
