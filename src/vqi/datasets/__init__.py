"""Data sources: where images come from. A new source is one module and one line in ``SOURCES``."""

from __future__ import annotations

from collections.abc import Callable

from vqi.datasets import elpv, folder
from vqi.datasets.layout import Dataset
from vqi.errors import VqiError, unknown

__all__ = ["SOURCES", "Dataset", "resolve"]

# name -> what reads it, given the text behind 'name:'
SOURCES: dict[str, Callable[[str], Dataset]] = {
    "elpv": elpv.read,
    "folder": folder.read,
}


def resolve(source: str) -> Dataset:
    """The dataset that a source names: ``elpv``, or ``folder:<path, file:// or s3:// uri>``.

    Images are read later, one by one.

    Raises:
        VqiError: there is no such source (with a did-you-mean), or nothing fitting was found there.
    """
    name, _, argument = source.partition(":")
    if name in SOURCES:
        return SOURCES[name](argument)
    if "/" in source or argument.startswith("//"):
        raise VqiError(f"unknown dataset source '{source}': for a folder of images write 'folder:{source}'")
    raise unknown("dataset source", name, SOURCES)
