"""Names of Argo's objects: DNS labels (RFC 1123), and the names allowed for parameters and artifacts."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from itertools import count

from vqi.errors import VqiError

MOST_CHARACTERS = 63  # of a DNS label
_OTHER = re.compile(r"[^a-z0-9]+")
_FIELD = re.compile(r"[A-Za-z0-9_-]{1,128}")


def dns_label(text: str, place: str, most: int = MOST_CHARACTERS) -> str:
    """A name in lower case, with ``-`` for everything except letters and digits, cut to ``most`` characters.

    Raises:
        VqiError: Nothing is left of it, or it begins with a digit, which Argo's ``depends`` does not read.
    """
    label = _OTHER.sub("-", text.lower()).strip("-")[:most].rstrip("-")
    if not label or label[0].isdigit():
        raise VqiError(f"{place}: expected a name that begins with a letter, got '{text}'")
    return label


def dns_labels(texts: Iterable[str], place: str) -> dict[str, str]:
    """The label of each name.

    Raises:
        VqiError: Two names have the same label.
    """
    owners: dict[str, str] = {}
    for text in texts:
        label = dns_label(text, f"{place}.{text}")
        other = owners.setdefault(label, text)
        if other != text:
            raise VqiError(
                f"{place}: '{other}' and '{text}' are both '{label}' in Argo, "
                f"which has {MOST_CHARACTERS} characters in lower case: rename one"
            )
    return {text: label for label, text in owners.items()}


def free_label(wanted: str, taken: Container[str]) -> str:
    """A label that is not in use: the wanted one, or the wanted one with the first free number."""
    candidates = (f"{wanted[: MOST_CHARACTERS - 6].rstrip('-')}-{number}" for number in count(2))
    return wanted if wanted not in taken else next(name for name in candidates if name not in taken)


def field_name(text: str, place: str) -> str:
    """The name of a parameter or artifact, as it is.

    Raises:
        VqiError: Argo does not accept it.
    """
    if not _FIELD.fullmatch(text):
        raise VqiError(f"{place}: expected a name of letters, digits, '_' and '-', got '{text}', which Argo refuses")
    return text
