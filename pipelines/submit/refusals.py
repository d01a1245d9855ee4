"""Answers of a cluster that are refusals."""

from __future__ import annotations

import json
from collections.abc import Mapping

from vqi.errors import VqiError


def refused(what: str, status: int, text: str, hints: Mapping[int, str]) -> VqiError:
    """The error for a refusal, with how to fix it.

    Args:
        what: What was requested.
        status: HTTP status.
        text: Body of the answer: JSON with a message, or anything else.
        hints: How to fix it, by status.
    """
    return VqiError(f"{what}: refused with {status}: {_message(text)}{hints.get(status, '')}")


def _message(text: str) -> str:
    """The message of a JSON answer, or its text; on one line."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    said = (
        next((found[key] for key in ("message", "error") if found.get(key)), text) if isinstance(found, dict) else text
    )
    return " ".join(str(said).split())[:300]
