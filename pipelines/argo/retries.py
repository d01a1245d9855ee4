"""When a step is tried again. Bad input is never tried again, whatever a pipeline asks for."""

from __future__ import annotations

from hera.workflows import models

from vqi.errors import BAD_INPUT, UNAVAILABLE, VqiError
from vqi_pipelines.ir.graph import Retry

_NOT_BAD_INPUT = f"asInt(lastRetry.exitCode) != {BAD_INPUT}"
_LOST, _TERMINATED = -1, 143  # exit code of a pod whose end nobody saw, and of one ended by SIGTERM
# A pod that was deleted, evicted or drained, or whose artifacts could not be moved; a step that reports that a store
# did not respond; not one that failed by itself.
_INFRASTRUCTURE = f"lastRetry.status == 'Error' || asInt(lastRetry.exitCode) in [{_LOST}, {UNAVAILABLE}, {_TERMINATED}]"


def retry_strategy(retry: Retry | None, infrastructure_retries: int, place: str) -> models.RetryStrategy | None:
    """How a step is tried again: as its pipeline declares, or only after infrastructure errors.

    Args:
        retry: Retries declared in the pipeline; None if there are none.
        infrastructure_retries: How often to retry in that case; 0 means never.
        place: Place in the IR.

    Raises:
        VqiError: Argo has no such backoff.
    """
    if retry is None:
        retry, expression = Retry(infrastructure_retries, backoff_seconds=10.0), _INFRASTRUCTURE
    else:
        expression = _NOT_BAD_INPUT
    if not retry.max_retries:
        return None
    return models.RetryStrategy(
        limit=models.IntOrString(str(retry.max_retries)),
        retry_policy="Always",  # of all that the expression accepts
        expression=expression,
        backoff=_backoff(retry, place),
    )


def _backoff(retry: Retry, place: str) -> models.Backoff | None:
    if not retry.backoff_seconds:
        return None
    if not retry.backoff_factor.is_integer() or retry.backoff_factor < 1:
        raise VqiError(f"{place}.backoffFactor: expected a whole number, got {retry.backoff_factor}: Argo has no other")
    return models.Backoff(
        duration=_duration(retry.backoff_seconds),
        factor=models.IntOrString(str(int(retry.backoff_factor))),
        cap=_duration(retry.backoff_max_seconds),
    )


def _duration(seconds: float) -> str:
    """A duration as Go reads it: without an exponent."""
    return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"
