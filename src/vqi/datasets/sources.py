"""Data sources: where images come from. A new source is one module and one line in ``SOURCES``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from vqi.config import SourceRequest
from vqi.datasets import archive, bucket, elpv, folder, public, table
from vqi.datasets.advice import is_place, source_of
from vqi.datasets.layout import Dataset, check_names
from vqi.errors import VqiError, closest

__all__ = ["SOURCES", "Dataset", "resolve"]

# name -> what reads it, given the text behind 'name:' and what else was asked for
SOURCES: dict[str, Callable[[str, SourceRequest], Dataset]] = {
    "archive": archive.read,
    "bucket": bucket.read,
    "csv": table.read,
    "btad": partial(public.read, "btad"),
    "elpv": elpv.read,
    "folder": folder.read,
    "kolektor-sdd": partial(public.read, "kolektor-sdd"),
    "magnetic-tile": partial(public.read, "magnetic-tile"),
    "mpdd": partial(public.read, "mpdd"),
    "mvtec-ad": partial(public.read, "mvtec-ad"),
    "visa": partial(public.read, "visa"),
}
AS_IT_IS = SourceRequest.model_validate({})
TAKE_URL = frozenset(public.origins())
TAKE_SHA256 = TAKE_URL | {"archive"}


def split_source(source: str) -> tuple[str, str]:
    """The name of a source, one of ``SOURCES``, and the text behind 'name:'.

    Raises:
        VqiError: There is no such source: with a did-you-mean, or what to write for a bare path or uri.
    """
    name, _, argument = source.partition(":")
    if name in SOURCES:
        return name, argument
    if not is_place(source) and (near := closest(name, SOURCES)):
        raise VqiError(f"unknown dataset source '{name}': did you mean '{near}'?")
    raise VqiError(
        f"unknown dataset source '{source}': for the images at that place write '{source_of(source)}'; the sources "
        f"are {', '.join(sorted(SOURCES))}"
    )


def resolve(source: str, request: SourceRequest = AS_IT_IS) -> Dataset:
    """The dataset that a source names: a name of ``SOURCES`` and what it needs, such as ``folder:<path or uri>``.

    Images are read later, one by one.

    Raises:
        VqiError: there is no such source (with a did-you-mean), or nothing fitting was found there.
    """
    name, argument = split_source(source)
    _refuse_unused("url", request.url, name, TAKE_URL)
    _refuse_unused("sha256", request.sha256, name, TAKE_SHA256)
    return check_names(SOURCES[name](argument, request))


def _refuse_unused(parameter: str, value: str, name: str, takers: frozenset[str]) -> None:
    if value and name not in takers:
        raise VqiError(f"the source '{name}' takes no {parameter}: only {', '.join(sorted(takers))} do")
