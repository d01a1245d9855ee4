"""What the environment says about the S3 server: read and checked here, once, for both clients.

Nothing is trimmed or guessed: a value with a blank or a line break, as ``--from-file`` puts one into a Secret, is
refused by the name of its variable. A login in an address and a secret never appear in a message.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import certifi

from vqi.errors import VqiError

ENDPOINT = "VQI_S3_ENDPOINT"
REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
AUTHORITIES = ("AWS_CA_BUNDLE", "SSL_CERT_FILE")  # files, in the order in which they count
DEFAULT_REGION = "us-east-1"

_HOST = re.compile(r"\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+")
_REGION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{1,61}[A-Za-z0-9]")
_NOT_IN_BUCKETS = re.compile(r"\.\.|\.-|-\.|^\d+\.\d+\.\d+\.\d+$")
_BEFORE_HOST = re.compile(r"(?<=//).*@")


class Server(NamedTuple):
    """The server of all s3:// stores."""

    endpoint: str  # http(s)://host or http(s)://host:port
    region: str
    authorities: Path  # a file of the certificate authorities that are trusted


def read_server(environment: Mapping[str, str] = os.environ, profile_region: str = "") -> Server:
    """The server that the environment names.

    Args:
        environment: Its variables.
        profile_region: What a profile of AWS says; a variable overrides it.

    Raises:
        VqiError: A variable is missing, or is not what it should be.
    """
    given = environment.get(ENDPOINT, "")
    if not given:
        raise missing(ENDPOINT, "http(s)://host:port of the object store")
    return Server(address(ENDPOINT, given), region(environment, profile_region), authorities(environment))


def missing(name: str, what: str) -> VqiError:
    """The error for a variable that an s3:// store cannot do without."""
    return VqiError(f"an s3:// store needs the environment variable {name} ({what}), which is not set")


def address(name: str, value: str) -> str:
    """The address of a server in a variable, without a slash at its end.

    Raises:
        VqiError: It is another kind of address, or has a login, a path, a blank or a port that none can have.
    """
    if not _is_address(value):
        shown = _BEFORE_HOST.sub("***@", value)
        without = ", without a login: keys are variables of their own" if shown != value else ""
        raise VqiError(f"{name} is {shown!r}: expected http(s)://host:port{without}")
    return value.rstrip("/")


def _is_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:  # the port is no number, or too large
        return False
    host = parts.netloc if port is None else parts.netloc.removesuffix(f":{parts.netloc.rpartition(':')[2]}")
    return (
        value.isascii()
        and value.isprintable()
        and " " not in value
        and parts.scheme in ("http", "https")
        and _HOST.fullmatch(host) is not None
        and port != 0
        and not (parts.path.strip("/") or parts.query or parts.fragment or value.endswith(("?", "#")))
    )


def region(environment: Mapping[str, str], profile_region: str = "") -> str:
    """The region of the server.

    Raises:
        VqiError: It cannot be one.
    """
    named = {name: environment[name] for name in REGIONS if environment.get(name)}
    name, value = next(iter(named.items()), ("region of the AWS profile", profile_region or DEFAULT_REGION))
    if not _REGION.fullmatch(value):
        raise VqiError(f"{name} is {value!r}: expected a region such as {DEFAULT_REGION}, without blanks")
    return value


def authorities(environment: Mapping[str, str]) -> Path:
    """The file of the certificate authorities that are trusted.

    Raises:
        VqiError: The variable names no file of certificates.
    """
    name = next((name for name in AUTHORITIES if environment.get(name)), "")
    if not name:
        return Path(certifi.where())
    path = Path(environment[name]).expanduser()
    if not path.is_file():
        raise VqiError(f"{name} is '{path}', which is not a file: expected one with certificates (PEM)")
    if not _has_certificates(path, path.stat().st_mtime_ns):
        raise VqiError(f"{name} is '{path}', which has no certificates that can be read: expected PEM")
    return path


@lru_cache(maxsize=8)  # stores are opened often, and to read the authorities of a system takes longer than a request
def _has_certificates(path: Path, written: int) -> bool:
    try:
        ssl.create_default_context(cafile=path)
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        return False
    return True


def check_secret(name: str, value: str) -> str:
    """A part of a key.

    Raises:
        VqiError: It has a blank, a line break or another character that none has.
    """
    if not (value.isascii() and value.isprintable() and " " not in value):
        raise VqiError(f"{name} has a blank, a line break or a letter that no key has: set it again without")
    return value


def check_bucket(bucket: str) -> str:
    """The name of a bucket.

    Raises:
        VqiError: It cannot be one.
    """
    if not _BUCKET.fullmatch(bucket) or _NOT_IN_BUCKETS.search(bucket):
        rule = "expected 3 to 63 letters, digits, dots and hyphens"
        raise VqiError(f"'s3://{bucket}' names no bucket: {rule}, with a letter or digit at both ends")
    return bucket
