"""What went wrong at an S3 server, and what to do, in words."""

from __future__ import annotations

from minio.error import InvalidResponseError, S3Error, ServerError
from urllib3.exceptions import HTTPError, MaxRetryError, ProxyError

from vqi.system import os_errors

ADVICE = {
    "NoSuchKey": "there is no such object",
    "NoSuchBucket": "there is no bucket '{bucket}': create it, or use a key that may create it",
    "InvalidAccessKeyId": "the access key is refused: check AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "the secret key is refused: check AWS_SECRET_ACCESS_KEY",
    "AccessDenied": "access is denied: check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what that key may do",
    "RequestTimeTooSkewed": "the clock of this machine is off: set it",
    "InternalError": "the server failed internally, often for a full or read-only disk: see its log and its free space",
    "XMinioStorageFull": "the disk of the object store is full: free some space",
    "SlowDown": "the object store is overloaded: run the same command again later",
    "EntityTooLarge": "the object is too large for this object store",
}


def explain(error: Exception, endpoint: str, bucket: str) -> str:
    """One clause: what the server or the network said, and what to do about it."""
    if isinstance(error, S3Error):
        advice = ADVICE.get(error.code or "", "").format(bucket=bucket)
        return advice or f"{error.code}: {error.message}"
    if isinstance(error, InvalidResponseError | ServerError):
        return f"the answer is not that of an S3 server ({error}); is VQI_S3_ENDPOINT meant to be {endpoint}?"
    if isinstance(error, HTTPError):
        return f"the object store did not respond ({root_cause(error)}); is it running, and is VQI_S3_ENDPOINT right?"
    if isinstance(error, OSError):
        return os_errors.explain(error)
    return str(error)


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
    return str(reason).split(">: ", 1)[-1]
