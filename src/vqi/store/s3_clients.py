"""The two clients of an S3 server, with the settings and the key of the environment.

``connect``: minio's, for everything but bodies. ``connect_reader``: obstore's, for bodies: it reads them in Rust, so
that many at a time do not wait for each other in the interpreter, and continues where one broke off.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from minio import Minio
from obstore.exceptions import BaseError
from obstore.store import S3Store

from vqi.errors import VqiError
from vqi.store import s3_connections
from vqi.store.s3_connections import connections, proxy_of
from vqi.store.s3_credentials import Keys, keys_of, profile_in_use
from vqi.store.s3_settings import Server, read_server

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config, S3Credential

REQUEST_SECONDS = timedelta(seconds=300)  # for what one request brings of a body
ATTEMPTS_SECONDS = timedelta(seconds=120)  # after which a request is not tried once more
NO_PROXY = "http://127.0.0.1:9"  # named and never used, where there is none: else obstore would look for one itself


class Client(NamedTuple):
    """How a server is asked."""

    minio: Minio
    server: Server
    keys: Keys


def connect() -> Client:
    """A client for the server of the environment. Nothing is sent yet.

    Raises:
        VqiError: The endpoint, the key, the proxy or the certificates of the environment are invalid.
    """
    profile = profile_in_use()
    server = read_server(profile_region=profile.region if profile else "")
    keys = keys_of(server, profile)
    parts = urlsplit(server.endpoint)
    pool = connections(server.endpoint, server.authorities, s3_connections.STORE)
    try:
        minio = Minio(
            parts.netloc, secure=parts.scheme == "https", region=server.region, credentials=keys, http_client=pool
        )
    except ValueError as error:  # an address of AWS itself has rules of its own
        raise VqiError(f"VQI_S3_ENDPOINT is '{server.endpoint}': {error}") from error
    return Client(minio, server, keys)


def connect_reader(client: Client, bucket: str) -> S3Store:
    """What reads bodies of a bucket's objects, where and as ``client`` does.

    obstore takes from the environment what it is not given (``AWS_ENDPOINT_URL_S3``, say): it is given everything.

    Raises:
        VqiError: There is no key, or a variable of the environment is nothing that obstore can take.
    """
    url = urlsplit(client.minio.presigned_get_object(bucket, "object"))  # not sent; it has the address of the bucket
    endpoint, patience = f"{url.scheme}://{url.netloc}", s3_connections.STORE
    proxy = proxy_of(endpoint)
    config: S3Config = {
        "endpoint": endpoint,
        "aws_endpoint_url_s3": endpoint,
        "virtual_hosted_style_request": not url.path.startswith(f"/{bucket}/"),
        "region": client.server.region,
        "s3_express": False,
        "skip_signature": False,
        "request_payer": False,
    }
    options: ClientConfig = {
        "allow_http": url.scheme == "http",
        "connect_timeout": timedelta(seconds=patience.connect),
        "read_timeout": timedelta(seconds=patience.silence),
        "timeout": REQUEST_SECONDS,
        "root_certificate": client.server.authorities.read_bytes(),  # also where the system has none
        "proxy_url": proxy or NO_PROXY,
    }
    if not proxy:
        options["proxy_excludes"] = str(url.hostname)
    retries: RetryConfig = {
        "max_retries": s3_connections.RETRIES,
        "backoff": {"init_backoff": timedelta(seconds=s3_connections.FIRST_WAIT)},
        "retry_timeout": ATTEMPTS_SECONDS,
    }
    try:
        return S3Store(
            bucket,
            config=config,
            client_options=options,
            retry_config=retries,
            credential_provider=_credentials(client.keys),
        )
    except BaseError as error:
        raise VqiError(f"cannot read from {endpoint}: {first_line(error)}: check the variables AWS_*") from error


def _credentials(keys: Keys) -> Callable[[], S3Credential]:
    def credential() -> S3Credential:
        key = keys.retrieve()
        return {
            "access_key_id": key.access_key,
            "secret_access_key": key.secret_key,
            "token": key.session_token,
            "expires_at": key.expiration.replace(tzinfo=UTC) if key.expiration else None,
        }

    return credential


def first_line(error: Exception) -> str:
    """What an error of obstore says, without its traces."""
    return str(error).partition("\n")[0].rstrip(".")
