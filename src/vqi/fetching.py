"""Files from http(s):// servers into a local cache: resumed after a break, checked, visible only when complete.

What came so far stands in ``<name>.part``; beside it ``<name>.json`` says of which version of the file it is (the ETag
or the date), so that the rest of another version is never appended. requests knows the proxy variables, ``.netrc`` and
``REQUESTS_CA_BUNDLE``; tenacity says when to try again. ``VQI_HTTP_TOKENS`` has bearer tokens, as ``host=token``
separated by spaces: each goes to its host only.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit, urlunsplit

import requests
import tenacity
import urllib3

from vqi.digests import CHUNK, sha256_bytes, sha256_file
from vqi.errors import VqiError
from vqi.progress import message, track
from vqi.unpacking.spool import require_room

CACHE, TOKENS = "VQI_CACHE", "VQI_HTTP_TOKENS"
CONNECT_SECONDS, READ_SECONDS = 10.0, 60.0
ATTEMPTS = 6  # in a row that bring nothing
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0  # seconds, doubled from one attempt to the next, of which a random part is waited
LONGEST_ASKED = 300.0  # seconds that a server may ask for with Retry-After
BUSY = (408, 425, 429, 500, 502, 503, 504)
MB = 1 << 20

ADVICE = {
    401: "it wants a login: put it into ~/.netrc, or a token into VQI_HTTP_TOKENS as host=token",
    403: "access is denied: accept the terms at its site, put a login into ~/.netrc, or name another url",
    404: "there is nothing at this address any more: find the new one and set 'url'",
    407: "the proxy wants a login: put it into https_proxy",
    410: "it was taken away: find the new address and set 'url'",
}


class Again(Exception):  # noqa: N818 - says what to do
    """This attempt failed; the next one may not. ``seconds``: what the server asked to wait."""

    def __init__(self, reason: str, seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.seconds = seconds


@dataclass(frozen=True)
class Version:
    """What a server said of the file that is being fetched. Two answers with the same validator are the same file."""

    validator: str  # a strong ETag, else the date of change; '' where the server says neither
    size: int | None  # of the whole file in bytes; None where the server does not say


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where fetched files are kept: ``$VQI_CACHE``, else ``vqi`` in the user's cache folder. It is made."""
    home = environment.get("XDG_CACHE_HOME") or "~/.cache"
    folder = Path(environment.get(CACHE) or f"{home}/vqi").expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VqiError(f"cannot keep fetched files in {folder} ({error.strerror}): set {CACHE} to a folder") from error
    return folder


def fetch(url: str, folder: Path, sha256: str = "", *, identity: str = "", quiet: bool = False) -> Path:
    """The file at ``url`` in ``folder``, fetched where it is not there yet, or is there in another version.

    Args:
        url: http:// or https://.
        folder: the cache; several processes may use it, one fetches.
        sha256: in hex, of the file; where it is given and fits, no server is asked.
        quiet: say nothing of the progress, for a small file among many.
        identity: what names the file in place of the url, for a url that differs each time, as a signed one does.

    Raises:
        VqiError: the server refuses, stays away, or gives other bytes than ``sha256`` says; or the disk has no room.
    """
    target = folder / name_for(identity or url)
    try:
        with _locked(target):
            if sha256 and target.exists():
                if sha256_file(target) == sha256:
                    return target
                target.unlink()
            _fetch(url, target, sha256, "" if quiet else shown(url))
    except OSError as error:
        raise VqiError(f"cannot fetch {shown(url)}: {error.filename or folder}: {error.strerror or error}") from error
    return target


def name_for(identity: str) -> str:
    """A file name for a url: its own last part, made harmless, behind a digest of all of it."""
    last = urlsplit(identity).path.rstrip("/").rpartition("/")[2]
    return f"{sha256_bytes(identity.encode())[:16]}-{re.sub(r'[^A-Za-z0-9._-]', '_', last)[-80:] or 'file'}"


