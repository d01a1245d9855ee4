"""Bodies of objects: read in one version, of the size that was promised, in bounded time, and checked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cached_property
from typing import BinaryIO, NamedTuple

import obstore
from minio.error import S3Error
from obstore.exceptions import BaseError

from vqi.errors import UnavailableError, VqiError
from vqi.store.interface import corrupted
from vqi.store.s3_clients import Client, connect_reader, first_line
from vqi.store.s3_errors import NotS3Error, understood

PIECE = 1 << 20  # bytes of a body that are handed over at a time
REQUEST_BYTES = 16 << 20  # of a body that are asked for at a time: each request has its time, as long as any body is
SHA256 = "sha256"  # in the user metadata of an object
Headers = dict[str, str | list[str] | tuple[str]]  # as the client types them


class Wanted(NamedTuple):
    """An object of a bucket."""

    uri: str  # for messages
    name: str  # its whole key in the bucket
    etag: str = ""  # of the version that is wanted; '' for any
    size: int | None = None  # bytes of that version; None for any
    most: int | None = None  # bytes for which there is room; None where that was looked at


class BodyReader:
    """Reads objects of a bucket."""

    def __init__(self, client: Client, bucket: str) -> None:
        self._client, self._bucket = client, bucket

    @cached_property
    def _reader(self) -> obstore.store.S3Store:
        return connect_reader(self._client, self._bucket)

    def fetch(self, wanted: Wanted, target: BinaryIO) -> str:
        """Write an object into ``target``, and return its sha256.

        The digest of a version is usually neither known nor needed: then it is ''.

        Raises:
            VqiError: It has another version, another size, or other bytes than its sha256 says; or it is too large.
            UnavailableError: It broke off, or came too slowly.
        """
        body = self._open(wanted)
        size, expected = body.meta["size"], str(body.attributes.get(SHA256, ""))
        digest, came = hashlib.sha256(), 0
        pieces = self._pieces(wanted, body)
        del body  # they hang up where they ask again
        try:
            for piece in pieces:
                if expected or not wanted.etag:
                    digest.update(piece)
                target.write(piece)
                came += len(piece)
        except (BaseError, FileNotFoundError) as error:
            self._refuse(wanted)
            raise UnavailableError(f"cannot read {wanted.uri}: it broke off; run the command again") from error
        if came != size:
            raise UnavailableError(f"cannot read {wanted.uri}: {came} of {size} bytes came; run the command again")
        if expected and expected != digest.hexdigest():
            raise corrupted(wanted.uri, expected, digest.hexdigest())
        return digest.hexdigest() if expected or not wanted.etag else ""

    def _open(self, wanted: Wanted) -> obstore.GetResult:
        """The answer to a get, of the version that is wanted; asked again where the server was away and is back now."""
        options: obstore.GetOptions = {"if_match": f'"{wanted.etag}"'} if wanted.etag else {}
        try:
            body = obstore.get(self._reader, wanted.name, options=options)
        except (BaseError, FileNotFoundError):
            self._refuse(wanted)
            try:
                body = obstore.get(self._reader, wanted.name, options=options)
            except (BaseError, FileNotFoundError) as error:
                raise VqiError(f"cannot read {wanted.uri}: {first_line(error)}") from error
        _check(wanted, body)
        return body

    def _pieces(self, wanted: Wanted, body: obstore.GetResult) -> Iterator[obstore.Bytes]:
        """The body. A large one is not read in one request, whose time would have to be that of the largest."""
        size = body.meta["size"]
        if size <= PIECE:
            yield body.bytes()
        elif size <= REQUEST_BYTES:
            yield from body.stream(PIECE)
        else:
            etag = body.meta["e_tag"] or ""
            del body
            for start in range(0, size, REQUEST_BYTES):
                asked: obstore.GetOptions = {"if_match": etag, "range": (start, min(start + REQUEST_BYTES, size))}
                part = obstore.get(self._reader, wanted.name, options=asked)
                if (part.meta["e_tag"], part.meta["size"]) != (etag, size):
                    raise UnavailableError(f"{wanted.uri} changed while it was read: run the command again")
                yield from part.stream(PIECE)

    def _refuse(self, wanted: Wanted) -> None:
        """Ask for an object with the other client: raises the server's own words where the server refuses."""
        conditions: Headers = {"If-Match": f'"{wanted.etag}"'} if wanted.etag else {}
        try:
            understood(self._client.minio.get_object, self._bucket, wanted.name, request_headers=conditions).close()
        except S3Error as error:
            if error.code != "PreconditionFailed" or not wanted.etag:
                raise
            raise _changed(wanted, f"its ETag was {wanted.etag}") from error


def _check(wanted: Wanted, body: obstore.GetResult) -> None:
    """Whether an answer has what was asked for: not every server looks at the condition.

    Raises:
        VqiError: It has another version or another size, or more bytes than may be read.
    """
    size, etag = body.meta["size"], (body.meta["e_tag"] or "").strip('"')
    if not etag:
        raise NotS3Error("an object without an ETag")
    if wanted.etag and etag != wanted.etag:
        raise _changed(wanted, f"its ETag was {wanted.etag} and is {etag}")
    if wanted.size is not None and size != wanted.size:
        raise _changed(wanted, f"it had {wanted.size} bytes and has {size}")
    if wanted.most is not None and size > wanted.most:
        raise VqiError(f"{wanted.uri} has {size} bytes: there is room for {wanted.most} here")


def _changed(wanted: Wanted, how: str) -> VqiError:
    return VqiError(f"{wanted.uri} changed since it was listed ({how}): take a new snapshot")
