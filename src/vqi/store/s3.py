"""The store behind ``s3://``: any server that speaks S3, through the clients of ``s3_clients``.

The sha256 of an object is its user metadata ``x-amz-meta-sha256``: sent with the put, compared on every get. An object
that something else put there has none, and is read unchecked.
"""

from __future__ import annotations

import io
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

from minio import Minio
from minio.error import MinioException, S3Error
from urllib3.exceptions import HTTPError

from vqi.digests import sha256_bytes, sha256_file
from vqi.errors import UnavailableError, VqiError
from vqi.store.interface import (
    LARGEST_IN_MEMORY,
    READABLE,
    AllUnfinished,
    ConditionsError,
    ObjectInfo,
    Tagged,
    Unfinished,
    VersionedStore,
    VersionInfo,
    check_key,
)
from vqi.store.s3_clients import connect
from vqi.store.s3_errors import NotS3Error, explain, may_pass, understood
from vqi.store.s3_listing import Listed, list_objects
from vqi.store.s3_reading import SHA256, BodyReader, Headers, Wanted
from vqi.store.s3_settings import check_bucket
from vqi.store.s3_unfinished import abort, list_unfinished
from vqi.system.atomic import atomic_path
from vqi.system.files import open_regular

PART_BYTES = 16 << 20  # one part of a multipart upload; objects above it go up in parallel parts
PARALLEL_PARTS = 4
SIGNED_FOR = timedelta(days=1)
PROBE = b"Whether this server looks at the conditions of a put is tried on this object.\n"
READ_AGAIN = 20  # times, for an object that is replaced all the time
BYTES = "application/octet-stream"
METADATA_SHA256, METADATA_WRITER = f"x-amz-meta-{SHA256}", "x-amz-meta-writer"


