"""Of what a version was made: ``trained.json`` beside its package. It is no part of the package, because an equal one
may be made of something else, such as by another version of vqi: then it says what made it last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from vqi.datasets.catalogs import DATASETS
from vqi.datasets.layout import ONLY_GOOD, place_of
from vqi.datasets.photographs import photographs_of
from vqi.models.category import Category, names_of
from vqi.models.manifest import Sha256
from vqi.records import Record
from vqi.store.kept import kept
from vqi.store.opening import open_store

TRAINED = "trained.json"


class Trained(Record):
    """What a version was made of, and what became of it."""

    format: Literal["vqi.trained/1"] = "vqi.trained/1"
    data: Sha256  # of the category's shard
    recipe: str  # see ``vqi.recipe``
    dataset: str  # name@digest, a folder of the store
    used: int = Field(ge=0)  # the version that was used when the gate had decided; 0 for none


def note_trained(category: Category, number: int, made: Trained) -> None:
    """Write down what a version was made of."""
    category.store.put_bytes(category.key(f"v{number}/{TRAINED}"), made.model_dump_json(indent=2).encode())


def trained_of(category: Category, number: int) -> Trained | None:
    """What a version was made of; None where that is not known: an earlier vqi made it, or the record is damaged, which
    is said."""
    return kept(Trained, category.store, category.key(f"v{number}/{TRAINED}"), "it is trained again")


def dataset_of(category: Category, number: int) -> Mapping[str, str] | None:
    """The photographs and masks that a version was made and measured of: their sha256 by path; None where that is not
    known."""
    made = trained_of(category, number)
    if made is None:
        return None
    *root, _, _, _ = category.uri.split("/")  # models/<dataset>/<category>
    found = photographs_of(open_store("/".join(root)), f"{DATASETS}/{made.dataset}")
    return None if found is None else found.categories.get(names_of(category)[1])


def trained_on(category: Category, number: int) -> set[str] | None:
    """The sha256 of the photographs that a version was trained on, or that set its threshold; None where that is not
    known."""
    digests = dataset_of(category, number)
    return None if digests is None else {sha256 for path, sha256 in digests.items() if is_good(path)}


def is_good(path: str) -> bool:
    """Whether a photograph is a good one that trains, or sets the threshold."""
    place = place_of(path)
    return place is not None and place.split in ONLY_GOOD
