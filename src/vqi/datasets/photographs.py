"""Which photographs a dataset in the object store has, by digest: ``photographs.json`` beside its catalog, from which
two datasets are compared without their shards."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from vqi.artifacts.changes import PhotographChanges
from vqi.records import Record
from vqi.store.interface import Store
from vqi.store.kept import kept

PHOTOGRAPHS = "photographs.json"
Digests = Mapping[str, str]  # path in a category -> sha256


class Photographs(Record):
    """The photographs and masks of a dataset."""

    categories: dict[str, dict[str, str]]  # category -> path -> sha256


def keep_photographs(store: Store, folder: str, categories: Mapping[str, Digests]) -> None:
    """Write what a dataset has, unless that is there."""
    record = Photographs(categories={name: dict(digests) for name, digests in categories.items()})
    store.put_if_absent(f"{folder}/{PHOTOGRAPHS}", record.model_dump_json().encode())


def photographs_of(store: Store, folder: str) -> Photographs | None:
    """What a dataset has; None where that is not known: an earlier vqi made it, it is gone, or the record is damaged,
    which is said."""
    return kept(Photographs, store, f"{folder}/{PHOTOGRAPHS}", "what changed since is not known")


def changed_photographs(before: Digests, now: Digests) -> dict[str, PhotographChanges]:
    """How many are other ones, by folder such as ``train/good``; only folders in which some are."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: {"new": 0, "removed": 0, "changed": 0})
    for path in before.keys() | now.keys():
        if before.get(path) != now.get(path):
            kind = "new" if path not in before else "removed" if path not in now else "changed"
            found["/".join(path.split("/")[:2])][kind] += 1
    return {folder: PhotographChanges(**counts) for folder, counts in sorted(found.items())}
