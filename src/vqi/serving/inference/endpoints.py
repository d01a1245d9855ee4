"""The endpoints of the protocol."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from vqi import __version__
from vqi.serving.accounting import facts_in
from vqi.serving.inference.inferring import Reply, infer
from vqi.serving.inference.records import ModelMetadata, ServerMetadata
from vqi.serving.models import Served
from vqi.serving.refusals import Problem, RefusedError, refusals
from vqi.serving.service import Service

HEADER = "inference-header-content-length"
_MODEL = ("/v2/models/{name}", "/v2/models/{name}/versions/{version}")


def routes(service: Service) -> APIRouter:
    """The endpoints of a service; each of a model has a second address with its version."""
    router = APIRouter(tags=["Open Inference Protocol"])
    named = service.models.named

    @router.get("/v2", responses=refusals())
    @router.get("/v2/", include_in_schema=False)
    async def server() -> ServerMetadata:
        """What this is."""
        return ServerMetadata(version=__version__)

    @router.get("/v2/health/live")
    async def live() -> dict[str, bool]:
        """Whether the process responds."""
        return {"live": True}

    @router.get("/v2/health/ready", responses={503: {"model": Problem}})
    async def ready() -> dict[str, bool]:
        """Whether it takes photographs."""
        if not service.ready:
            raise RefusedError(503, "busy", "the service is not ready")
        return {"ready": True}

    async def metadata(name: str, version: str | None = None) -> ModelMetadata:
        """What a model takes and gives."""
        return ModelMetadata(name=name, versions=(str(named(name).at(version).version),))

    async def model_ready(name: str, version: str | None = None) -> dict[str, Any]:
        """Whether a model is served."""
        named(name).at(version)
        return {"name": name, "ready": True}

    async def inference(request: Request, name: str, version: str | None = None) -> Response:
        """Score photographs: UINT8 (N, H, W, 3), or BYTES (N) that are image files."""
        served = named(name)
        facts = facts_in(request.scope)
        facts.model = served.name
        async with service.bodies.of(request) as body:
            facts.bytes = len(body)
            reply = await service.run(partial(_infer, service, served, version, body, request.headers.get(HEADER)))
        facts.results = reply.results
        if reply.json_bytes is None:
            return Response(reply.body, media_type="application/json")
        return Response(reply.body, headers={HEADER: str(reply.json_bytes)}, media_type="application/octet-stream")

    body_of = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}}
    for place in _MODEL:
        shown = place == _MODEL[0]
        router.get(place, include_in_schema=shown, responses=refusals(404))(metadata)
        router.get(f"{place}/ready", include_in_schema=shown, responses=refusals(404))(model_ready)
        router.post(
            f"{place}/infer", include_in_schema=shown, openapi_extra=body_of,
            responses=refusals(400, 404, 408, 413, 415, 422, 500, 503),
        )(inference)  # fmt: skip
    return router


def _infer(service: Service, served: Served, version: str | None, body: bytes, header: str | None) -> Reply:
    """In a thread: what takes time."""
    reply = infer(served.name, served.at(version), body, header)
    service.tell(served.name, reply.results)
    return reply
