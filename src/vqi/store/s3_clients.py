"""The two clients of an S3 server, with the key of the environment.

``connect``: minio's, for everything but bodies. ``connect_reader``: obstore's, for bodies: it reads them in Rust, so
that many at a time do not wait for each other in the interpreter, and continues where one broke off.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import certifi
import urllib3
from minio import Minio
from obstore.exceptions import BaseError
from obstore.store import S3Store
from requests.utils import get_auth_from_url, get_environ_proxies, select_proxy
from urllib3.exceptions import HTTPError

from vqi.errors import VqiError
from vqi.transfer.web import shown

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config, S3Credential

ENDPOINT = "VQI_S3_ENDPOINT"
CONNECTIONS = 16  # kept open, for many small objects at a time
CONNECT_SECONDS, READ_SECONDS = 5.0, 60.0
RETRIES, FIRST_WAIT = 4, 0.25  # seconds, doubled from one attempt to the next
BUSY = (500, 502, 503, 504)
WHOLE_BODY = timedelta(days=1)  # for one that may be large
NO_PROXY = "http://127.0.0.1:9"  # named and never used, where there is none: else obstore would look for one itself


def connect(endpoint: str) -> Minio:
    """A client for ``http(s)://host:port``, with bounded retries and timeouts.

    Raises:
        VqiError: The endpoint, the key, the proxy or the certificates of the environment are invalid.
    """
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/"):
        raise VqiError(f"{ENDPOINT} is '{endpoint}': expected http(s)://host:port")
    pool = _pool(
        proxy_of(endpoint),
        maxsize=CONNECTIONS,
        timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
        retries=urllib3.Retry(
            total=RETRIES,
            backoff_factor=FIRST_WAIT,
            status_forcelist=BUSY,
            raise_on_status=False,  # so that the last answer, which says why, reaches the client
        ),
        cert_reqs="CERT_REQUIRED",
        ca_certs=str(_certificates()),
    )
    key = _key()
    return Minio(
        parts.netloc,
        key.access,
        key.secret,
        key.token,
        secure=parts.scheme == "https",
        region=_region(),
        http_client=pool,
    )


def connect_reader(client: Minio, bucket: str) -> S3Store:
    """What reads bodies of a bucket's objects, where and as ``client`` does.

    obstore takes from the environment what it is not given (``AWS_ENDPOINT_URL_S3``, say): it is given everything.

    Raises:
        VqiError: A variable of the environment is nothing that obstore can take.
    """
    url = urlsplit(client.presigned_get_object(bucket, "object"))  # sends no request; it has the address of the bucket
    endpoint = f"{url.scheme}://{url.netloc}"
    key, proxy = _key(), proxy_of(endpoint)
    config: S3Config = {
        "endpoint": endpoint,
        "aws_endpoint_url_s3": endpoint,
        "virtual_hosted_style_request": not url.path.startswith(f"/{bucket}/"),
        "region": _region(),
        "s3_express": False,
        "skip_signature": False,
        "request_payer": False,
    }
    options: ClientConfig = {
        "allow_http": url.scheme == "http",
        "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
        "read_timeout": timedelta(seconds=READ_SECONDS),
        "timeout": WHOLE_BODY,
        "root_certificate": _certificates().read_bytes(),  # also where the system has none
        "proxy_url": proxy or NO_PROXY,
    }
    if not proxy:
        options["proxy_excludes"] = str(url.hostname)
    retries: RetryConfig = {
        "max_retries": RETRIES,
        "backoff": {"init_backoff": timedelta(seconds=FIRST_WAIT)},
        "retry_timeout": WHOLE_BODY,  # counted from the beginning of a body, however large it is
    }
    credential: S3Credential = {
        "access_key_id": key.access,
        "secret_access_key": key.secret,
        "token": key.token,
        "expires_at": None,
    }
    try:
        return S3Store(
            bucket,
            config=config,
            client_options=options,
            retry_config=retries,
            credential_provider=lambda: credential,
        )
    except BaseError as error:
        raise VqiError(f"cannot read from {endpoint}: {first_line(error)}: check the variables AWS_*") from error


def proxy_of(endpoint: str) -> str:
    """The proxy through which the environment sends requests to a server; '' for none."""
    proxy = select_proxy(endpoint, get_environ_proxies(endpoint)) or ""
    return proxy if "://" in proxy or not proxy else f"http://{proxy}"


def first_line(error: Exception) -> str:
    """What an error of obstore says, without its traces."""
    return str(error).partition("\n")[0].rstrip(".")


def setting(name: str, what: str) -> str:
    """A variable of the environment that an s3:// store cannot do without.

    Raises:
        VqiError: It is not set.
    """
    value = os.environ.get(name, "")
    if not value:
        raise VqiError(f"an s3:// store needs the environment variable {name} ({what}), which is not set")
    return value


def _pool(proxy: str, **settings: Any) -> urllib3.PoolManager:
    """Connections to a server, through a proxy where there is one."""
    if not proxy:
        return urllib3.PoolManager(**settings)
    login = ":".join(get_auth_from_url(proxy))
    headers = urllib3.make_headers(proxy_basic_auth=login) if login != ":" else None
    try:
        return urllib3.ProxyManager(proxy, proxy_headers=headers, **settings)
    except (HTTPError, ValueError) as error:
        raise VqiError(f"the object store cannot be reached through the proxy '{shown(proxy)}': {error}") from error


class _Key(NamedTuple):
    access: str
    secret: str
    token: str | None


def _key() -> _Key:
    return _Key(
        setting("AWS_ACCESS_KEY_ID", "the access key"),
        setting("AWS_SECRET_ACCESS_KEY", "the secret key"),
        os.environ.get("AWS_SESSION_TOKEN") or None,
    )


def _region() -> str:
    return os.environ.get("AWS_REGION") or "us-east-1"


def _certificates() -> Path:
    """The file of the certificate authorities that are trusted."""
    given = os.environ.get("SSL_CERT_FILE")
    if given and not Path(given).is_file():
        raise VqiError(f"SSL_CERT_FILE is '{given}', which is not a file: expected one with certificates (PEM)")
    return Path(given or certifi.where())
