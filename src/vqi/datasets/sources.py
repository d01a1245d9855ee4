"""Data sources: where images come from. A new source is one module and one line in ``SOURCES``."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING

from vqi.config import DatasetDownload, SourceRequest
from vqi.datasets.advice import is_place, source_of
from vqi.errors import VqiError, closest
from vqi.redaction import shown

if TYPE_CHECKING:
    from vqi.datasets.layout import Dataset

# name -> the module of this package that reads it: its function ``read`` is given the text behind 'name:' and what else
# was asked for, after the name itself where the module reads several. It is imported when it is needed: what fetches
# and unpacks takes long to import, and to check a name is quick.
SOURCES: dict[str, str] = {
    "archive": "archive",
    "bucket": "bucket",
    "csv": "table",
    "btad": "public",
    "elpv": "elpv",
    "folder": "folder",
    "kolektor-sdd": "public",
    "magnetic-tile": "public",
    "mpdd": "public",
    "mvtec-ad": "public",
    "visa": "public",
}
AS_IT_IS = SourceRequest.model_validate({})
TAKE_URL = frozenset(name for name, module in SOURCES.items() if module == "public")
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


def source_at(place: str) -> str:
    """The source that a person means by a place: a path, a uri, or a source as it is."""
    return place if place.partition(":")[0] in SOURCES and not is_place(place) else source_of(place)


def resolve(source: str, request: SourceRequest = AS_IT_IS) -> Dataset:
    """The dataset that a source names: a name of ``SOURCES`` and what it needs, such as ``folder:<path or uri>``.

    Images are read later, one by one.

    Raises:
        VqiError: there is no such source (with a did-you-mean), or nothing fitting was found there.
    """
    name, argument = split_source(source)
    _refuse_unused("url", request.url, name, TAKE_URL)
    _refuse_unused("sha256", request.sha256, name, TAKE_SHA256)
    from vqi.datasets.layout import check_names

    read = import_module(f"vqi.datasets.{SOURCES[name]}").read
    names = (name,) if name in TAKE_URL else ()
    dataset: Dataset = read(*names, argument, request)
    return check_names(dataset)


def chosen(wanted: DatasetDownload) -> Dataset:
    """The dataset of a source with the categories that are asked for; all if none is named.

    Raises:
        VqiError: As for ``resolve``; there is no such category, or none at all.
    """
    from vqi.datasets.layout import check_categories

    dataset = resolve(wanted.source, wanted)
    check_categories(wanted.only_categories, dataset.categories)
    names = sorted(set(wanted.only_categories) or dataset.categories)
    if not names:
        raise VqiError(
            f"{shown_source(wanted.source)}: expected at least one category, found none: nothing to learn from"
        )
    return replace(dataset, categories={name: dataset.categories[name] for name in names})


def shown_source(source: str) -> str:
    """A source as the catalog records it: without a login or a signature in its address."""
    kind, colon, place = source.partition(":")
    return f"{kind}{colon}{shown(place)}" if place.startswith(("http://", "https://")) else source


def _refuse_unused(parameter: str, value: str, name: str, takers: frozenset[str]) -> None:
    if value and name not in takers:
        raise VqiError(f"the source '{name}' takes no {parameter}: only {', '.join(sorted(takers))} do")
