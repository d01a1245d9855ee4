"""The data report as a page: what was found in the images of a category, with pictures of what it complains about."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vqi.artifacts.data_report import DataReport, MaskProblem, told_sizes
from vqi.artifacts.images import Images, IndexRow
from vqi.pages import rendering as pages
from vqi.pages.data_chart import spread_svg
from vqi.pages.maps import data_uris, outlined
from vqi.photographs.decoding import UnreadableImage, decode, own_white
from vqi.preparation.appearance import GROUPS, Look, look_of, telling

SHOWN = 12  # complaints of each kind; the JSON has all
SIDE = 4  # pictures of one complaint
BUDGET = 4 << 20  # bytes of all pictures together

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Tile:
    """A picture and its caption. Without a picture: a file that cannot be shown."""

    caption: str
    pixels: Pixels | None
    uri: str = ""


@dataclass(frozen=True)
class Complaint:
    """Pictures side by side, and what is wrong with them."""

    tiles: tuple[Tile, ...]
    problem: str = ""


@dataclass(frozen=True)
class Section:
    """Complaints of one kind."""

    title: str
    meaning: str
    count: int
    complaints: tuple[Complaint, ...]


class Pictures:
    """The pictures of files by their path: as prepared, or as they are in the shard."""

    def __init__(self, images: Images, shard: Path, max_pixels: int) -> None:
        self.images, self._shard, self._max_pixels = images, shard, max_pixels
        self._rows = {row.path: number for number, row in enumerate(images.index)}

    def tile(self, path: str) -> Tile:
        """An image, outlined where it has a mask; a mask; or neither where it cannot be read."""
        if path not in self._rows:
            return Tile(path, self._raw(path))
        number = self._rows[path]
        mask = self.images.index[number].mask_row
        pixels = np.array(self.images.images[number])
        return Tile(path, pixels if mask is None else outlined(pixels, np.array(self.images.masks[mask])))

    def looks(self) -> Iterator[tuple[IndexRow, Look]]:
        """The figures of the test images."""
        for row, image in zip(self.images.index, self.images.images, strict=True):
            if row.split == "test":
                yield row, look_of(np.array(image))

    def image_of(self, mask: str) -> str:
        """The path of the image that a mask belongs to; '' where there is none."""
        stem = mask.removeprefix("ground_truth/").rpartition("_mask")[0]
        return next((path for path in self._rows if path.startswith(f"test/{stem}.")), "")

    def _raw(self, path: str) -> Pixels | None:
        try:
            with zipfile.ZipFile(self._shard) as shard:
                data = shard.read(path)
            return decode(
                data, path, self.images.record.image_size, self._max_pixels, own_white(data, path, self._max_pixels)
            )
        except (UnreadableImage, KeyError):
            return None


def render(report: DataReport, pictures: Pictures) -> str:
    """The page of a data report, self-contained."""
    sections = [section for section in _sections(report, pictures) if section.count]
    return pages.render(
        "data.html.j2",
        report=report,
        sizes=told_sizes(report.sizes),
        dataset=pictures.images.record.dataset,
        notes=[one.model_dump() for one in report.notes],
        groups=GROUPS,
        charts=[(figure, spread_svg(figure, groups)) for figure, groups in report.looks.items() if groups],
        telling=telling(report.separation),
        answered=answered(pictures.images.index),
        sections=_within_budget(sections),
    )


def answered(index: Sequence[IndexRow]) -> dict[str, int]:
    """How many images operators' verdicts brought, by folder."""
    folders = Counter(f"{row.split}/{row.defect_type}" for row in index if row.answered)
    return dict(sorted(folders.items()))


def _sections(report: DataReport, pictures: Pictures) -> Iterator[Section]:
    yield from _light(report.separation, pictures)
    pairs = [
        (
            "The same file in two splits",
            "A test or a calibration on what the model has seen says nothing.",
            report.duplicates_across_splits,
        ),
        ("The same part in two splits", "Photographed twice, or nearly so.", report.near_duplicates_across_splits),
        ("The same file twice", "It counts twice.", report.duplicates_within_splits),
        ("The same part twice", "Photographed twice, or nearly so.", report.near_duplicates_within_splits),
    ]
    for title, meaning, groups in pairs:
        shown = tuple(Complaint(tuple(map(pictures.tile, group[:SIDE]))) for group in groups[:SHOWN])
        yield Section(title, meaning, len(groups), shown)
    yield _masks(report.mask_problems, pictures)
    unread = report.unreadable
    shown = tuple(Complaint((Tile(one.path, None),), one.reason) for one in unread[:SHOWN])
    yield Section("Unreadable", "Left out of everything.", len(unread), shown)


def _masks(problems: Sequence[MaskProblem], pictures: Pictures) -> Section:
    shown = []
    for one in problems[:SHOWN]:
        image = pictures.image_of(one.path) if one.path.startswith("ground_truth/") else ""
        paths = [path for path in (image, one.path) if path]
        shown.append(Complaint(tuple(map(pictures.tile, paths)), one.problem))
    return Section(
        "Masks that need a look", "One that does not match its image is not used.", len(problems), tuple(shown)
    )


def _light(separation: Mapping[str, float], pictures: Pictures) -> Iterator[Section]:
    """For the figure that separates the test classes best, some images of each class, in rising order of it."""
    tell = telling(dict(separation))
    if not tell:
        return
    figure = max(tell, key=lambda name: tell[name])
    at = Look._fields.index(figure)
    looks = list(pictures.looks())
    complaints = []
    for label, name in ((0, "good"), (1, "defective")):
        ordered = sorted((look[at], row.path) for row, look in looks if row.label == label)
        chosen = [ordered[round(place)] for place in np.linspace(0, len(ordered) - 1, SIDE)]
        tiles = tuple(Tile(f"{value:.0f} · {path}", pictures.tile(path).pixels) for value, path in chosen)
        complaints.append(Complaint(tiles, f"{name} test images, from the lowest {figure} to the highest"))
    title = f"The {figure} alone tells the test classes apart"
    yield Section(title, "The number before each name is a grey value from 0 to 255.", 2, tuple(complaints))


def _within_budget(sections: Sequence[Section]) -> list[Section]:
    """The sections with their pictures as data URIs, all of one size."""
    tiles = [tile for section in sections for one in section.complaints for tile in one.tiles]
    uris = iter(data_uris([tile.pixels for tile in tiles if tile.pixels is not None], BUDGET))
    drawn = iter([Tile(tile.caption, None, "" if tile.pixels is None else next(uris)) for tile in tiles])
    return [
        Section(
            section.title,
            section.meaning,
            section.count,
            tuple(Complaint(tuple(next(drawn) for _ in one.tiles), one.problem) for one in section.complaints),
        )
        for section in sections
    ]
