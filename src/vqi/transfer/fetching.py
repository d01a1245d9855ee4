"""Files from http(s):// servers into a local cache: resumed after a break, checked, visible only when complete.

``web`` is how a server is asked, ``parts`` what of a file came so far; here is when to ask, and when again.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import requests
import tenacity
import urllib3

from vqi.digests import sha256_bytes, sha256_file
from vqi.errors import VqiError
from vqi.progress import message, track
from vqi.redaction import shown
from vqi.system.concurrency import at_once
from vqi.system.locks import held_file
from vqi.system.os_errors import explain
from vqi.transfer import web
from vqi.transfer.pace import pieces_of
from vqi.transfer.parts import Part, Version

__all__ = ["NotThere", "fetch", "fetch_all", "name_for"]

ATTEMPTS = 6  # in a row that bring nothing, or little
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0  # seconds, doubled from one attempt to the next; a random part of it is waited
MB = 1 << 20
LITTLE = 1 << 20  # bytes: an attempt that brings less, and not the rest, is one of those that bring nothing


class Again(Exception):  # noqa: N818 - says what to do
    """This attempt failed; the next one may not. ``seconds``: what the server asked to wait."""

    def __init__(self, reason: str, seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.seconds = seconds


def fetch(url: str, folder: Path, sha256: str = "", *, identity: str = "", authorities: Path | None = None) -> Path:
    """The file at ``url`` in ``folder``, fetched where it is not there yet, or is there in another version.

    Args:
        url: http:// or https://.
        folder: the cache; several processes may use it, one fetches.
        sha256: in hex, of the file; where it is given and fits, no server is asked.
        identity: what names the file instead of the url, for a url that differs each time, such as a signed one.
        authorities: a file of the certificate authorities that are trusted; else those of the environment are.

    Raises:
        VqiError: the server refuses, does not respond, or gives other bytes than ``sha256`` says; or the disk is full.
    """
    with web.session(authorities) as session:
        return _fetch(session, url, folder / name_for(identity or url), sha256, f"fetch {shown(url)}")


class NotThere(VqiError):  # noqa: N818 - says what the file is
    """The server has no such file, now and later; it may have others."""


def fetch_all(urls: Sequence[str], folder: Path, what: str) -> list[Path | NotThere]:
    """As ``fetch``, for many small files: several at a time, over connections that stay open.

    Returns:
        For each the file, or that it is not there.
    """
    local = threading.local()
    with contextlib.ExitStack() as sessions:

        def one(url: str) -> Path:
            if not hasattr(local, "session"):
                local.session = sessions.enter_context(web.session())
            return _fetch(local.session, url, folder / name_for(url), "", "")

        def one_of_many(url: str) -> Path | NotThere:
            try:
                return one(url)
            except NotThere as error:
                return error

        return at_once(one_of_many, urls, what)


def name_for(identity: str) -> str:
    """A file name for a url: a digest of all of it, followed by its last part, made harmless."""
    last = urlsplit(identity).path.rstrip("/").rpartition("/")[2]
    return f"{sha256_bytes(identity.encode())[:16]}-{re.sub(r'[^A-Za-z0-9._-]', '_', last)[-80:] or 'file'}"


def _fetch(session: requests.Session, url: str, target: Path, sha256: str, what: str) -> Path:
    """``target``, as the server has it. ``what``: the name of the progress; '' for none."""
    try:
        with _locked(target):
            part = Part(target, digest=bool(sha256))
            if sha256 and target.exists():
                if sha256_file(target) == sha256:
                    return target
                target.unlink()
            if _persist(session, url, part, what):
                _accept(url, part, sha256)
            return target
    except OSError as error:
        raise VqiError(f"cannot fetch {shown(url)}: {explain(error, target.parent)}") from error


def _persist(session: requests.Session, url: str, part: Part, what: str) -> bool:
    """Attempts until all is there: True when the part is complete, False when the target is what the server has."""
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(Again),
        wait=_wait,
        stop=_Fruitless(part),
        before_sleep=lambda state: message(f"{shown(url)}: {_reason(state)}: trying again"),
        reraise=True,
    )
    whole = part.target_is_whole()
    try:
        return retrying(_attempt, session, url, part, whole, what)
    except Again as error:
        kept = f"; the {part.size} bytes that came are kept" if part.size else ""
        raise VqiError(f"cannot fetch {shown(url)}: {error}{kept}: run the same command again later") from error


def _accept(url: str, part: Part, sha256: str) -> None:
    """Make a complete part visible, if it is what it should be.

    Raises:
        VqiError: it is something else; nothing is kept of it.
    """
    if sha256 and (got := part.sha256()) != sha256:
        part.forget()
        raise VqiError(
            f"{shown(url)} is not what it should be: expected sha256 {sha256}, got {got}; nothing was unpacked. "
            "Set 'sha256' to the new value only if its publisher says so"
        )
    part.complete()


def _attempt(session: requests.Session, url: str, part: Part, whole: bool, what: str) -> bool:
    """One request: True when the part is complete afterwards, False when the target is what the server has.

    Raises:
        Again: it broke off, or the server is busy.
        VqiError: the server refuses.
    """
    known, done = part.version, part.size
    headers = {}
    if known and known.validator and done:
        headers = {"Range": f"bytes={done}-", "If-Range": known.validator}
    elif known and known.validator and whole:
        headers = {"If-None-Match" if known.validator.startswith('"') else "If-Modified-Since": known.validator}
    try:
        with web.get(session, url, headers) as response:
            if response.status_code == 304 and whole:
                return False
            _check(response, url, part, known)
            start, version = _begin(response, done, known)
            if response.status_code != 416:
                end = part.write(_pieces(response, start, version, what), start, version)
                if version.size is not None and end != version.size:
                    raise Again(f"it ended after {end} of {version.size} bytes")
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise Again(web.network_reason(error)) from error
    return True


def _check(response: requests.Response, url: str, part: Part, known: Version | None) -> None:
    """Whether the answer has the file, or a later one may have it."""
    status = response.status_code
    if status in web.BUSY:
        raise Again(f"the server answers {status} {response.reason}", web.retry_after(response.headers))
    if status == 416:
        total = response.headers.get("Content-Range", "").rpartition("/")[2]
        if known and total == str(known.size) == str(part.size):
            return
        part.path.write_bytes(b"")
        raise Again("the part that is here is not part of the file any more: it is fetched from its beginning")
    if status not in (200, 206):
        kind = NotThere if status in web.ABSENT else VqiError
        raise kind(f"cannot fetch {shown(url)}: the server answers {status} {response.reason}: {web.refusal(status)}")


def _begin(response: requests.Response, done: int, known: Version | None) -> tuple[int, Version]:
    """Where the body of an answer belongs, and of which version it is."""
    if response.status_code == 416 and known:
        return done, known
    headers = response.headers
    length = headers.get("Content-Length", "")
    etag = headers.get("ETag", "")
    validator = etag if etag.startswith('"') else headers.get("Last-Modified", "")
    if response.status_code == 200:
        return 0, Version(validator, int(length) if length.isdecimal() else None)
    found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", headers.get("Content-Range", ""))
    if not found or int(found[1]) != done or not known or validator not in ("", known.validator):
        raise Again(f"the server answers with a part other than bytes {done}- of the same file")
    return done, Version(known.validator, int(found[3]))


def _pieces(response: requests.Response, start: int, version: Version, what: str) -> Iterable[bytes]:
    """The body of an answer, with a progress in MB where it has a name; a started MB counts as one."""
    pieces = pieces_of(response, start)
    if not what:
        return pieces
    came = 0

    def megabytes(piece: bytes) -> int:
        nonlocal came
        before, came = -(-came // MB), came + len(piece)
        return -(-came // MB) - before

    return track(pieces, -(-((version.size or start) - start) // MB), what, unit="MB", size=megabytes)


class _Fruitless(tenacity.stop.stop_base):
    """Stops after so many attempts in a row that brought nothing, or little."""

    def __init__(self, part: Part) -> None:
        self._part, self._size, self._count = part, -1, 0

    def __call__(self, retry_state: tenacity.RetryCallState) -> bool:
        size = self._part.size
        self._count = 1 if size >= self._size + LITTLE else self._count + 1
        self._size = max(size, self._size)
        return self._count >= ATTEMPTS


def _wait(state: tenacity.RetryCallState) -> float:
    """Seconds to the next attempt: what the server asked for, or a random part of ever longer times."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.seconds if isinstance(error, Again) else 0.0
    return max(asked, tenacity.wait_random_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT)(state))


def _reason(state: tenacity.RetryCallState) -> str:
    return str(state.outcome.exception()) if state.outcome else ""


def _locked(target: Path) -> contextlib.AbstractContextManager[None]:
    """One process at a time fetches a file."""
    return held_file(target.with_name(f"{target.name}.lock"))
