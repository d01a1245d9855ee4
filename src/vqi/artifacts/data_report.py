"""The artifact ``data_report``: what was found in the images of a category."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from vqi.artifacts.catalog import Licence
from vqi.artifacts.files import read_text, write_json
from vqi.artifacts.left_out import LeftOut, Unreadable
from vqi.formatting import count
from vqi.records import Record, parse_json
from vqi.sizes import AnySize

AGAIN = "run preprocess again"
# What to do where groups are too few only because sub-folders were taken for groups.
FOLDERS_ARE_GROUPS = (
    "Each sub-folder of train/good counts as one group: if these are no shifts, days or batches that differ, set "
    "group_by to none."
)


class Note(Record):
    """What a person should know of an image, such as that only its first frame is used."""

    path: str
    note: str


class MaskProblem(Record):
    """A mask, or an image without one, and what is wrong."""

    path: str
    problem: str


class Labels(Record):
    """Images of a split by label."""

    normal: int
    anomalous: int


_MOST_SIZES = 5  # that are listed


class SplitLabels(Record):
    """By split."""

    train: Labels
    calibration: Labels
    test: Labels


class DataReport(Record):
    """What was found, and what to know before relying on the images."""

    format: Literal["vqi.data_report/4"] = "vqi.data_report/4"
    category: str
    image_size: AnySize
    images: int
    masks: int  # that are used
    counts: dict[str, dict[str, int]]  # split -> defect type -> images
    labels: SplitLabels
    sizes: dict[str, int]  # "300x300" -> images
    modes: dict[str, int]  # in PIL's words -> images
    unreadable: tuple[Unreadable, ...]
    notes: tuple[Note, ...]
    duplicates_within_splits: tuple[tuple[str, ...], ...]  # groups of paths with the same bytes
    duplicates_across_splits: tuple[tuple[str, ...], ...]
    near_duplicates_within_splits: tuple[tuple[str, ...], ...]  # pairs of paths that show the same part
    near_duplicates_across_splits: tuple[tuple[str, ...], ...]
    looks: dict[str, dict[str, dict[str, float]]]  # figure -> group of images -> quartile -> value
    separation: dict[str, float]  # figure -> AUROC of it alone; empty with too few test images
    target_fpr: float
    train_groups: int  # of training images that belong together
    calibration_groups: int  # of images for calibration that belong together and show no part that trains
    grouped_by_folder: bool  # whether sub-folders of the training images are groups
    smallest_false_alarm_rate: float
    image_warnings: tuple[str, ...]  # all but those of their number, of masks and of what is missing
    warnings: tuple[str, ...]
    mask_problems: tuple[MaskProblem, ...]
    left_out: tuple[LeftOut, ...] = ()  # what else the source has, in this category and outside of all
    licence: Licence | None  # None: the user's own images

    @property
    def leaked_test_images(self) -> int:
        """How many test images show a part that trains."""
        across = (*self.duplicates_across_splits, *self.near_duplicates_across_splits)
        shared = [paths for paths in across if in_both(("train", "test"), [paths])]
        return len({path for paths in shared for path in paths if path.startswith("test/")})


def told_sizes(sizes: Mapping[str, int]) -> dict[str, str]:
    """How many images are of which size, as people read it; of many sizes only between which they lie."""
    if len(sizes) <= _MOST_SIZES:
        return {size: f"{number:,}" for size, number in sizes.items()}
    sides = [[int(side) for side in size.split("x")] for size in sizes]
    smallest, largest = ("x".join(str(end(side)) for side in zip(*sides, strict=True)) for end in (min, max))
    return {f"{smallest} to {largest}": f"{sum(sizes.values()):,}, of {len(sizes):,} sizes"}


def in_both(splits: tuple[str, str], groups: Sequence[Sequence[str]]) -> int:
    """How many groups of paths, which show the same part, have paths of both splits."""
    return sum(set(splits) <= {path.partition("/")[0] for path in paths} for paths in groups)


def doubtful_masks(problems: Sequence[MaskProblem]) -> list[str]:
    """What to say where masks do not match their images."""
    if not problems:
        return []
    return [
        f"{count(len(problems), 'problem')} with masks, listed on the data page, for example {problems[0].path}: "
        f"{problems[0].problem}. Pixel figures (pixel AUROC, AUPRO) rest on the masks."
    ]


def write_data_report(path: Path, report: DataReport) -> None:
    """Write ``data_report.json``."""
    write_json(path, report.model_dump(mode="json"))


def read_data_report(path: Path) -> DataReport:
    """Read ``data_report.json``.

    Raises:
        VqiError: The file is missing, or is not a data report.
    """
    return parse_json(DataReport, read_text(path, AGAIN), str(path), AGAIN)
