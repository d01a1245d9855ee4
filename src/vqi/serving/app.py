"""The application: routes, what is around them, and what a refusal looks like."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from vqi import __version__
from vqi.serving import health, page, scoring, verdicts
from vqi.serving.accounting import Accounting, facts_in
from vqi.serving.guard import Guard
from vqi.serving.inference import endpoints
from vqi.serving.keeping import Keeping
from vqi.serving.limits import Limits
from vqi.serving.logs import Log, to_standard_output
from vqi.serving.models import Models
from vqi.serving.refusals import RefusedError
from vqi.serving.service import Service
from vqi.sinks.outbox import Outbox


def create_app(
    models: Models,
    limits: Limits | None = None,
    *,
    token: str = "",
    reload: float = 0,
    log: Log | None = None,
    keeping: Keeping | None = None,
    outbox: Outbox | None = None,
) -> FastAPI:
    """An ASGI application that scores photographs with models.

    Args:
        models: That are served.
        limits: What is beyond is refused.
        token: Without it in a request it is refused; '' for none.
        reload: Seconds between two looks for new versions; 0 for none.
        log: What writes lines; standard output by default.
        keeping: Where verdicts are kept; None where none are.
        outbox: What sends rows on; None for nothing.
    """
    service = Service(models, limits or Limits(), log or to_standard_output(), keeping, outbox)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(service.reload(reload)) if reload else None
        service.ready = True
        try:
            yield
        finally:
            service.ready = False
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            service.close()

    app = FastAPI(
        title="vqi", version=__version__, description="Visual quality inspection: photographs in, verdicts out.",
        lifespan=lifespan, docs_url=None, redoc_url=None, redirect_slashes=False,
    )  # fmt: skip
    app.state.service = service
    for routes in (scoring.routes, verdicts.routes, endpoints.routes, health.routes):
        app.include_router(routes(service))
    app.include_router(page.routes())
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    for status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        app.add_exception_handler(status, partial(_unknown, status=status))
    app.add_exception_handler(Exception, _failed)
    if token:
        app.add_middleware(Guard, token=token)
    app.add_middleware(Accounting, metrics=service.metrics, log=service.log)
    return app


def _problem(request: Request, refusal: RefusedError) -> JSONResponse:
    facts_in(request.scope).refusal = refusal
    return JSONResponse({"error": refusal.text}, refusal.status, refusal.headers)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    return _problem(request, cast(RefusedError, error))


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """A query that does not fit."""
    first: dict[str, Any] = cast(RequestValidationError, error).errors()[0]
    return _problem(request, RefusedError(400, "request", f"{first['loc'][-1]}: {first['msg']}"))


async def _unknown(request: Request, error: Exception, *, status: HTTPStatus) -> JSONResponse:
    """An address or a method that is not served."""
    text = f"{status.phrase}: {request.method} {request.url.path[:80]}: GET /openapi.json says what is served"
    return _problem(request, RefusedError(status, "address", text, getattr(error, "headers", None)))


async def _failed(request: Request, error: Exception) -> JSONResponse:
    """A defect; the server logs where."""
    return JSONResponse({"error": "an error of the service: its log says where"}, 500)
