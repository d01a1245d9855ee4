"""Public datasets by name: where they are, what their licence asks, how their archives are arranged: origins.json.

The addresses are data, because they move. None of them is trusted: what arrives is checked against the sha256 where
one is known, and unpacked like any untrusted archive.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from vqi.artifacts.catalog import Licence
from vqi.config import SourceRequest
from vqi.datasets.archive import locate, open_archive
from vqi.datasets.arrangements import ARRANGEMENTS
from vqi.datasets.layout import Dataset, check_categories
from vqi.digests import sha256_file
from vqi.errors import VqiError
from vqi.progress import message

CONSENT = "USER_CONSENT"
ORIGINS = Path(__file__).with_name("origins.json")


@dataclass(frozen=True)
class Origin:
    """A public dataset."""

    name: str
    homepage: str
    urls: tuple[str, ...]  # tried in this order; none where only a person can fetch it
    sha256: str  # of the archive; '' where none is known
    sha256_stated_by: str  # who states it
    arrangement: str  # its name in ARRANGEMENTS
    categories: tuple[str, ...]
    licence: Licence


@cache
def origins() -> dict[str, Origin]:
    """All of them by name."""
    found = {}
    for name, one in json.loads(ORIGINS.read_text("utf-8")).items():
        fields = {**one, "urls": tuple(one["urls"]), "categories": tuple(one["categories"])}
        found[name] = Origin(name=name, **{**fields, "licence": Licence(**one["licence"])})
    return found


def read(name: str, argument: str, request: SourceRequest) -> Dataset:
    """The public dataset ``name``, fetched from the first address that has it.

    Raises:
        VqiError: the licence is not accepted, a category is unknown, or no address has it.
    """
    origin = allowed(name, argument, request)
    path = _locate(origin, request)
    if not (request.sha256 or origin.sha256):
        message(f"note: no sha256 is known for {name}; set sha256={sha256_file(path)} to get the same file next time")
    return open_archive(name, path, ARRANGEMENTS[origin.arrangement], request, origin.licence)


def allowed(name: str, argument: str, request: SourceRequest) -> Origin:
    """What is known of the public dataset ``name``, where it may be fetched; nothing is fetched for that.

    Raises:
        VqiError: the licence is not accepted, or a category is unknown.
    """
    origin = origins()[name]
    if argument:
        raise VqiError(f"the source '{name}' takes nothing after a colon, got '{name}:{argument}': set 'url' instead")
    require_consent(origin, request)
    check_categories(request.only_categories, origin.categories)
    return origin


def require_consent(origin: Origin, request: SourceRequest) -> None:
    """Stop where the licence is not accepted, and say how to accept it."""
    if not _accepted(request):
        terms = origin.licence
        raise VqiError(
            f"'{origin.name}' is under {terms.name} ({terms.url}): {terms.notice} See {origin.homepage} "
            f"for more. If you accept these terms, set {CONSENT}=y in the environment or the parameter accept_license "
            "to true (--accept-license)"
        )


def _accepted(request: SourceRequest) -> bool:
    """Whether the licence is accepted, in the request or in the environment."""
    return request.accept_license or os.environ.get(CONSENT, "").strip().lower() in ("y", "yes")


def _locate(origin: Origin, request: SourceRequest) -> Path:
    """The archive as a local file.

    Raises:
        VqiError: none of the addresses has it; the message has the error of the last one.
    """
    if not (request.url or origin.urls):
        raise VqiError(
            f"'{origin.name}' has no address that a program may fetch: download its archive by hand, as "
            f"{origin.homepage} says, and set 'url' to its path"
        )
    place, *others = [request.url] if request.url else origin.urls
    try:
        return locate(place, request.sha256 or origin.sha256)
    except VqiError as error:
        if not others:
            raise
        message(f"note: {error}: trying the next address")
        return _locate(replace(origin, urls=tuple(others)), request)
