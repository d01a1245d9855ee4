"""The two clients of an S3 server, with the key of the environment.

``connect``: minio's, for everything but bodies. ``connect_reader``: obstore's, for bodies: it reads them in Rust, so
that many at once do not wait for each other's turn in the interpreter, and goes on where one broke off.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import certifi
import urllib3
from minio import Minio
from obstore.store import S3Store
from requests.utils import get_auth_from_url, get_environ_proxies

from vqi.errors import VqiError

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config

ENDPOINT = "VQI_S3_ENDPOINT"
CONNECTIONS = 16  # kept open, for many small objects at once
CONNECT_SECONDS, READ_SECONDS = 5.0, 60.0
RETRIES, FIRST_WAIT = 4, 0.25  # seconds, doubled from one attempt to the next
BUSY = (500, 502, 503, 504)


def connect(endpoint: str) -> Minio:
    """A client for ``http(s)://host:port``, with bounded retries and timeouts."""
    host, secure = _parts(endpoint)
    pool = _pool(
        endpoint,
        maxsize=CONNECTIONS,
        timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
        retries=urllib3.Retry(
            total=RETRIES,
            backoff_factor=FIRST_WAIT,
            status_forcelist=BUSY,
            raise_on_status=False,  # so that the last answer, which says why, reaches the client
        ),
        cert_reqs="CERT_REQUIRED",
        ca_certs=_certificates(),
    )
    access_key, secret_key, token, region = _key()
    return Minio(host, access_key, secret_key, token, secure=secure, region=region, http_client=pool)


def connect_reader(endpoint: str, bucket: str) -> S3Store:
    """What reads bodies of a bucket's objects, with the same retries and timeouts."""
    _, secure = _parts(endpoint)
    access_key, secret_key, token, region = _key()
    config: S3Config = {
        "endpoint": endpoint.rstrip("/"),
        "region": region,
        "access_key_id": access_key,
        "secret_access_key": secret_key,
    }
    client: ClientConfig = {
        "allow_http": not secure,
        "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
        "read_timeout": timedelta(seconds=READ_SECONDS),
        "timeout": timedelta(days=1),  # of a whole body, which may be large
    }
    if token:
        config["session_token"] = token
    if secure:
        client["root_certificate"] = Path(_certificates()).read_bytes()
    retries: RetryConfig = {"max_retries": RETRIES, "backoff": {"init_backoff": timedelta(seconds=FIRST_WAIT)}}
    return S3Store(bucket, config=config, client_options=client, retry_config=retries)


def setting(name: str, what: str) -> str:
    """A variable of the environment that an s3:// store cannot do without.

    Raises:
        VqiError: It is not set.
    """
    value = os.environ.get(name, "")
    if not value:
        raise VqiError(f"an s3:// store needs the environment variable {name} ({what}), which is not set")
    return value


def _pool(endpoint: str, **settings: Any) -> urllib3.PoolManager:
    """Connections to a server, through the proxy of the environment where there is one; obstore sees to that itself."""
    proxy = get_environ_proxies(endpoint).get(urlsplit(endpoint).scheme)
    if not proxy:
        return urllib3.PoolManager(**settings)
    login = ":".join(get_auth_from_url(proxy))
    headers = urllib3.make_headers(proxy_basic_auth=login) if login != ":" else None
    return urllib3.ProxyManager(proxy, proxy_headers=headers, **settings)


def _parts(endpoint: str) -> tuple[str, bool]:
    """Host and port, and whether it speaks TLS."""
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/"):
        raise VqiError(f"{ENDPOINT} is '{endpoint}': expected http(s)://host:port")
    return parts.netloc, parts.scheme == "https"


def _key() -> tuple[str, str, str | None, str]:
    """Access key, secret key, session token and region."""
    return (
        setting("AWS_ACCESS_KEY_ID", "the access key"),
        setting("AWS_SECRET_ACCESS_KEY", "the secret key"),
        os.environ.get("AWS_SESSION_TOKEN") or None,
        os.environ.get("AWS_REGION") or "us-east-1",
    )


def _certificates() -> str:
    """The file of the certificate authorities that are trusted."""
    return os.environ.get("SSL_CERT_FILE") or certifi.where()
