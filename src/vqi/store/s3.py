"""The store behind ``s3://``: any server that speaks S3, through the minio client.

The sha256 of an object is its user metadata ``x-amz-meta-sha256``: sent with the put, compared on every get. An object
that something else put there has none, and is read unchecked.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import urlsplit

import certifi
import urllib3
from minio import Minio
from minio.error import MinioException, S3Error
from urllib3.exceptions import HTTPError

from vqi.digests import CHUNK, sha256_bytes, sha256_file
from vqi.errors import VqiError
from vqi.store.interface import ObjectInfo, Store, check_key, corrupted
from vqi.store.s3_errors import explain

ENDPOINT = "VQI_S3_ENDPOINT"
PART_BYTES = 16 << 20  # one part of a multipart upload; objects above it go up in parallel parts
PARALLEL_PARTS = 4
READ_ATTEMPTS = 3  # of a body that broke off: the client retries requests, not bodies
CONNECT_SECONDS, READ_SECONDS = 5.0, 60.0
RETRIES = urllib3.Retry(
    total=4,
    backoff_factor=0.25,
    status_forcelist=[500, 502, 503, 504],
    raise_on_status=False,  # so that the last answer, which says why, reaches the client
)
METADATA_SHA256, METADATA_WRITER = "x-amz-meta-sha256", "x-amz-meta-writer"


class S3Store(Store):
    """Objects of a bucket, below a prefix; see ``Store``. The bucket is made with the first put where it is absent."""

    def __init__(self, bucket: str, prefix: str) -> None:
        if not bucket:
            raise VqiError("the URI of a store names no bucket: expected s3://bucket/prefix")
        self.bucket = bucket
        self.prefix = f"{check_key(prefix)}/" if prefix else ""
        self.uri = f"s3://{bucket}/{prefix}".rstrip("/")
        self.endpoint = _setting(ENDPOINT, "http(s)://host:port of the object store")
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

    def get_file(self, key: str, path: Path) -> None:
        """See ``Store.get_file``."""
        with self._errors("read", key), _temporary(path) as (target, temporary):
            self._fetch(key, target)
            target.close()
            temporary.replace(path)

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
        """Make the bucket where it is absent. A key that may not even ask goes on: the put itself will tell."""
        if self._bucket_known:
            return
        try:
            if not self._client.bucket_exists(self.bucket):
                self._client.make_bucket(self.bucket)
        except S3Error as error:
            if error.code not in ("AccessDenied", "BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                raise
        self._bucket_known = True

    def _fetch(self, key: str, target: BinaryIO) -> None:
        """Write the object into ``target``; begun again where the connection breaks off in the middle."""
        for attempt in range(READ_ATTEMPTS):
            target.seek(0)
            target.truncate()
            try:
                expected, got = self._stream(key, target)
            except HTTPError:
                if attempt == READ_ATTEMPTS - 1:
                    raise
                continue
            if expected and expected != got:
                raise corrupted(self.uri_of(key), expected, got)
            return

    def _stream(self, key: str, target: BinaryIO) -> tuple[str, str]:
        """Copy the body of a get: the sha256 that was noted ('' for none) and the one that came."""
        with closing(self._client.get_object(self.bucket, self._name(key))) as response:
            digest = hashlib.sha256()
            for piece in response.stream(CHUNK):
                digest.update(piece)
                target.write(piece)
            return response.headers.get(METADATA_SHA256, ""), digest.hexdigest()

    @contextmanager
    def _errors(self, action: str, key: str) -> Iterator[None]:
        try:
            yield
        except (MinioException, HTTPError, OSError, ValueError) as error:
            reason = explain(error, self.endpoint, self.bucket)
            raise VqiError(f"cannot {action} {self.uri}/{key} at {self.endpoint}: {reason}") from error


def put_if_none_match(client: Minio, bucket: str, name: str, data: bytes) -> bool:
    """Store ``data`` only where ``name`` is free: True when this call stored it.

    The client has no public way to send ``If-None-Match`` with a put (minio 7.2), so this one function uses the private
    one. A put that the client sent again after its answer was lost would look like a lost race: the writer's own token
    tells.
    """
    writer = uuid.uuid4().hex
    headers: dict[str, str | list[str] | tuple[str]] = {
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


def connect(endpoint: str) -> Minio:
    """A client for ``http(s)://host:port`` with the key of the environment, bounded retries and timeouts."""
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/"):
        raise VqiError(f"{ENDPOINT} is '{endpoint}': expected http(s)://host:port")
    pool = urllib3.PoolManager(
        maxsize=2 * PARALLEL_PARTS,
        timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
        retries=RETRIES,
        cert_reqs="CERT_REQUIRED",
        ca_certs=os.environ.get("SSL_CERT_FILE") or certifi.where(),
    )
    return Minio(
        parts.netloc,
        access_key=_setting("AWS_ACCESS_KEY_ID", "the access key"),
        secret_key=_setting("AWS_SECRET_ACCESS_KEY", "the secret key"),
        session_token=os.environ.get("AWS_SESSION_TOKEN") or None,
        secure=parts.scheme == "https",
        region=os.environ.get("AWS_REGION") or "us-east-1",
        http_client=pool,
    )


def _setting(name: str, what: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise VqiError(f"an s3:// store needs the environment variable {name} ({what}), which is not set")
    return value


@contextmanager
def _temporary(target: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """An open file beside ``target`` and its path; gone afterwards in any case."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(prefix=".tmp-", dir=target.parent, delete=False) as opened:
        path = Path(opened.name)
        path.chmod(0o644)
        try:
            yield cast(BinaryIO, opened), path
        finally:
            path.unlink(missing_ok=True)
