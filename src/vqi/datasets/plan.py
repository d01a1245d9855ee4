"""What becomes of a source's photographs, told from where they lie. Nothing of what decodes is imported for that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from vqi.config import LEAST_TRAINING, DatasetDownload
from vqi.datasets.choice import folder_of, limit, split_of, training_share
from vqi.datasets.layout import GOOD, Dataset, Entry, no_training_images
from vqi.datasets.placing import UNSPLIT
from vqi.datasets.sources import chosen
from vqi.errors import VqiError


@dataclass(frozen=True)
class Plan:
    """What becomes of the photographs of a category."""

    category: str
    entries: tuple[Entry, ...]  # that are taken; those without a split still at ``UNSPLIT``
    files: dict[str, int]  # folder such as "train/good" -> files
    moves: int  # of those at all/good, how many train; where some show one part, they may be fewer
    answered: bool  # whether photographs that operators answered join them

    @property
    def unsplit(self) -> bool:
        """Whether the source says which parts are good, and not which ones train."""
        return any(folder.startswith(f"{UNSPLIT}/") for folder in self.files)

    @property
    def train(self) -> int:
        """How many good images train."""
        return self.files.get(f"train/{GOOD}", 0) + self.moves

    @property
    def test(self) -> dict[str, int]:
        """How many images test, by defect type."""
        found: Counter[str] = Counter()
        for folder, number in self.files.items():
            split, kind = folder.split("/")
            if split in ("test", UNSPLIT):
                found[kind] += number
        found[GOOD] -= self.moves
        return {kind: number for kind, number in sorted(found.items()) if number}

    @property
    def masks(self) -> int:
        """How many masks there are."""
        return sum(split_of(entry) == "ground_truth" for entry in self.entries)

    @property
    def problem(self) -> VqiError | None:
        """Why no model can be trained of it; None where nothing is known against it."""
        if self.answered:
            return None
        if not self.train:
            return no_training_images(self.category, self.files)
        if self.train < LEAST_TRAINING:
            return VqiError(
                f"category '{self.category}' has too few good images to train on: expected at least {LEAST_TRAINING}, "
                f"got {self.train}"
            )
        return None


@dataclass(frozen=True)
class Planned:
    """What becomes of a source."""

    dataset: Dataset  # the categories that are asked for
    plans: tuple[Plan, ...]  # one for each

    @property
    def trainable(self) -> tuple[Plan, ...]:
        """The categories of which a model can be trained, as far as can be told."""
        return tuple(one for one in self.plans if one.problem is None)

    def require_trainable(self) -> None:
        """Refuse a source of which nothing can be trained; one category that cannot leaves the others their models.

        Raises:
            VqiError: With the problem of each category.
        """
        if not self.trainable:
            raise VqiError("; ".join(str(one.problem) for one in self.plans))


def plan(wanted: DatasetDownload) -> Planned:
    """What becomes of a source, as ``dataset_download`` takes it.

    Raises:
        VqiError: The source or a category is wrong.
    """
    dataset = chosen(wanted)
    return Planned(dataset, tuple(_planned(name, entries, wanted) for name, entries in dataset.categories.items()))


def _planned(category: str, entries: Sequence[Entry], wanted: DatasetDownload) -> Plan:
    taken = limit(category, entries, wanted)
    files = dict(sorted(Counter(map(folder_of, taken)).items()))
    return Plan(category, taken, files, training_share(taken, wanted), wanted.with_verdicts)
