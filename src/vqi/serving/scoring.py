"""``POST /score``: a photograph in, its verdict out; and what is served."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from vqi.digests import sha256_bytes
from vqi.models.reading import Stored
from vqi.models.result import Result
from vqi.models.scorer import Scorer
from vqi.records import Record
from vqi.serving.accounting import facts_in
from vqi.serving.answers import LARGEST_SIDE, Answer, answer_of, png_of
from vqi.serving.keeping import Recent
from vqi.serving.models import Served
from vqi.serving.multipart import photograph_in
from vqi.serving.refusals import refusals
from vqi.serving.service import Service
from vqi.verdicts.records import Scored

_JSON, _PNG = "application/json", "image/png"
_BARS = 24
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FORM = {"schema": {"type": "object", "properties": {"image": {"type": "string", "format": "binary"}}}}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A photograph: the bytes of a file of any kind that is read, or a form with one file.",
        "content": {"image/*": _BINARY, "application/octet-stream": _BINARY, "multipart/form-data": _FORM},
    }
}


class ModelLine(Record):
    """A model that is served."""

    name: str
    version: int
    threshold: float


class ModelList(Record):
    """What ``GET /models`` says."""

    models: tuple[ModelLine, ...]
    verdicts: Literal["off", "photograph", "digest"]  # what is kept of a photograph that is answered


class GoodParts(Record):
    """The scores of the good parts that a model was calibrated on."""

    model: str
    version: int
    threshold: float
    images: int  # 0 where they are not known: an exported file does not have them
    edges: tuple[float, ...]  # of the bars, one more than there are
    counts: tuple[int, ...]  # of images in each bar


@dataclass(frozen=True)
class _Scored:
    result: Result
    content: bytes
    kind: str
    recent: Recent | None  # where verdicts are kept


def routes(service: Service) -> APIRouter:
    """The endpoints of a service."""
    router = APIRouter(tags=["photographs"])

    @router.post(
        "/score",
        response_model=Answer,
        responses={200: {"content": {_PNG: {}}}, **refusals(400, 404, 408, 413, 415, 422, 500, 503)},
        openapi_extra=_BODY,
    )
    async def score(
        request: Request,
        model: Annotated[str, Query(description="Which one; needed where several are served.")] = "",
        form: Annotated[Literal["json", "png"] | None, Query(alias="format", description="Instead of Accept.")] = None,
        picture: Annotated[
            int, Query(ge=0, le=LARGEST_SIDE, description="With JSON: a JPEG of at most so many pixels per side.")
        ] = 0,
    ) -> Response:
        """Score a photograph. The answer is JSON, or a PNG that shows what was found."""
        served = service.models.named(model)
        facts = facts_in(request.scope)
        facts.model = served.name
        as_png = form == "png" if form else _wants_png(request.headers.get("accept", ""))
        async with service.bodies.of(request) as body:
            facts.bytes = len(body)
            kind = request.headers.get("content-type", "")
            scored = await service.run(partial(_score, service, served, body, kind, as_png, picture))
        facts.results = [scored.result]
        if scored.recent is not None:
            service.recents.add(served.name, scored.recent)
        return Response(scored.content, media_type=scored.kind)

    @router.get("/models", responses=refusals())
    async def models() -> ModelList:
        """What is served."""
        now = [(one.name, one.now) for one in service.models]
        return ModelList(
            models=tuple(ModelLine(name=name, version=one.version, threshold=one.threshold) for name, one in now),
            verdicts="off" if service.keeping is None else "photograph" if service.keeping.photographs else "digest",
        )

    @router.get("/good-parts", responses=refusals(400, 404))
    async def good_parts(
        model: Annotated[str, Query(description="Which one; needed where several are served.")] = "",
    ) -> GoodParts:
        """How the scores of good parts are distributed."""
        served = service.models.named(model)
        return _good_parts(served.name, served.now)

    return router


def _wants_png(accept: str) -> bool:
    kinds = [kind.partition(";")[0].strip().lower() for kind in accept.split(",")]
    return _PNG in kinds and _JSON not in kinds


def _score(service: Service, served: Served, body: bytes, content_type: str, as_png: bool, side: int) -> _Scored:
    """In a thread: what takes time."""
    data = photograph_in(body, content_type)
    result = served.now.score(Stored("the photograph", lambda: data), keep=as_png or side > 0)
    service.tell(served.name, [result])
    recent, sha256, keeping = None, "", service.keeping
    if keeping is not None:
        sha256 = sha256_bytes(data)
        scored = Scored(sha256, "", result.version, result.score, result.threshold)
        recent = Recent(scored, data if keeping.photographs else None)
    if as_png:
        return _Scored(result, png_of(result), _PNG, recent)
    answer = answer_of(served.name, result, side, sha256)
    return _Scored(result, answer.model_dump_json(exclude_none=True).encode(), _JSON, recent)


def _good_parts(name: str, model: Scorer) -> GoodParts:
    scores = model.good_scores
    counts, edges = np.zeros(0, np.int64), np.zeros(0)
    if len(scores):
        counts, edges = np.histogram(scores, _BARS, (float(scores.min()), float(max(scores.max(), model.threshold))))
    return GoodParts(
        model=name,
        version=model.version,
        threshold=model.threshold,
        images=len(scores),
        edges=tuple(edges.tolist()),
        counts=tuple(counts.tolist()),
    )
