"""The artifact ``changes``: what changed in each category since its model was made, and whether it is trained."""

from __future__ import annotations

from typing import Literal

from vqi.artifacts.drift import Drift
from vqi.artifacts.metrics import Count, Summary
from vqi.records import Record


class PhotographChanges(Record):
    """How many photographs and masks of a folder are other ones than before."""

    new: Count
    removed: Count
    changed: Count  # other contents under the same name


class CategoryChange(Record):
    """What changed in a category."""

    category: str
    trained: bool  # whether it is trained in this run
    why: str
    version: int | None  # that it is compared with; None where there is none
    model: str  # its uri; '' where there is none
    photographs: dict[str, PhotographChanges] | None  # by folder, such as train/good; None where it is not known
    row: Summary | None  # of the table, of a category that is not trained
    drift: Drift | None = None  # of the new good photographs, where that was asked for


class Changes(Record):
    """What changed in the categories of a dataset, in the order of their names."""

    format: Literal["vqi.changes/1"] = "vqi.changes/1"
    categories: tuple[CategoryChange, ...]

    @property
    def to_train(self) -> list[str]:
        """The categories that are trained in this run."""
        return [one.category for one in self.categories if one.trained]
