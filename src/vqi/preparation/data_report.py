"""The data report: what was found in the images of a category, and what to know before relying on them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from vqi.artifacts.catalog import Licence
from vqi.artifacts.data_report import (
    FOLDERS_ARE_GROUPS,
    DataReport,
    Labels,
    MaskProblem,
    Note,
    SplitLabels,
    doubtful_masks,
    in_both,
)
from vqi.artifacts.images import IndexRow
from vqi.artifacts.left_out import LeftOut, Unreadable, missing_photographs
from vqi.artifacts.threshold import good_images_needed, smallest_rate
from vqi.datasets.layout import GOOD
from vqi.datasets.words import meaning_of
from vqi.formatting import count, percent, short_percent
from vqi.photographs.capture import Capture
from vqi.photographs.similarity import SIDE, Pair
from vqi.preparation.appearance import Look, distributions, empty_looks, lighting_warnings, separation
from vqi.sizes import Size

Groups = tuple[tuple[str, ...], ...]  # of paths
IMAGES_A_SIZE = 10  # training images per size: with fewer, photographs of this source have any size
# What it means where two splits share images.
_LEAKS = {
    ("train", "test"): "the test looks better than it is",
    ("calibration", "test"): "the false alarms that the test shows say less than they seem to",
}
MOST_NAMED = 5  # folders in a warning
SQUEEZED = 1.5  # times the ratio of the sides, from which a part looks another way


@dataclass
class Findings:
    """What is collected for the data report during preparation."""

    index: list[IndexRow] = field(default_factory=list)
    sizes: Counter[str] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    unreadable: list[Unreadable] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    mask_problems: list[MaskProblem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)  # of the range of values
    cut: int = 0  # images with values above white
    looks: list[Look] = field(default_factory=list)  # one per row of the index, like the squares
    squares: list[npt.NDArray[np.float32]] = field(default_factory=list)  # what is compared for near-duplicates
    similar: list[Pair] = field(default_factory=list)  # of rows that seem to show the same part
    size_of_row: list[str] = field(default_factory=list)  # "300x300"
    taken: list[Capture | None] = field(default_factory=list)  # when each was, where that was asked for
    by_folder: bool = False  # whether sub-folders of the training images are groups

    def stacked_squares(self) -> npt.NDArray[np.float32]:
        """The squares, (n, SIDE, SIDE)."""
        return np.stack(self.squares) if self.squares else np.zeros((0, SIDE, SIDE), np.float32)

    def unseen(self) -> list[IndexRow]:
        """The images for calibration that show no part of the training images."""
        trained = {row.part for row in self.index if row.split == "train"}
        return [row for row in self.index if row.split == "calibration" and row.part not in trained]


def report(
    category: str,
    size: Size,
    findings: Findings,
    target_fpr: float,
    licence: Licence | None,
    left_out: Sequence[LeftOut] = (),
) -> DataReport:
    """What was found, with what follows from it."""
    index = findings.index
    counts: dict[str, dict[str, int]] = {"train": {}, "test": {}}
    for row in index:
        of_split = counts.setdefault(row.split, {})
        of_split[row.defect_type] = of_split.get(row.defect_type, 0) + 1
    within, across = duplicates(index)
    near_within, near_across = similar(findings)
    areas = separation(index, findings.looks)
    pixels = [*findings.warnings, *cut_values(findings.cut), *empty_looks(index, findings.looks)]
    pixels += no_good_in_test(list(counts["test"]))
    pixels += [*seen_already(findings), *other_sizes(findings), *squeezed(findings.sizes, size)]
    pixels += [*leaks(across, near_across), *lighting_warnings(areas)]
    train, unseen = [row for row in index if row.split == "train"], findings.unseen()
    sets = unseen or train  # the threshold
    groups = len({row.group for row in sets})
    by_folder = findings.by_folder and not unseen
    return DataReport(
        category=category,
        image_size=size,
        images=len(index),
        masks=sum(row.mask_row is not None for row in index),
        counts=counts,
        labels=SplitLabels(
            train=_labels(index, "train"), calibration=_labels(index, "calibration"), test=_labels(index, "test")
        ),
        sizes=dict(sorted(findings.sizes.items())),
        modes=dict(sorted(findings.modes.items())),
        unreadable=tuple(findings.unreadable),
        notes=tuple(findings.notes),
        duplicates_within_splits=within,
        duplicates_across_splits=across,
        near_duplicates_within_splits=near_within,
        near_duplicates_across_splits=near_across,
        looks=distributions(index, findings.looks),
        separation=areas,
        target_fpr=target_fpr,
        train_groups=len({row.group for row in train}),
        calibration_groups=len({row.group for row in unseen}),
        grouped_by_folder=findings.by_folder,
        smallest_false_alarm_rate=round(smallest_rate(groups), 5),
        image_warnings=tuple(pixels),
        warnings=(
            *pixels,
            *too_few(len(sets), groups, target_fpr, "for calibration" if unseen else "", by_folder=by_folder),
            *doubtful_masks(findings.mask_problems),
            *missing_photographs(left_out),
        ),
        mask_problems=tuple(findings.mask_problems),
        left_out=tuple(left_out),
        licence=licence,
    )


def duplicates(index: Sequence[IndexRow]) -> tuple[Groups, Groups]:
    """Groups of paths with the same bytes: those within one split, and those that are in several."""
    groups: dict[str, list[IndexRow]] = defaultdict(list)
    for row in index:
        groups[row.sha256].append(row)
    same = [rows for rows in groups.values() if len(rows) > 1]
    within = tuple(tuple(row.path for row in rows) for rows in same if len({row.split for row in rows}) == 1)
    across = tuple(tuple(row.path for row in rows) for rows in same if len({row.split for row in rows}) > 1)
    return within, across


def similar(findings: Findings) -> tuple[Groups, Groups]:
    """Pairs of paths of near-duplicates that are not the same file: within one split, and across two of them."""
    index = findings.index
    within: list[tuple[str, str]] = []
    across: list[tuple[str, str]] = []
    for pair in findings.similar:
        first, second = index[pair.first], index[pair.second]
        if first.sha256 != second.sha256:
            (within if first.split == second.split else across).append((first.path, second.path))
    return tuple(within), tuple(across)


def cut_values(images: int) -> list[str]:
    """What to say where images are brighter than white, which the training images define."""
    if not images:
        return []
    return [
        f"{count(images, 'image')} with values above the white of the training images, where they are cut (the "
        "notes of the data report name them): were they photographed and saved in the same way?"
    ]


def leaks(across: Sequence[Sequence[str]], near_across: Sequence[Sequence[str]]) -> list[str]:
    """What to say where two splits have the same images."""
    return [text for pair, so in _LEAKS.items() if (text := _leak(pair, so, across, near_across))]


def _leak(pair: tuple[str, str], so: str, across: Sequence[Sequence[str]], near_across: Sequence[Sequence[str]]) -> str:
    same, near = in_both(pair, across), in_both(pair, near_across)
    both = " and ".join(pair)
    found = [f"{count(same, 'file')} in both {both}"] if same else []
    if near:
        alike = "that seems" if near == 1 else "that seem"
        found.append(f"{count(near, 'pair')} across {both} {alike} to show the same part")
    return f"{', and '.join(found)}: {so}." if found else ""


def seen_already(findings: Findings) -> list[str]:
    """What to say where images for calibration show parts that train."""
    there = sum(row.split == "calibration" for row in findings.index)
    seen = there - len(findings.unseen())
    if not seen:
        return []
    are, they = ("is a copy of a training image or shows", "It does") if seen == 1 else (
        "are copies of training images or show", "They do"
    )  # fmt: skip
    return [
        f"{seen:,} of {count(there, 'image')} for calibration {are} the same part. {they} not set the threshold: the "
        "model has seen that part."
    ]


def other_sizes(findings: Findings) -> list[str]:
    """What to say where most images for calibration have sizes that no training image has, and those have few."""
    sizes = {
        split: [size for row, size in zip(findings.index, findings.size_of_row, strict=True) if row.split == split]
        for split in ("train", "calibration")
    }
    usual = set(sizes["train"])
    odd = [size for size in sizes["calibration"] if size not in usual]
    if len(usual) > max(1, len(sizes["train"]) // IMAGES_A_SIZE) or len(odd) <= len(sizes["calibration"]) / 2:
        return []
    return [
        f"{len(odd):,} of {count(len(sizes['calibration']), 'image')} for calibration have another size than all "
        f"training images, such as {odd[0]} instead of {min(usual)}: are they of the same camera?"
    ]


def squeezed(sizes: Mapping[str, int], size: Size) -> list[str]:
    """What to say where most images have quite another shape than what they are scaled to.

    Args:
        sizes: Images by their size, such as ``300x500``.
        size: What they are scaled to.
    """
    own = size.width / size.height
    ratios = {name: int(name.partition("x")[0]) / int(name.partition("x")[2]) / own for name in sizes}
    odd = {name: sizes[name] for name, ratio in ratios.items() if not 1 / SQUEEZED < ratio < SQUEEZED}
    if 2 * sum(odd.values()) <= sum(sizes.values()):
        return []
    return [
        f"{sum(odd.values()):,} of {count(sum(sizes.values()), 'image')} are squeezed to {size} pixels, such as one of "
        f"{max(odd, key=odd.__getitem__)}: a small defect may be lost along the longer side. image_size 'fit' keeps "
        "the shape of the photographs."
    ]


def no_good_in_test(folders: Sequence[str]) -> list[str]:
    """What to say where no test folder has a name of good parts: one of another language would be taken for a defect.

    Args:
        folders: Those of the test split, by their names in the layout.
    """
    unknown = sorted(folder for folder in folders if meaning_of(folder) != "defective")
    if GOOD in folders or not unknown:
        return []
    shown = ", ".join(unknown[:MOST_NAMED]) + (", ..." if len(unknown) > MOST_NAMED else "")
    return [
        "no folder of test has a name of good parts, so all test images count as defective, and neither false alarms "
        f"nor AUROC are measured. If one of the folders {shown} holds good parts, rename it {GOOD}."
    ]


def too_few(good: int, groups: int, target_fpr: float, what: str = "", *, by_folder: bool = False) -> list[str]:
    """What to say where the good images that set the threshold do not allow the requested false-alarm rate.

    Args:
        good: How many there are.
        groups: Of images that belong together, among them.
        target_fpr: What is requested.
        what: Which images these are, where they do not train.
        by_folder: Whether sub-folders are groups, without anybody having said so.
    """
    needed = good_images_needed(target_fpr)
    if groups >= needed:
        return []
    best = smallest_rate(groups)
    images = f"good images {what}" if what else "good training images"
    images = images if good != 1 else images.replace("images", "image")
    if groups == good:
        said, of = f"{good} {images} allow{'s' if good == 1 else ''}", ""
    else:
        said = f"{good} {images} come in {count(groups, 'group')} that belong together and allow"
        of = " groups, such as photographs of that many parts"
    hint = f" {FOLDERS_ARE_GROUPS}" if by_folder else ""
    needs = f"the requested {short_percent(target_fpr)} needs {needed}{of}"
    return [f"{said} a false-alarm rate of {percent(best)} at best; {needs}.{hint}"]


def _labels(index: Sequence[IndexRow], split: str) -> Labels:
    labels = [row.label for row in index if row.split == split]
    return Labels(normal=labels.count(0), anomalous=labels.count(1))
