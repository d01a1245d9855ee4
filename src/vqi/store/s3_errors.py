"""What went wrong at an S3 server, and what to do, in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar
from xml.etree.ElementTree import ParseError

from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from urllib3.exceptions import HTTPError, MaxRetryError, ProtocolError, ProxyError

from vqi.system import os_errors

ADVICE = {
    "NoSuchKey": "there is no such object",
    "NoSuchBucket": "there is no bucket '{bucket}': create it, or use a key that may create it",
    "InvalidAccessKeyId": "the access key is refused: check AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "the secret key is refused: check AWS_SECRET_ACCESS_KEY",
    "AccessDenied": "access is denied: check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what that key may do",
    "ExpiredToken": "the key has expired: get a new one, with its AWS_SESSION_TOKEN",
    "InvalidToken": "the session token is refused: check AWS_SESSION_TOKEN",
    "AuthorizationHeaderMalformed": "the server wants another region ({message}): set AWS_REGION",
    "PermanentRedirect": "the bucket is elsewhere ({message}): check VQI_S3_ENDPOINT and AWS_REGION",
    "RequestTimeTooSkewed": "the clock of this machine is off: set it",
    "InternalError": "the server failed internally, often for a full or read-only disk: see its log and its free space",
    "XMinioStorageFull": "the disk of the object store is full: free some space",
    "SlowDown": "the object store is overloaded: run the same command again later",
    "EntityTooLarge": "the object is too large for this object store",
}
_LONGEST = 200  # characters of what a server says, in a message

Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")


class NotS3Error(MinioException):
    """An answer that no S3 server gives; the text says what came instead."""


def understood(call: Callable[Parameters, Answer], *args: Parameters.args, **more: Parameters.kwargs) -> Answer:
    """What a call of the client gives. The client takes answers for well-formed: here they need not be.

    Raises:
        NotS3Error: The client could not read the answer.
    """
    try:
        return call(*args, **more)
    except (ParseError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise NotS3Error(f"an answer that cannot be read: {error or type(error).__name__}") from error


def explain(error: Exception, endpoint: str, bucket: str) -> str:
    """One clause: what the server or the network said, and what to do about it."""
    if isinstance(error, S3Error):
        advice = ADVICE.get(error.code or "", "").format(bucket=bucket, message=_short(error.message))
        return advice or f"{_short(error.code)}: {_short(error.message)}"
    if isinstance(error, InvalidResponseError | ServerError | NotS3Error):
        said = _short(error)
        return f"the answer is not that of an S3 server ({said}); is VQI_S3_ENDPOINT meant to be {endpoint}?"
    if isinstance(error, HTTPError):
        cause = _short(root_cause(error))
        return f"the object store did not respond ({cause}); is it running, and is VQI_S3_ENDPOINT right?"
    if isinstance(error, OSError):
        return os_errors.explain(error)
    return _short(error)


def may_pass(error: Exception) -> bool:
    """Whether it is a failure of the server or the network, and not of the request."""
    if isinstance(error, S3Error):
        return error.code in ("InternalError", "ServiceUnavailable", "SlowDown")
    return isinstance(error, ServerError | HTTPError)


def root_cause(error: HTTPError) -> str:
    """The innermost reason of an error of urllib3, without the addresses of Python objects."""
    reason = error.reason if isinstance(error, MaxRetryError) and error.reason else error
    if isinstance(reason, ProxyError):
        return f"through the proxy: {str(reason.original_error).split(': ', 1)[-1]}"
    if isinstance(reason, ProtocolError) and len(reason.args) > 1:
        return str(reason.args[1]) or type(reason.args[1]).__name__
    return str(reason).split(">: ", 1)[-1]


def _short(said: object) -> str:
    """What a server said, which may be anything: the beginning of it, in one line of printable characters."""
    text = " ".join(str(said).split())
    text = "".join(one if one.isprintable() else "?" for one in text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
