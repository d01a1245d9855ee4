"""The name of a container image, ``<registry>/name:tag@digest``, and its parts; the chart's schema has the same
patterns.

Source: the grammar of a reference in the project distribution/reference, as registries and container engines read it.
"""

from __future__ import annotations

import re

from vqi.errors import VqiError

_LABEL = "[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?"
_PORT = "(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?"
_HOST = rf"{_LABEL}(\.{_LABEL})*{_PORT}"
_FOLDER = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
_TAG = "[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
_NAME = rf"({_HOST}/)?{_FOLDER}(/{_FOLDER})*"
# Nothing, or a host, folders, or both: registry.example.com:5000/quality
REGISTRY = rf"({_NAME}/?|{_HOST}/?)?"
TAG = f"({_TAG})?"
_IMAGE = re.compile(rf"{_NAME}(:{_TAG})?(@[a-z0-9]+:[0-9a-f]{{32,}})?")


def is_image(text: str) -> bool:
    """Whether it is the name of an image, with or without a tag or digest."""
    return bool(_IMAGE.fullmatch(text))


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
