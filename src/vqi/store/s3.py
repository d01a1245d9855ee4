"""The store behind ``s3://``: any server that speaks S3, through the clients of ``s3_clients``.

The sha256 of an object is its user metadata ``x-amz-meta-sha256``: sent with the put, compared on every get. An object
that something else put there has none, and is read unchecked.
"""

from __future__ import annotations

import hashlib
import io
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import obstore
import obstore.store
from minio import Minio
from minio.error import MinioException, S3Error
from obstore.exceptions import BaseError
from urllib3.exceptions import HTTPError

from vqi.digests import sha256_bytes, sha256_file
from vqi.errors import UnavailableError, VqiError
from vqi.store.interface import READABLE, ObjectInfo, VersionedStore, VersionInfo, check_key, corrupted
from vqi.store.s3_clients import ENDPOINT, connect, connect_reader, first_line, setting
from vqi.store.s3_errors import explain, may_pass
from vqi.system.atomic import atomic_path

PART_BYTES = 16 << 20  # one part of a multipart upload; objects above it go up in parallel parts
PARALLEL_PARTS = 4
PIECE = 1 << 20  # bytes of a body that are handed over at a time
SIGNED_FOR = timedelta(days=1)
Headers = dict[str, str | list[str] | tuple[str]]  # as the client types them
SHA256 = "sha256"
METADATA_SHA256, METADATA_WRITER = f"x-amz-meta-{SHA256}", "x-amz-meta-writer"


