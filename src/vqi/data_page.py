"""The data report as a page: what was found in the images of a category, with pictures of what it complains about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vqi import pages
from vqi.appearance import GROUPS
from vqi.artifacts import Images
from vqi.maps import data_uris

SHOWN = 12  # groups of pictures of each kind; the JSON has all
BUDGET = 4 << 20  # bytes of all pictures together


@dataclass(frozen=True)
class Complaint:
    """Images that are shown side by side: their paths and pictures."""

    paths: tuple[str, ...]
    pictures: tuple[str, ...]  # data URIs; none for an image that could not be read


def render(report: Mapping[str, Any], images: Images) -> str:
    """The page of a data report, self-contained."""
    kinds = [
        ("The same file in train and test", report["duplicates_across_splits"]),
        ("The same part in train and test", report["near_duplicates_across_splits"]),
        ("The same file twice", report["duplicates_within_splits"]),
        ("The same part twice", report["near_duplicates_within_splits"]),
    ]
    return pages.render(
        "data.html.j2",
        report=report,
        groups=GROUPS,
        sections=[(title, len(found), complaints(found[:SHOWN], images)) for title, found in kinds if found],
    )


def complaints(groups: Sequence[Sequence[str]], images: Images) -> list[Complaint]:
    """Groups of paths with their pictures; of a large group the first few."""
    rows = {row.path: number for number, row in enumerate(images.index)}
    paths = [tuple(group[:4]) for group in groups]
    flat = [path for group in paths for path in group if path in rows]
    pictures = dict(zip(flat, data_uris([images.images[rows[path]] for path in flat], BUDGET), strict=True))
    return [Complaint(group, tuple(pictures[path] for path in group if path in pictures)) for group in paths]
