"""The objects of a bucket, page by page. A listing that does not end, repeats itself or is half of one is an error."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET

from minio import Minio

from vqi.store.s3_errors import NotS3Error, understood

MOST_OBJECTS = 2_000_000
MOST_PAGES = 10_000  # a page has up to 1,000 objects
LISTING_SECONDS = 3600.0
PAGE_OBJECTS = 1000


class Listed(NamedTuple):
    """An object of a listing."""

    name: str  # its whole key in the bucket
    etag: str  # '' where the server does not say it
    size: int  # bytes
    modified: datetime | None = None  # None where the server does not say it


class Page(NamedTuple):
    """An answer of the server."""

    objects: list[Listed]
    token: str  # with which the next page is asked for; '' on the last one


def list_objects(client: Minio, bucket: str, prefix: str) -> list[Listed]:
    """All objects whose key starts with ``prefix``, sorted; those that stand for folders are left out.

    Raises:
        NotS3Error: The server's answers cannot be those of a listing, or have no end.
        MinioException, HTTPError: It refuses, or does not respond.
    """
    found: dict[str, Listed] = {}
    tokens = {""}
    token, until = "", time.monotonic() + LISTING_SECONDS
    for _ in range(MOST_PAGES):
        page = read_page(_ask(client, bucket, prefix, token))
        for one in page.objects:
            if one.name in found or not one.name.startswith(prefix):
                what = "an object for a second time" if one.name in found else "an object of another prefix"
                raise NotS3Error(f"a listing with {what}, {one.name!a:.200}")
            found[one.name] = one
        token = page.token
        if not token:
            return sorted(one for one in found.values() if not one.name.endswith("/"))
        if token in tokens:
            raise NotS3Error("a listing that begins again: it gives the same continuation token for a second time")
        tokens.add(token)
        if len(found) > MOST_OBJECTS or time.monotonic() > until:
            break
    raise NotS3Error(
        f"a listing without an end: {len(found)} objects so far, in {len(tokens) - 1} pages; name a longer prefix"
    )


def _ask(client: Minio, bucket: str, prefix: str, token: str) -> bytes:
    """The XML of a page. The client has no public way to a single page (minio 7.2), so this uses the private one."""
    query = {"list-type": "2", "encoding-type": "url", "max-keys": str(PAGE_OBJECTS), "prefix": prefix, "delimiter": ""}
    if token:
        query["continuation-token"] = token
    return understood(client._execute, "GET", bucket, query_params={**query}).data or b""


def read_page(data: bytes) -> Page:
    """A page of a listing.

    Raises:
        NotS3Error: It is not one.
    """
    try:
        root = ET.fromstring(data.decode())  # noqa: S314 - whoever read it refused entities
    except (UnicodeDecodeError, ET.ParseError, ValueError) as error:
        raise NotS3Error(f"a listing that is no XML: {error}") from error
    if root.tag.rpartition("}")[2] != "ListBucketResult":
        raise NotS3Error(f"<{root.tag.rpartition('}')[2]:.50}> instead of a listing")
    encoded = root.findtext("{*}EncodingType") == "url"
    objects = [_object(element, encoded) for element in root.iterfind("{*}Contents")]
    truncated = (root.findtext("{*}IsTruncated") or "").strip().lower()
    token = root.findtext("{*}NextContinuationToken") or ""
    if truncated not in ("true", "false") or (truncated == "true" and not token):
        raise NotS3Error("a listing that does not say whether it goes on, or how")
    return Page(objects, token if truncated == "true" else "")


def _object(element: ET.Element, encoded: bool) -> Listed:
    name, size = element.findtext("{*}Key") or "", (element.findtext("{*}Size") or "").strip()
    if not name or not (size.isascii() and size.isdecimal() and len(size) <= len(str(1 << 63))):
        raise NotS3Error("a listing with an object without a key or a size")
    etag = (element.findtext("{*}ETag") or "").strip().strip('"')
    return Listed(unquote_plus(name) if encoded else name, etag, int(size), _time(element.findtext("{*}LastModified")))


def _time(text: str | None) -> datetime | None:
    """A time in UTC; None where it is none."""
    try:
        found = datetime.fromisoformat((text or "").strip())
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