class S3Store(VersionedStore):
    """Objects of a bucket, below a prefix; see ``Store``. The bucket is made with the first put where it is absent."""

    def __init__(self, bucket: str, prefix: str) -> None:
        if not bucket:
            raise VqiError("the URI of a store names no bucket: expected s3://bucket/prefix")
        self.bucket = bucket
        self.prefix = f"{check_key(prefix)}/" if prefix else ""
        self.uri = f"s3://{bucket}/{prefix}".rstrip("/")
        self.endpoint = setting(ENDPOINT, "http(s)://host:port of the object store")
        self._client = connect(self.endpoint)
        self._bucket_known = False

    def put_file(self, key: str, path: Path) -> None:
        """See ``Store.put_file``."""
        with self._errors("write", key):
            digest = sha256_file(path)
            with path.open("rb") as source:
                self._put(key, source, path.stat().st_size, digest)

    def put_bytes(self, key: str, data: bytes) -> None:
        """See ``Store.put_bytes``."""
        with self._errors("write", key):
            self._put(key, io.BytesIO(data), len(data), sha256_bytes(data))

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """See ``Store.put_if_absent``."""
        with self._errors("write", key):
            self._ensure_bucket()
            return put_if_none_match(self._client, self.bucket, self._name(key), data)

    def get_file(self, key: str, path: Path) -> str:
        """See ``Store.get_file``."""
        with self._errors("read", key), atomic_path(path, READABLE) as temporary, temporary.open("xb") as target:
            return self._fetch(key, target)

    def get_bytes(self, key: str) -> bytes:
        """See ``Store.get_bytes``."""
        with self._errors("read", key), io.BytesIO() as target:
            self._fetch(key, target)
            return target.getvalue()

    def exists(self, key: str) -> bool:
        """See ``Store.exists``."""
        with self._errors("look for", key):
            try:
                self._client.stat_object(self.bucket, self._name(key))
            except S3Error as error:
                if error.code in ("NoSuchKey", "NoSuchBucket"):
                    return False
                raise
            return True

    def delete(self, key: str) -> None:
        """See ``Store.delete``."""
        with self._errors("delete", key):
            try:
                self._client.remove_object(self.bucket, self._name(key))
            except S3Error as error:
                if error.code != "NoSuchBucket":
                    raise

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """See ``Store.list``."""
        if prefix:
            check_key(prefix.rstrip("/"))
        with self._errors("list", prefix):
            try:
                found = list(self._client.list_objects(self.bucket, self.prefix + prefix, recursive=True))
            except S3Error as error:
                if error.code != "NoSuchBucket":
                    raise
                found = []
        cut = len(self.prefix)
        return iter(sorted(ObjectInfo(item.object_name[cut:], item.size or 0) for item in found if not item.is_dir))

    def list_versions(self) -> tuple[VersionInfo, ...]:
        """See ``VersionedStore.list_versions``."""
        with self._errors("list", ""):
            found = list(self._client.list_objects(self.bucket, self.prefix, recursive=True))
        cut = len(self.prefix)
        versions = (VersionInfo(one.object_name[cut:], one.etag, one.size or 0) for one in found if not one.is_dir)
        return tuple(sorted(versions))

    def version_of(self, key: str) -> VersionInfo:
        """See ``VersionedStore.version_of``."""
        with self._errors("read", key):
            found = self._client.stat_object(self.bucket, self._name(key))
            return VersionInfo(key, str(found.etag), found.size or 0)

    def get_version(self, version: VersionInfo, path: Path) -> None:
        """See ``VersionedStore.get_version``."""
        with (
            self._errors("read", version.key),
            atomic_path(path, READABLE) as temporary,
            temporary.open("xb") as target,
        ):
            try:
                self._fetch(version.key, target, version.etag)
            except S3Error as error:
                if error.code != "PreconditionFailed":
                    raise
                raise VqiError(
                    f"{self.uri_of(version.key)} changed since it was listed (its ETag was {version.etag}): "
                    "take a new snapshot"
                ) from error

    def signed_url(self, key: str) -> str:
        """See ``VersionedStore.signed_url``."""
        with self._errors("read", key):
            self._client.stat_object(self.bucket, self._name(key))
            return str(self._client.presigned_get_object(self.bucket, self._name(key), expires=SIGNED_FOR))

    def _name(self, key: str) -> str:
        return self.prefix + check_key(key)

    def _put(self, key: str, source: BinaryIO, size: int, digest: str) -> None:
        self._ensure_bucket()
        self._client.put_object(
            self.bucket,
            self._name(key),
            source,
            size,
            metadata={METADATA_SHA256: digest},
            part_size=PART_BYTES,
            num_parallel_uploads=PARALLEL_PARTS,
        )

    def _ensure_bucket(self) -> None:
        """Make the bucket where it is absent. A key that may not even ask continues: the put itself will tell."""
        if self._bucket_known:
            return
        try:
            if not self._client.bucket_exists(self.bucket):
                self._client.make_bucket(self.bucket)
        except S3Error as error:
            if error.code not in ("AccessDenied", "BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                raise
        self._bucket_known = True

    @cached_property
    def _reader(self) -> obstore.store.S3Store:
        return connect_reader(self._client, self.bucket)

    def _fetch(self, key: str, target: BinaryIO, etag: str = "") -> str:
        """Write an object into ``target``, in the version of that ETag where one is given, and return its sha256.

        A body may break off. The digest of a version is usually neither known nor needed: then it is ''.
        """
        body = self._open(key, etag)
        expected = str(body.attributes.get(SHA256, ""))
        digest = hashlib.sha256()
        try:
            for piece in (body.bytes(),) if body.meta["size"] <= PIECE else body.stream(PIECE):
                if expected or not etag:
                    digest.update(piece)
                target.write(piece)
        except BaseError as error:
            self._refuse(key, etag)
            raise UnavailableError(f"cannot read {self.uri_of(key)}: it broke off; run the command again") from error
        if expected and expected != digest.hexdigest():
            raise corrupted(self.uri_of(key), expected, digest.hexdigest())
        return digest.hexdigest() if expected or not etag else ""

    def _open(self, key: str, etag: str) -> obstore.GetResult:
        """The answer to a get; requested again where the server was away and is back now."""
        options: obstore.GetOptions = {"if_match": f'"{etag}"'} if etag else {}
        try:
            return obstore.get(self._reader, self._name(key), options=options)
        except (BaseError, FileNotFoundError):
            self._refuse(key, etag)
        try:
            return obstore.get(self._reader, self._name(key), options=options)
        except (BaseError, FileNotFoundError) as error:
            raise VqiError(f"cannot read {self.uri_of(key)}: {first_line(error)}") from error

    def _refuse(self, key: str, etag: str) -> None:
        """Ask for an object with the other client: raises the server's own words where the server refuses."""
        conditions: Headers = {"If-Match": f'"{etag}"'} if etag else {}
        self._client.get_object(self.bucket, self._name(key), request_headers=conditions).close()

    @contextmanager
    def _errors(self, action: str, key: str) -> Iterator[None]:
        try:
            yield
        except (MinioException, HTTPError, OSError, ValueError) as error:
            reason = explain(error, self.endpoint, self.bucket)
            kind = UnavailableError if may_pass(error) else VqiError
            raise kind(f"cannot {action} {self.uri}/{key} at {self.endpoint}: {reason}") from error


def put_if_none_match(client: Minio, bucket: str, name: str, data: bytes) -> bool:
    """Store ``data`` only where ``name`` is free: True when this call stored it.

    The client has no public way to send ``If-None-Match`` with a put (minio 7.2), so this one function uses the private
    one. A put that the client sent again after its answer was lost would look like a lost race: the writer's own token
    distinguishes the two.
    """
    writer = uuid.uuid4().hex
    headers: Headers = {
        "If-None-Match": "*",
        METADATA_SHA256: sha256_bytes(data),
        METADATA_WRITER: writer,
    }
    try:
        client._execute("PUT", bucket, name, body=data, headers=headers)
    except S3Error as error:
        if error.code not in ("PreconditionFailed", "ConditionalRequestConflict"):
            raise
        stored = client.stat_object(bucket, name).metadata or {}
        return stored.get(METADATA_WRITER) == writer
    return True
