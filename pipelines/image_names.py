"""What may stand before and after the name of a container image; the chart's schema has the same patterns."""

from __future__ import annotations

import re

from vqi.errors import VqiError

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_PORT = "(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?"
_HOST = rf"{_LABEL}(\.{_LABEL})*{_PORT}"
_FOLDER = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
# Nothing, or a host, folders, or both: registry.example.com:5000/quality
REGISTRY = rf"(({_HOST}/)?{_FOLDER}(/{_FOLDER})*/?|{_HOST}/?)?"
TAG = "([A-Za-z0-9_][A-Za-z0-9._-]{0,127})?"


def check_registry(text: str) -> None:
    """Refuse what no image can be pulled from.

    Raises:
        VqiError: It is no address without a scheme.
    """
    if not re.fullmatch(REGISTRY, text):
        raise VqiError(f"registry '{text}': expected a host and folders, such as registry.example.com:5000/quality")


def check_tag(text: str) -> None:
    """Refuse what is no tag.

    Raises:
        VqiError: It has other characters than letters, digits, '.', '_' and '-', or more than 128.
    """
    if not re.fullmatch(TAG, text):
        raise VqiError(f"tag '{text}': expected letters, digits, '.', '_' and '-', at most 128")
