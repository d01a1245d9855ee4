"""Whether the service lives, is ready, and what it counted."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from vqi.serving import metrics
from vqi.serving.guard import is_admitted
from vqi.serving.refusals import refusals
from vqi.serving.service import Service


def routes(service: Service) -> APIRouter:
    """The endpoints for who watches a service."""
    router = APIRouter(tags=["operation"])

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Whether the process responds."""
        return {"status": "ok"}

    @router.get("/readyz", responses={503: {"description": "The same, while it takes none."}})
    async def readyz(request: Request) -> JSONResponse:
        """Whether it takes photographs; which versions are served, and what is wrong although they are."""
        said: dict[str, object] = {"ready": service.ready}
        if is_admitted(request.scope):
            said["queue"] = {"depth": service.line.depth, "limit": service.line.most}
            said["models"] = {one.name: {"version": one.now.version, "note": one.note} for one in service.models}
        return JSONResponse(said, 200 if service.ready else 503)

    @router.get("/metrics", response_class=PlainTextResponse, responses=refusals())
    async def prometheus() -> Response:
        """For Prometheus."""
        return Response(service.metrics.text(), headers={"content-type": metrics.CONTENT_TYPE})

    return router
