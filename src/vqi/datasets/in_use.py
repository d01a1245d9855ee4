"""Which dataset a run uses, in the store: ``runs/<run>/dataset.json``. It is not removed then."""

from __future__ import annotations

from typing import Literal

from vqi.records import Record
from vqi.store.interface import Store
from vqi.store.names import key_of

RUNS = "runs"  # begins the keys of what runs leave
IN_USE = "dataset.json"


class InUse(Record):
    """A run uses a dataset."""

    format: Literal["vqi.in_use/1"] = "vqi.in_use/1"
    dataset: str  # name@digest, a folder of the store


def note_use(store: Store, run: str, folder: str) -> None:
    """Leave which dataset a run uses; ``run``: its id, nothing is left when empty."""
    if run:
        store.put_bytes(f"{RUNS}/{key_of(run)}/{IN_USE}", InUse(dataset=folder).model_dump_json().encode())