class S3Store(VersionedStore):
    """Objects of a bucket, below a prefix; see ``Store``. The bucket is made with the first put where it is absent."""

    def __init__(self, bucket: str, prefix: str) -> None:
        client = connect()  # first: what is wrong with the environment is wrong with every uri
        self.bucket = check_bucket(bucket)
        self.prefix = f"{check_key(prefix)}/" if prefix else ""
        self.uri = f"s3://{bucket}/{prefix}".rstrip("/")
        self.endpoint, self.authorities = client.server.endpoint, client.server.authorities
        self._client, self._keys = client.minio, client.keys
        self._bodies = BodyReader(client, bucket)
        self._bucket_known = self._conditions_known = False

    def check(self) -> None:
        """See ``Store.check``: the key is asked for, which a server far away may have to give."""
        self._keys.retrieve()

    def put_file(self, key: str, path: Path) -> None:
        """See ``Store.put_file``."""
        with self._errors("write", key), open_regular(path) as source:
            self._put(key, source, os.fstat(source.fileno()).st_size, sha256_file(path))

    def put_bytes(self, key: str, data: bytes) -> None:
        """See ``Store.put_bytes``."""
        with self._errors("write", key):
            self._put(key, io.BytesIO(data), len(data), sha256_bytes(data))

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """See ``Store.put_if_absent``. It asks first: a server may know no condition, and only races go wrong then."""
        if self.exists(key):
            return False
        with self._errors("write", key):
            self._ensure_bucket()
            return put_if_none_match(self._client, self.bucket, self._name(key), data)

    def get_tagged(self, key: str) -> Tagged | None:
        """See ``Store.get_tagged``: what is read has that ETag; where it changed, it is read again."""
        for _ in range(READ_AGAIN):
            found = self._found(key)
            if found is None:
                return None
            wanted = Wanted(self.uri_of(key), self._name(key), found.etag, found.size, LARGEST_IN_MEMORY)
            try:
                with self._errors("read", key), io.BytesIO() as target:
                    self._bodies.fetch(wanted, target)
                    return Tagged(target.getvalue(), found.etag)
            except VqiError:
                if self._etag(key) == found.etag:
                    raise
        raise UnavailableError(f"cannot read {self.uri_of(key)}: it is replaced all the time; run the command again")

    def replace(self, key: str, data: bytes, tag: str) -> bool:
        """See ``Store.replace``. It asks first, as ``put_if_absent`` does."""
        if self._etag(key) != tag:
            return False
        with self._errors("write", key):
            stored = put_if_match(self._client, self.bucket, self._name(key), data, tag)
        if not stored and self._etag(key) == tag:
            raise UnavailableError(
                f"cannot write {self.uri_of(key)} at {self.endpoint}: the server says that it changed, and it has not; "
                "run the command again"
            )
        return stored

    def check_conditions(self, key: str) -> None:
        """See ``Store.check_conditions``; a server is asked once."""
        if self._conditions_known:
            return
        if not self.exists(key):
            self.put_bytes(key, PROBE)
        with self._errors("write", key):
            name = self._name(key)
            try:
                ignored = put_if_none_match(self._client, self.bucket, name, PROBE)
                ignored = put_if_match(self._client, self.bucket, name, PROBE, "0" * 32) or ignored
            except S3Error as error:
                if error.code != "NotImplemented":
                    raise
                ignored = True
        if ignored:
            raise ConditionsError(
                f"{self.uri}: the object store at {self.endpoint} ignores the conditions If-None-Match and If-Match of "
                "a put, so that two writers at once could both win: use a store that looks at them"
            )
        self._conditions_known = True

    def _etag(self, key: str) -> str:
        """The ETag of an object; '' where there is none."""
        found = self._found(key)
        return found.etag if found else ""

    def _found(self, key: str) -> VersionInfo | None:
        """An object as it is now; None where there is none."""
        with self._errors("look for", key):
            try:
                return self._stat(key)
            except S3Error as error:
                if error.code in ("NoSuchKey", "NoSuchBucket"):
                    return None
                raise

    def get_file(self, key: str, path: Path) -> str:
        """See ``Store.get_file``."""
        with self._errors("read", key), atomic_path(path, READABLE) as temporary, temporary.open("xb") as target:
            room = shutil.disk_usage(path.parent).free
            return self._bodies.fetch(Wanted(self.uri_of(key), self._name(key), most=room), target)

    def get_bytes(self, key: str) -> bytes:
        """See ``Store.get_bytes``."""
        wanted = Wanted(self.uri_of(key), self._name(key), most=LARGEST_IN_MEMORY)
        with self._errors("read", key), io.BytesIO() as target:
            self._bodies.fetch(wanted, target)
            return target.getvalue()

    def exists(self, key: str) -> bool:
        """See ``Store.exists``."""
        return self._found(key) is not None

    def delete(self, key: str) -> None:
        """See ``Store.delete``."""
        with self._errors("delete", key):
            try:
                understood(self._client.remove_object, self.bucket, self._name(key))
                if self.exists(key):
                    raise NotS3Error("an object was deleted, and is still there")
            except S3Error as error:
                if error.code != "NoSuchBucket":
                    raise

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """See ``Store.list``."""
        if prefix:
            check_key(prefix.rstrip("/"))
        with self._errors("list", prefix):
            try:
                found = list_objects(self._client, self.bucket, self.prefix + prefix)
            except S3Error as error:
                if error.code != "NoSuchBucket":
                    raise
                found = []
        return iter([ObjectInfo(self._key(one), one.size, one.modified) for one in found])

    def unfinished(self) -> AllUnfinished | None:
        """See ``Store.unfinished``: uploads in parts."""
        with self._errors("list the unfinished uploads of", ""):
            try:
                found = list_unfinished(self._client, self.bucket, self.prefix)
            except S3Error as error:
                if error.code in ("NotImplemented", "MethodNotAllowed"):
                    return None
                if error.code != "NoSuchBucket":
                    raise
                found = []
        return [one._replace(key=one.key[len(self.prefix) :]) for one in found]

    def discard(self, left: Unfinished) -> None:
        """See ``Store.discard``."""
        with self._errors("delete the unfinished upload of", left.key):
            abort(self._client, self.bucket, left._replace(key=self._name(left.key)))

    def list_versions(self) -> tuple[VersionInfo, ...]:
        """See ``VersionedStore.list_versions``."""
        with self._errors("list", ""):
            found = list_objects(self._client, self.bucket, self.prefix)
            unversioned = next((one.name for one in found if not one.etag), "")
            if unversioned:
                raise NotS3Error(f"an object without an ETag, {unversioned!a:.200}")
        return tuple(VersionInfo(self._key(one), one.etag, one.size) for one in found)

    def version_of(self, key: str) -> VersionInfo:
        """See ``VersionedStore.version_of``."""
        with self._errors("read", key):
            return self._stat(key)

    def get_version(self, version: VersionInfo, path: Path) -> None:
        """See ``VersionedStore.get_version``."""
        wanted = Wanted(self.uri_of(version.key), self._name(version.key), version.etag, version.size)
        with (
            self._errors("read", version.key),
            atomic_path(path, READABLE) as temporary,
            temporary.open("xb") as target,
        ):
            self._bodies.fetch(wanted, target)

    def signed_url(self, key: str) -> str:
        """See ``VersionedStore.signed_url``."""
        with self._errors("read", key):
            self._stat(key)
            return str(self._client.presigned_get_object(self.bucket, self._name(key), expires=SIGNED_FOR))

    def _name(self, key: str) -> str:
        return self.prefix + check_key(key)

    def _key(self, listed: Listed) -> str:
        return listed.name[len(self.prefix) :]

    def _stat(self, key: str) -> VersionInfo:
        found = understood(self._client.stat_object, self.bucket, self._name(key))
        said = found.metadata or {}  # all that the answer says
        length = said.get("content-length") or ""
        if not found.etag or not length.isdecimal() or "content-range" in said:
            raise NotS3Error("an object without an ETag or a size")
        return VersionInfo(key, found.etag, int(length))

    def _put(self, key: str, source: BinaryIO, size: int, digest: str) -> None:
        self._ensure_bucket()
        written = understood(
            self._client.put_object,
            self.bucket,
            self._name(key),
            source,
            size,
            metadata={METADATA_SHA256: digest},
            part_size=PART_BYTES,
            num_parallel_uploads=PARALLEL_PARTS,
        )
        if not written.etag:  # an error can come with status 200 where parts are put together
            raise NotS3Error("an object was sent, and the answer has no ETag")
        if size > PART_BYTES and (kept := self._stat(key).size) != size:
            raise NotS3Error(f"an object of {size} bytes was sent in parts, and has {kept}")

    def _ensure_bucket(self) -> None:
        """Make the bucket where it is absent. A key that may not even ask continues: the put itself will tell."""
        if self._bucket_known:
            return
        try:
            if not understood(self._client.bucket_exists, self.bucket):
                understood(self._client.make_bucket, self.bucket)
        except S3Error as error:
            if error.code not in ("AccessDenied", "BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                raise
        self._bucket_known = True

    @contextmanager
    def _errors(self, action: str, key: str) -> Iterator[None]:
        try:
            yield
        except (MinioException, HTTPError, OSError, ValueError) as error:
            reason = explain(error, self.endpoint, self.bucket)
            kind = UnavailableError if may_pass(error) else VqiError
            raise kind(f"cannot {action} {self.uri}/{key} at {self.endpoint}: {reason}") from error


def put_if_none_match(client: Minio, bucket: str, name: str, data: bytes) -> bool:
    """Store ``data`` only where ``name`` is free: True when this call stored it."""
    return _put_if(client, bucket, name, data, {"If-None-Match": "*"})


def put_if_match(client: Minio, bucket: str, name: str, data: bytes, etag: str) -> bool:
    """Store ``data`` only where ``name`` has this ETag: True when this call stored it."""
    try:
        return _put_if(client, bucket, name, data, {"If-Match": f'"{etag}"'})
    except S3Error as error:
        if error.code in ("NoSuchKey", "NoSuchBucket"):
            return False
        raise


def _put_if(client: Minio, bucket: str, name: str, data: bytes, condition: Headers) -> bool:
    """A put under a condition.

    The client has no public way to send one with a put (minio 7.2), so this one function uses the private one. A put
    that the client sent again after its answer was lost would look like a lost race: the writer's own token
    distinguishes the two.
    """
    writer = uuid.uuid4().hex
    # Without a type SeaweedFS looks at the body for one, and takes a body that never came for an empty one.
    described = {"Content-Type": BYTES, METADATA_SHA256: sha256_bytes(data), METADATA_WRITER: writer}
    headers: Headers = {**condition, **described}
    try:
        answer = understood(client._execute, "PUT", bucket, name, body=data, headers=headers)
    except S3Error as error:
        if error.code not in ("PreconditionFailed", "ConditionalRequestConflict"):
            raise
        stored = understood(client.stat_object, bucket, name).metadata or {}
        return stored.get(METADATA_WRITER) == writer
    if not answer.headers.get("etag"):
        raise NotS3Error("an object was sent, and the answer has no ETag")
    return True
