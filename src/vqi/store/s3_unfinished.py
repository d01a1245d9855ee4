"""Uploads in parts that did not end: a server keeps the parts, and shows them in no listing of objects.

The client has no public way to them (minio 7.2), so this uses the private one.
"""

from __future__ import annotations

from datetime import UTC
from typing import Any

from minio import Minio
from minio.error import S3Error

from vqi.store.interface import Unfinished
from vqi.store.s3_errors import NotS3Error, understood

MOST_PAGES = 1000  # a page has up to 1,000 uploads


def list_unfinished(client: Minio, bucket: str, prefix: str) -> list[Unfinished]:
    """The uploads in parts below a prefix that did not end; their keys are those in the bucket.

    Raises:
        NotS3Error: The server's answers cannot be those of a listing, or have no end.
        MinioException, HTTPError: It refuses, or does not respond.
    """
    found: list[Unfinished] = []
    key = upload = None
    for _ in range(MOST_PAGES):
        page = understood(
            client._list_multipart_uploads, bucket, prefix=prefix, key_marker=key, upload_id_marker=upload
        )
        found += [_unfinished(client, bucket, one) for one in page.uploads if one.object_name.startswith(prefix)]
        if not page.is_truncated:
            return sorted(found)
        key, upload = page.next_key_marker, page.next_upload_id_marker
    raise NotS3Error(f"a listing of unfinished uploads without an end: {len(found)} so far")


def abort(client: Minio, bucket: str, left: Unfinished) -> None:
    """Remove the parts of an upload, unless it has ended meanwhile."""
    try:
        understood(client._abort_multipart_upload, bucket, left.key, left.upload)
    except S3Error as error:
        if error.code != "NoSuchUpload":
            raise


def _unfinished(client: Minio, bucket: str, upload: Any) -> Unfinished:
    """An upload with the size of what is there of it; more than 1,000 parts are not counted."""
    name, number = upload.object_name, upload.upload_id
    if not isinstance(number, str) or not number:
        raise NotS3Error("an unfinished upload without an id")
    began = upload.initiated_time
    size = 0
    try:
        parts = understood(client._list_parts, bucket, name, number).parts
        size = sum(one.size or 0 for one in parts)
    except S3Error as error:
        if error.code != "NoSuchUpload":  # it has ended meanwhile
            raise
    return Unfinished(name, number, size, began.astimezone(UTC) if began else None)