def shown(url: str) -> str:
    """A url for people, without the login and the signature that may stand in it."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _fetch(url: str, target: Path, sha256: str, what: str) -> None:
    part, note = Path(f"{target}.part"), Path(f"{target}.json")
    with _session(url) as session:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Again),
            wait=_wait,
            stop=_Fruitless(part),
            before_sleep=lambda state: message(f"{shown(url)}: {_reason(state)}: trying again"),
            reraise=True,
        )
        try:
            fetched = retrying(_attempt, session, url, target, part, note, what)
        except Again as error:
            kept = f"; the {part.stat().st_size} bytes that came are kept" if part.exists() else ""
            raise VqiError(f"cannot fetch {shown(url)}: {error}{kept}: run the same command again later") from error
    if not fetched:
        part = target  # what is there is still what the server has
    if sha256 and (got := sha256_file(part)) != sha256:
        part.unlink()
        note.unlink(missing_ok=True)
        raise VqiError(
            f"{shown(url)} is not what it should be: expected sha256 {sha256}, got {got}; nothing was unpacked. "
            "Set 'sha256' to the new value only if its publisher says so"
        )
    if fetched:
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(target)


def _attempt(session: requests.Session, url: str, target: Path, part: Path, note: Path, what: str) -> bool:
    """One request: True when ``part`` is complete afterwards, False when ``target`` is what the server has.

    Raises:
        Again: it broke off, or the server is busy.
        VqiError: the server refuses.
    """
    done = part.stat().st_size if part.exists() else 0
    known = _read_note(note)
    headers = {"Accept-Encoding": "identity"}  # the bytes of the file: ranges and digests count those
    if known and known.validator and done:
        headers |= {"Range": f"bytes={done}-", "If-Range": known.validator}
    elif known and known.validator and target.exists() and not part.exists():  # else the note is that of the part
        kind = "If-None-Match" if known.validator.startswith('"') else "If-Modified-Since"
        headers[kind] = known.validator
    try:
        with session.get(url, headers=headers, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS)) as response:
            if response.status_code == 304 and target.exists():
                return False
            _check(response, url, part, known)
            start, version = _begin(response, done, known)
            if start == version.size and response.status_code == 416:
                return True
            _write(response, part, note, start, version, what)
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise Again(_network_reason(error)) from error
    return True


def _check(response: requests.Response, url: str, part: Path, known: Version | None) -> None:
    """Whether the answer has the file, or may come to have it."""
    status = response.status_code
    if status in BUSY:
        raise Again(f"the server answers {status} {response.reason}", _retry_after(response.headers))
    if status == 416:
        total = response.headers.get("Content-Range", "").rpartition("/")[2]
        if known and total == str(known.size) == str(part.stat().st_size):
            return
        part.write_bytes(b"")
        raise Again("the part that is here is no part of the file any more: it is fetched from its beginning")
    if status not in (200, 206):
        advice = ADVICE.get(status, "name another url")
        raise VqiError(f"cannot fetch {shown(url)}: the server answers {status} {response.reason}: {advice}")


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
        raise Again(f"the server answers with another part than bytes {done}- of the same file")
    return done, Version(known.validator, int(found[3]))


def _write(response: requests.Response, part: Path, note: Path, start: int, version: Version, what: str) -> None:
    """Put the body at ``start`` of the part.

    Raises:
        Again: it is shorter than the server said.
    """
    require_room(part.parent, (version.size or start) - start)
    part.touch()  # before the note, which is the target's as long as there is no part
    note.write_text(json.dumps({"validator": version.validator, "size": version.size}))
    with part.open("r+b" if start else "wb") as output:
        output.seek(start)
        output.truncate()
        _copy(response, output, start, version, what)
        if version.size is not None and output.tell() != version.size:
            raise Again(f"it ended after {output.tell()} of {version.size} bytes")


def _copy(response: requests.Response, output: BinaryIO, start: int, version: Version, what: str) -> None:
    total = -(-((version.size or start) - start) // MB)
    carried = 0

    def megabytes(piece: bytes) -> int:
        nonlocal carried
        carried += len(piece)
        whole, carried = divmod(carried, MB)
        return whole

    pieces = response.raw.stream(CHUNK, decode_content=False)
    if what:
        pieces = track(pieces, total, f"fetch {what}", unit="MB", size=megabytes)
    for piece in pieces:
        output.write(piece)


def _session(url: str) -> requests.Session:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise VqiError(f"cannot fetch '{shown(url)}': expected an address like https://host/path")
    session = requests.Session()
    tokens = dict(pair.partition("=")[::2] for pair in os.environ.get(TOKENS, "").split())
    if token := tokens.get(parts.netloc.rpartition("@")[2]) or tokens.get(parts.hostname):
        session.auth = _Bearer(token)
    return session


class _Bearer(requests.auth.AuthBase):
    """A bearer token. requests leaves it out where a redirection leads to another host."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _Fruitless(tenacity.stop.stop_base):
    """Stops after so many attempts in a row that brought nothing."""

    def __init__(self, part: Path) -> None:
        self._part, self._size, self._count = part, -1, 0

    def __call__(self, retry_state: tenacity.RetryCallState) -> bool:
        size = self._part.stat().st_size if self._part.exists() else 0
        self._count = 1 if size > self._size else self._count + 1
        self._size = max(size, self._size)
        return self._count >= ATTEMPTS


def _wait(state: tenacity.RetryCallState) -> float:
    """Seconds to the next attempt: what the server asked for, or a random part of ever longer times."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.seconds if isinstance(error, Again) else 0.0
    return max(asked, tenacity.wait_random_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT)(state))


def _reason(state: tenacity.RetryCallState) -> str:
    return str(state.outcome.exception()) if state.outcome else ""


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds from Retry-After; dates, which servers rarely send, count as none."""
    text = headers.get("Retry-After", "")
    return min(float(text), LONGEST_ASKED) if text.isdecimal() else 0.0


def _network_reason(error: Exception) -> str:
    """Why a request failed, in one line without the addresses of Python objects."""
    return re.sub(r"<[^>]*>(: )?", "", " ".join(str(error).split()))[-200:] or type(error).__name__


def _read_note(note: Path) -> Version | None:
    try:
        content: Any = json.loads(note.read_text())
        return Version(str(content["validator"]), content["size"])
    except (FileNotFoundError, ValueError, LookupError, TypeError):
        return None  # there is none, or a killed process left half of one: fetched from the beginning


@contextlib.contextmanager
def _locked(target: Path) -> Iterator[None]:
    """One process at a time fetches a file. The kernel drops the lock of a killed process."""
    handle = os.open(f"{target}.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
