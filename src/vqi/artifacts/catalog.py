"""The artifact ``catalog``: what a dataset in the object store holds."""

from __future__ import annotations

from typing import Literal

from vqi.artifacts.left_out import LeftOut, Unreadable
from vqi.records import Record


class Licence(Record):
    """The terms of a dataset."""

    name: str
    url: str
    notice: str  # who made it, what to cite, what is not allowed: a few sentences


class CategoryEntry(Record):
    """A category of a dataset: its shard and what is in it."""

    bytes: int  # of the shard
    sha256: str
    files: dict[str, int]  # "train/good" -> files
    image_sizes: dict[str, int]  # "300x300" -> images
    unreadable: tuple[Unreadable, ...] = ()  # files of the source that could not be read: not in the shard


class Catalog(Record):
    """``catalog.json``: where it exists, all of a dataset is there."""

    format: Literal["vqi.dataset/1"] = "vqi.dataset/1"
    name: str
    source: str  # without a login or a signature
    digest: str  # of the content
    licence: Licence | None  # None: the user's own images
    categories: dict[str, CategoryEntry]
    left_out: tuple[LeftOut, ...] = ()  # what else the source has, when it was read last
