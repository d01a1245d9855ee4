"""The page at ``/``: photographs from a file or a camera, and what the service says of them.

Three files, which load nothing from elsewhere. The look is that of the reports (``vqi.pages``).
"""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import Response

from vqi.pages.rendering import render

_FOLDER = Path(__file__).parent
# Nothing but what this service sends, and pictures that the page makes of what is chosen.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


def routes() -> APIRouter:
    """The files of the page."""
    router = APIRouter(include_in_schema=False)
    style = render("style.css.j2") + (_FOLDER / "page.css").read_text(encoding="utf-8")
    _serve(router, "/", (_FOLDER / "page.html").read_text(encoding="utf-8"), "text/html")
    _serve(router, "/page.css", style, "text/css")
    _serve(router, "/page.js", (_FOLDER / "page.js").read_text(encoding="utf-8"), "text/javascript")
    _serve(router, "/icon.svg", (_FOLDER / "icon.svg").read_text(encoding="utf-8"), "image/svg+xml")
    return router


def _serve(router: APIRouter, path: str, content: str, kind: str) -> None:
    async def file() -> Response:
        return Response(content, media_type=kind, headers=_HEADERS)

    router.get(path)(file)
