"""``POST /verdicts``: what a person says of a photograph that this service scored."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, Self

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, Field, model_validator

from vqi.errors import VqiError
from vqi.records import Record, parse_json
from vqi.serving.accounting import facts_in
from vqi.serving.keeping import Keeping, Recent
from vqi.serving.refusals import RefusedError, refusals
from vqi.serving.service import Service
from vqi.verdicts.answering import Answered, answer, take_back
from vqi.verdicts.book import Book
from vqi.verdicts.records import LONGEST, DefectType, Name, Said, Sha256, Verdict, Word, check_type, file_name

_LONGEST_BODY = 16 << 10  # bytes
_LONGEST_PATH = 4096  # characters; what is kept of it is shorter
_JSON = "application/json"


class VerdictRequest(Record):
    """The body of ``POST /verdicts``."""

    model: str = Field(default="", max_length=LONGEST, description="Which one; needed where several are served.")
    sha256: Sha256 = Field(description="Of the photograph's file, as the answer of POST /score names it.")
    verdict: Literal[Word, "taken back"]
    defect_type: DefectType = ""
    by: Name = Field(description="Who says so.")
    name: str = Field(default="", max_length=_LONGEST_PATH, description="Of the photograph's file.")

    @model_validator(mode="after")
    def _only_defects_have_types(self) -> Self:
        check_type(self.verdict, self.defect_type)
        return self


class Opinion(Record):
    """What one person says."""

    verdict: Word
    defect_type: str
    outcome: str  # what it says of the model
    by: str
    at: AwareDatetime


class VerdictReply(Record):
    """What stands of a photograph, after an answer."""

    model: str
    sha256: str
    new: bool  # False where this person said the same before
    opinions: tuple[Opinion, ...]  # of each person the last one, by time: the last one of all counts
    disagree: bool  # whether one says good and another one defect


def routes(service: Service) -> APIRouter:
    """The endpoint of a service."""
    router = APIRouter(tags=["verdicts"])

    @router.post(
        "/verdicts",
        response_model=VerdictReply,
        responses=refusals(400, 403, 404, 408, 409, 413, 415, 500, 503),
        openapi_extra={
            "requestBody": {"required": True, "content": {_JSON: {"schema": VerdictRequest.model_json_schema()}}}
        },
    )
    async def verdicts(request: Request) -> JSONResponse:
        """Answer an alarm, report a missed defect, or take that back. The body is JSON, and says that it is.

        It is refused with 403 where the service was not started with ``--verdicts``, and with 404 where it does not
        remember the photograph: then it is to be scored once more.
        """
        keeping = _keeping(service)
        # a page of another site can send a form or a text, but no JSON unless this service allowed it
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON:
            raise RefusedError(415, "encoding", f"expected the header 'Content-Type: {_JSON}'")
        async with service.bodies.of(request) as body:
            facts_in(request.scope).bytes = len(body)
            asked = _parsed(body)
        served = service.models.named(asked.model)
        facts_in(request.scope).model = served.name
        done = await service.keep(
            _work(keeping.books[served.name], asked, service.recents.of(served.name, asked.sha256))
        )
        if done.new and asked.verdict != "taken back":
            service.metrics.answered(served.name, done.verdict.outcome)
        return JSONResponse(_reply(served.name, done).model_dump(mode="json"))

    return router


def _keeping(service: Service) -> Keeping:
    if service.keeping is None:
        raise RefusedError(403, "verdict", "this service keeps no verdicts: it is started with 'vqi serve --verdicts'")
    return service.keeping


def _parsed(body: bytes) -> VerdictRequest:
    if len(body) > _LONGEST_BODY:
        raise RefusedError(413, "size", f"the body is too large: at most {_LONGEST_BODY:,} bytes are taken")
    try:
        return parse_json(VerdictRequest, body, "the verdict", "GET /openapi.json has the form")
    except VqiError as error:
        raise RefusedError(400, "request", str(error)) from error


def _work(book: Book, asked: VerdictRequest, recent: Recent | None) -> Callable[[], Answered]:
    """What asks the store, in a thread.

    Raises:
        RefusedError: The photograph is not remembered, and that is needed.
    """
    name = file_name(asked.name)
    if asked.verdict == "taken back":
        return partial(take_back, book, asked.sha256, asked.by, name)
    if recent is None:
        raise RefusedError(
            404, "verdict", "a photograph that was not scored here, or is forgotten: POST /score it, then answer"
        )
    said = Said(verdict=asked.verdict, defect_type=asked.defect_type)
    return partial(answer, book, recent.scored._replace(name=name), said, asked.by, recent.data)


def _reply(model: str, done: Answered) -> VerdictReply:
    stands = done.standing.verdicts if done.standing else ()
    return VerdictReply(
        model=model,
        sha256=done.verdict.sha256,
        new=done.new,
        opinions=tuple(map(_opinion, stands)),
        disagree=bool(done.standing and done.standing.disagree),
    )


def _opinion(one: Verdict) -> Opinion:
    return Opinion(verdict=one.verdict, defect_type=one.defect_type, outcome=one.outcome, by=one.by, at=one.at)
