"""Which source to write for a place: told from its scheme, its ending and, where it is here, from what it is."""

from __future__ import annotations

import re
from pathlib import Path

from vqi.redaction import shown

ARCHIVE_ENDINGS = re.compile(r"\.(tar(\.\w+)?|tgz|tbz2?|txz|tzst|zip)$", re.IGNORECASE)
WEB = ("http://", "https://")
TABLE_ENDINGS = re.compile(r"\.(csv|tsv|txt)$", re.IGNORECASE)


def is_place(text: str) -> bool:
    """Whether a text is a place rather than the misspelt name of a source."""
    name, _, rest = text.partition(":")
    return any(mark in name for mark in "/\\.~") or rest.startswith(("//", "\\")) or _local(text) is not None


def source_of(place: str) -> str:
    """The source that reads ``place``: a path, or a URI. Folders behind http(s):// cannot be listed."""
    return f"{_kind(place) or ('archive' if place.startswith(WEB) else 'folder')}:{place}"


def instead(source: str, place: str) -> str:
    """What to write where the source of this name cannot read ``place`` and another one can; '' otherwise."""
    kind = _kind(place)
    if not kind or kind == source or (source == "bucket" and not place.startswith(WEB) and "://" in place):
        return ""
    return f"{kind}:{place}"


def _kind(place: str) -> str:
    """The source that a place is for; '' where that cannot be told."""
    here = _local(place)
    if here is not None and here.is_dir():
        return "folder"
    name = shown(place) if place.startswith(WEB) else place
    if ARCHIVE_ENDINGS.search(name):
        return "archive"
    return "csv" if TABLE_ENDINGS.search(name) else ""


def _local(place: str) -> Path | None:
    """The path, where there is something of that name on this machine."""
    if not place or ("://" in place and not place.startswith("file:///")):
        return None
    path = Path(place.removeprefix("file://"))
    try:
        path = path.expanduser()
        return path if path.exists() else None
    except (OSError, RuntimeError, ValueError):  # too long, no such user, a NUL: nothing of that name
        return None
