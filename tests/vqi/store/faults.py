"""What an S3 server, or what stands between it and the client, does wrong: one function per kind, many by a table."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from tests.vqi.store.faulty_server import (
    HANG_UP,
    Answer,
    Fault,
    FaultyServer,
    Request,
    answer,
    contents,
    error,
    etag,
    listing,
    xml,
)

HTML = b"<!DOCTYPE html><html><body>Sign in to the guest network</body></html>"
BOMB = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>'
    "<ListBucketResult><IsTruncated>false</IsTruncated><Name>&b;</Name></ListBucketResult>"
)
FAULTS: dict[str, Fault] = {}


def fault(name: str) -> Callable[[Fault], Fault]:
    def kept(function: Fault) -> Fault:
        FAULTS[name] = function
        return function

    return kept


def always(name: str, made: Callable[[FaultyServer, Request], Answer], where: Callable[[Request], bool]) -> None:
    FAULTS[name] = lambda server, request: made(server, request) if where(request) else None


def raw(*pieces: bytes) -> Callable[[FaultyServer, Request], Answer]:
    return lambda server, request: [*pieces, HANG_UP]


def anything(request: Request) -> bool:
    return True


# What is said instead of a listing.
for _name, _text in {
    "no xml": "not xml <",
    "half of the xml": listing(contents("p/a", b"small"))[:-30],
    "nothing": "",
    "an error with status 200": "<Error><Code>InternalError</Code></Error>",
    "another document": "<ListAllMyBucketsResult/>",
    "entities": BOMB,
    "a NUL": listing(contents("p/\0", b"x")),
    "no key": listing(contents("p/a", b"small", Key="-")),
    "an empty key": listing(contents("p/a", b"small", Key="")),
    "no size": listing(contents("p/a", b"small", Size="-")),
    "a negative size": listing(contents("p/a", b"small", Size="-5")),
    "a size in words": listing(contents("p/a", b"small", Size="five")),
    "a size of many digits": listing(contents("p/a", b"small", Size="9" * 5000)),
    "a size in other digits": listing(contents("p/a", b"small", Size="٥")),
    "another prefix": listing(contents("elsewhere/a", b"small")),
    "an object twice": listing(contents("p/a", b"small") * 2),
    "truncated without a token": listing(contents("p/a", b"small"), "true"),
    "truncated maybe": listing(contents("p/a", b"small"), "maybe"),
    "truncated left out": listing(contents("p/a", b"small")).replace("<IsTruncated>false</IsTruncated>", ""),
    "the same page for ever": listing(contents("p/a", b"small"), "true", "same"),
    "the same empty page for ever": listing("", "true", "same"),
}.items():
    always(f"listing: {_name}", lambda server, request, text=_text: xml(text), lambda request: request.is_listing)


@fault("listing: no ETag")
def _no_etag(server: FaultyServer, request: Request) -> Answer | None:
    return (
        xml(server.listed(request).replace("<ETag>", "<Tag>").replace("</ETag>", "</Tag>"))
        if request.is_listing
        else None
    )


@fault("listing: empty pages with new tokens for ever")
def _empty_pages(server: FaultyServer, request: Request) -> Answer | None:
    return xml(listing("", "true", f"t{request.number}")) if request.is_listing else None


@fault("listing: new objects for ever")
def _new_objects(server: FaultyServer, request: Request) -> Answer | None:
    if not request.is_listing:
        return None
    found = "".join(contents(f"p/{request.number}-{one}", b"x") for one in range(100))
    return xml(listing(found, "true", f"t{request.number}"))


@fault("listing: two tokens by turns")
def _two_tokens(server: FaultyServer, request: Request) -> Answer | None:
    return xml(listing("", "true", f"t{request.number % 2}")) if request.is_listing else None


@fault("listing: half of the second page")
def _half_page(server: FaultyServer, request: Request) -> Answer | None:
    if not request.is_listing:
        return None
    if "continuation-token" in request.query:
        return xml(listing(contents("p/b", b"x"))[:-40])
    return xml(listing(contents("p/a", b"small"), "true", "next"))


# What is said instead of anything.
for _status in (100, 204, 302, 304, 400, 401, 403, 404, 405, 409, 411, 416, 418, 429, 500, 501, 503, 507, 999):
    always(f"status {_status} without a word", lambda server, request, status=_status: answer(status), anything)
for _code, _status in (
    ("SlowDown", 503), ("InternalError", 500), ("ExpiredToken", 400), ("RequestTimeTooSkewed", 403),
    ("AuthorizationHeaderMalformed", 400), ("PermanentRedirect", 301), ("TemporaryRedirect", 307),
    ("KeyTooLongError", 400), ("InvalidRange", 416), ("x" * 100_000, 400), ("\n\x1b[31m".replace("\x1b", "&#27;"), 400),
):  # fmt: skip
    always(
        f"error {_code[:30]!a} {_status}",
        lambda server, request, code=_code, status=_status: error(status, code, "many\nlines " * 1000),
        anything,
    )
always("a sign-in page", lambda server, request: answer(200, HTML, Content_Type="text/html"), anything)
always("a sign-in page as an error", lambda server, request: answer(403, HTML, Content_Type="text/html"), anything)
always("an error that is no xml", lambda server, request: answer(500, b"<<<", Content_Type="application/xml"), anything)
always(
    "a redirection to itself",
    lambda server, request: answer(302, Location=f"{server.endpoint}/bucket/p/a"),
    anything,
)
always("not HTTP", raw(b"220 mail.example.com ESMTP\r\n"), anything)
always("hangs up", raw(b""), anything)
always("hangs up in the head", raw(b"HTTP/1.1 200 OK\r\nContent-Le"), anything)
always("a line without an end", lambda server, request: server.for_ever(b"x" * 65536), anything)
always(
    "a head without an end",
    lambda server, request: [b"HTTP/1.1 200 OK\r\n", *(b"X-%d: y\r\n" % n for n in range(5000)), HANG_UP],
    anything,
)
always("silence", lambda server, request: server.silence(), anything)
always("a head letter by letter", lambda server, request: server.for_ever(b"H", 0.1), anything)
always(
    "an interim answer for ever",
    lambda server, request: server.for_ever(b"HTTP/1.1 100 Continue\r\n\r\n", 0.01),
    anything,
)


def _body(*head: str, piece: bytes = b"x" * 65536, pause: float = 0.0) -> Callable[[FaultyServer, Request], Answer]:
    def made(server: FaultyServer, request: Request) -> Answer:
        yield "\r\n".join(["HTTP/1.1 200 OK", f'ETag: "{etag(b"small")}"', *head, "", ""]).encode()
        yield from server.for_ever(piece, pause)

    return made


CHUNK = b"10000\r\n" + b"x" * 65536 + b"\r\n"
always("a body without an end", _body(), lambda request: request.method != "HEAD")
always(
    "chunks without an end", _body("Transfer-Encoding: chunked", piece=CHUNK), lambda request: request.method != "HEAD"
)
always("a body of exabytes", _body(f"Content-Length: {1 << 60}"), lambda request: request.method != "HEAD")
always(
    "a body letter by letter",
    _body("Content-Length: 1000", piece=b"x", pause=0.1),
    lambda request: request.method != "HEAD",
)


@fault("busy with a body without an end")
def _busy(server: FaultyServer, request: Request) -> Answer | None:
    def made() -> Answer:
        yield b"HTTP/1.1 503 Busy\r\nRetry-After: 86400\r\n\r\n"
        yield from server.for_ever(b"x" * 65536)

    return made()


@fault("asks to wait for a day")
def _wait(server: FaultyServer, request: Request) -> Answer | None:
    return answer(503, Retry_After="86400")


def same(data: bytes) -> dict[str, str]:
    """What is said about an object where its bytes are others."""
    return {"ETag": f'"{etag(data)}"', "x_amz_meta_sha256": hashlib.sha256(data).hexdigest()}


# What is wrong with an object.
def _object(name: str, made: Callable[[FaultyServer, Request, bytes], Answer], heads: bool = True) -> None:
    def wrong(server: FaultyServer, request: Request) -> Answer | None:
        data = server.objects.get(request.key)
        if data is None or not (request.is_get or (heads and request.is_head)):
            return None
        return made(server, request, data)

    FAULTS[f"object: {name}"] = wrong


_object("another version each time", lambda s, r, data: s.sent(r, data, ETag=f'"{r.number}"'))
_object("the condition is not looked at", lambda s, r, data: s.sent(r._replace(headers={}), data + b"new"), heads=False)
_object(
    "other bytes", lambda s, r, data: s.sent(r, data[::-1], ETag=f'"{etag(data)}"', x_amz_meta_sha256="0" * 64), False
)
_object("longer than it was", lambda s, r, data: s.sent(r, data + b"x", **same(data)), heads=False)
_object("shorter than it was", lambda s, r, data: s.sent(r, data[:-1], **same(data)), heads=False)
_object("breaks off", lambda s, r, data: [*_cut(s.sent(r, data), 2), HANG_UP], heads=False)
_object("no ETag", lambda s, r, data: s.sent(r, data, ETag="-"))
_object("a date that is none", lambda s, r, data: s.sent(r, data, Last_Modified="yesterday"))
_object("no date", lambda s, r, data: s.sent(r, data, Last_Modified="-"))
_object("no length", lambda s, r, data: s.sent(r, data, Content_Length="-"))
_object("a negative length", lambda s, r, data: s.sent(r, data, Content_Length="-1"))
_object("two lengths", lambda s, r, data: s.sent(r, data, Content_Length="5\r\nContent-Length: 6"))
_object("a length in words", lambda s, r, data: s.sent(r, data, Content_Length="five"))
_object(
    "a range that was not asked for",
    lambda s, r, data: answer(206, data[:2], Content_Range="bytes 0-1/5", **same(data)),
)
_object("compressed", lambda s, r, data: s.sent(r, data, Content_Encoding="gzip"))
_object("gone after the listing", lambda s, r, data: error(404, "NoSuchKey") if r.is_get else answer(404))
_object("moved to Glacier", lambda s, r, data: error(403, "InvalidObjectState"), heads=False)


@fault("object: replaced while it is read")
def _replaced(server: FaultyServer, request: Request) -> Answer | None:
    """By a server that knows no conditions, in an object of which nobody knows the digest."""
    data = server.objects.get(request.key)
    if data is None or not request.is_get:
        return None
    later = not request.headers.get("range", "bytes=0-").startswith("bytes=0-")
    asked = {name: value for name, value in request.headers.items() if name == "range"}
    return server.sent(request._replace(headers=asked), data[::-1] if later else data, x_amz_meta_sha256="-")


@fault("object: deleted while it is read")
def _deleted(server: FaultyServer, request: Request) -> Answer | None:
    later = not request.headers.get("range", "bytes=0-").startswith("bytes=0-")
    return error(404, "NoSuchKey") if request.is_get and later else None


def _cut(pieces: Answer, parts: int) -> list[bytes]:
    head, body = pieces
    return [head, body[: len(body) // parts]]


# What is wrong when something is written.
def _written(name: str, made: Callable[[FaultyServer, Request], Answer | None]) -> None:
    FAULTS[f"put: {name}"] = lambda server, request: (
        made(server, request) if request.method in ("PUT", "POST") else None
    )


_written("200 and nothing kept", lambda s, r: answer(200, HTML) if r.key else None)
_written("no ETag", lambda s, r: answer(200) if r.is_put else None)
_written("the disk is full", lambda s, r: error(507, "XMinioStorageFull") if r.key else None)
_written(
    "the second part is refused", lambda s, r: error(403, "AccessDenied") if r.query.get("partNumber") == "2" else None
)
_written("no upload id", lambda s, r: xml("<InitiateMultipartUploadResult/>") if "uploads" in r.query else None)
_written("no xml for an upload", lambda s, r: xml("<") if "uploads" in r.query else None)
_written(
    "an error with status 200 at the end",
    lambda s, r: (
        xml("<Error><Code>InternalError</Code></Error>") if "uploadId" in r.query and r.method == "POST" else None
    ),
)
_written("never read", lambda s, r: s.silence() if r.is_put else None)
_written("409 for ever", lambda s, r: error(409, "ConditionalRequestConflict") if r.is_put else None)


@fault("put: knows no conditions")
def _no_conditions(server: FaultyServer, request: Request) -> Answer | None:
    if not request.is_put or "partNumber" in request.query:
        return None
    return server.right(request._replace(headers={}))
