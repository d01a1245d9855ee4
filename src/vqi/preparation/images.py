"""Shard -> the artifact ``images`` and the data report: every image decoded, checked and resized once.

Images are read, decoded by a few threads and written row by row, so that memory does not grow with their number. How
many are decoded at a time also depends on the memory that is granted: a photograph of 50 megapixels takes 500 MB.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vqi import __version__
from vqi.artifacts.data_report import DataReport, MaskProblem, Note
from vqi.artifacts.images import ImagesRecord, ImagesWriter, IndexRow
from vqi.artifacts.left_out import Unreadable
from vqi.config import ALWAYS_ALLOWED, Preprocess, defaults, exif_seconds
from vqi.datasets.catalogs import dataset_uri
from vqi.datasets.layout import Place, Shard, no_training_images, place_of
from vqi.digests import sha256_bytes
from vqi.errors import VqiError
from vqi.formatting import count
from vqi.photographs.capture import Capture, capture_of
from vqi.photographs.decoding import (
    Decoded,
    UnreadableImage,
    decode,
    decode_image,
)
from vqi.photographs.similarity import near_duplicates, series, shrink
from vqi.preparation import masks
from vqi.preparation.appearance import look_of
from vqi.preparation.data_report import Findings, report
from vqi.preparation.groups import grouped
from vqi.preparation.reading import Source
from vqi.preparation.value_range import decide
from vqi.progress import message, track
from vqi.sizes import Size, fitted, wanted_size
from vqi.system import processor
from vqi.system.concurrency import in_order
from vqi.system.os_errors import explain

__all__ = ["UnreadableImage", "decode", "prepare", "too_many_bad"]

_DEFAULT = defaults(Preprocess)
ORDER = ("train", "calibration", "test")  # of the splits in the artifact
PROBED = 200  # training images whose shape is looked at, evenly spread
DIGEST_LETTERS = 12  # of a shard's digest, behind the dataset's name
NAMED = 5  # files named in an error; the report and the log name all


@dataclass(frozen=True)
class Member:
    """One image of a shard and where its mask is, if it has one."""

    path: str
    place: Place
    mask: str | None


@dataclass(frozen=True)
class Loaded:
    """What one image gave: its pixels or the reason of failure, and its mask or what is wrong with that."""

    member: Member
    sha256: str
    image: Decoded | None
    unreadable: str
    mask: npt.NDArray[np.bool_] | None  # of the size of the pixels
    mask_problems: tuple[str, ...]
    taken: Capture | None = None  # when, where that was asked for


def prepare(
    shard: Shard,
    out_dir: Path,
    category: str,
    image_size: str,
    max_bad_fraction: float,
    max_pixels: int,
    threads: int | None = None,
    dataset: str = "",
    target_fpr: float = _DEFAULT.target_fpr,
    group_by: str = _DEFAULT.group_by,
) -> DataReport:
    """Write the artifact ``images`` of a category to the folder ``out_dir``, split by split (``ORDER``), always alike.

    Args:
        image_size: what images are resized to; see ``config.ImageSize``.
        threads: that decode; by default as many as ``processor.threads`` says. They do not change a byte.
        dataset: URI of the dataset, whose name goes into the header with a digest of this category alone: what becomes
            of a category must not depend on the others, or on where the store is.
        target_fpr: the false-alarm rate that will be requested; the report says whether the images allow it.
        group_by: what names the group of an image; see ``preparation.groups``.

    Returns:
        The data report: counts, sizes, modes, unreadable images with reasons, duplicates, problems of masks.

    Raises:
        VqiError: there is nothing to train on, or no image for calibration can be used though there are some, more
            images are unreadable than ``max_bad_fraction`` allows, the shard is damaged, or the disk is full. Nothing
            is left at ``out_dir`` then.
    """
    with _open_shard(shard.path) as archive, _disk_errors(out_dir):
        members, findings = find_members(archive.namelist()), Findings()
        take_unreadable(shard.unreadable, findings)
        _require_train(category, [member.place for member in members], findings.unreadable)
        findings.mask_problems += masks.problems(archive.namelist(), {m.path: m.mask for m in members})
        source, threads = Source(archive, max_pixels), threads or processor.threads()
        deep = [m.path for m in members if m.place.split == "train" and source.may_be_deep(m.path)]
        largest = dict(zip(deep, in_order(deep, source.largest, threads), strict=True))
        values, findings.warnings = decide(largest)
        size = _size(image_size, [m.path for m in members if m.place.split == "train"], source)
        record = ImagesRecord(
            version=__version__,
            category=category,
            dataset=_named(dataset, shard),
            shard=shard.sha256,
            image_size=size,
            max_bad_fraction=max_bad_fraction,
            max_pixels=max_pixels,
            values=values,
        )
        with ImagesWriter(out_dir, record) as writer:

            def work(member: Member) -> Loaded:
                with source.read(member.path, member.mask) as (data, mask):
                    item = load(member, data, mask, size=size, max_pixels=max_pixels, white=record.white)
                    if item.image is None or exif_seconds(group_by) is None:
                        return item
                    return replace(item, taken=capture_of(data, member.path, max_pixels))

            for item in track(in_order(members, work, threads), len(members), f"decode {category}"):
                _take(item, writer, findings)
            _require_few_bad(category, findings, len(findings.index) + len(findings.unreadable), max_bad_fraction)
            squares = findings.stacked_squares()
            findings.similar = near_duplicates(squares)
            found = grouped(findings.index, series(squares).tolist(), group_by, category, findings.taken)
            findings.index, findings.by_folder = found.index, found.by_folder
            findings.notes += found.notes
            _require_unseen(category, findings)
            writer.finish(findings.index)
    made = report(category, size, findings, target_fpr, shard.licence, shard.left_out)
    for text in made.image_warnings:
        message(f"warning: {category}: {text}")
    return made


def _size(image_size: str, train: Sequence[str], source: Source) -> Size:
    """The size that images are resized to."""
    wanted = wanted_size(image_size)
    if not wanted.fits:
        return wanted.size
    step = -(-len(train) // PROBED)
    shapes = [shape for path in train[::step] if (shape := source.shape(path)) is not None]
    return fitted(wanted.size, shapes) if shapes else wanted.size


def find_members(names: Iterable[str]) -> list[Member]:
    """The images among the paths of a shard, in the order of the artifact, with their masks."""
    places = {name: place for name in names if (place := place_of(name)) is not None}
    found = masks.by_image(places)
    members = [Member(name, place, found.get(name)) for name, place in places.items() if place.split != "ground_truth"]
    return sorted(members, key=lambda m: (ORDER.index(m.place.split), m.place.label, m.place.defect_type, m.path))


def take_unreadable(files: Iterable[Unreadable], findings: Findings) -> None:
    """Note what could not be read in the source: an image is a bad one, a mask a problem of a mask."""
    for one in files:
        place = place_of(one.path)
        if place is not None and place.split == "ground_truth":
            findings.mask_problems.append(MaskProblem(path=one.path, problem=f"unreadable: {one.reason}"))
        else:
            findings.unreadable.append(one)


def load(
    member: Member, data: bytes, mask_data: bytes | None, size: Size, max_pixels: int, white: float | None = None
) -> Loaded:
    """Decode one image and its mask."""
    digest = sha256_bytes(data)
    try:
        image = decode_image(data, member.path, size, max_pixels, white)
    except UnreadableImage as error:
        return Loaded(member, digest, None, error.reason, None, ())
    if member.mask is None or mask_data is None:
        return Loaded(member, digest, image, "", None, ())
    mask, problems = masks.load(member.mask, mask_data, image, max_pixels, is_defect=bool(member.place.label))
    return Loaded(member, digest, image, "", mask, problems)


def _take(item: Loaded, writer: ImagesWriter, findings: Findings) -> None:
    """Write what one image gave, and note what a report says of it."""
    path, place = item.member.path, item.member.place
    if item.image is None:
        findings.unreadable.append(Unreadable(path=path, reason=item.unreadable))
        message(f"unreadable image {path}: {item.unreadable}")
        return
    if item.image.note:
        findings.notes.append(Note(path=path, note=item.image.note))
    findings.mask_problems += [MaskProblem(path=str(item.member.mask), problem=text) for text in item.mask_problems]
    findings.cut += item.image.is_cut
    findings.sizes[size := f"{item.image.width}x{item.image.height}"] += 1
    findings.size_of_row.append(size)
    findings.taken.append(item.taken)
    findings.modes[item.image.mode] += 1
    writer.add_image(item.image.pixels)
    findings.looks.append(look_of(item.image.pixels))
    findings.squares.append(shrink(item.image.pixels))
    mask_row = None if item.mask is None else writer.add_mask(item.mask)
    row = len(findings.index)  # a part and a group by itself, until all images are known
    findings.index.append(IndexRow(path, place.split, place.label, place.defect_type, mask_row, item.sha256, row, row))


def _require_train(category: str, places: Sequence[Place], unread: Sequence[Unreadable]) -> None:
    if not any(place.split == "train" for place in places):
        bad = next((one for one in unread if one.path.startswith("train/")), None)
        if bad is not None:
            raise VqiError(_none_readable(category, bad))
        raise no_training_images(category, (f"{place.split}/{place.defect_type}" for place in places))


def too_many_bad(category: str, bad: Sequence[Unreadable], total: int, max_bad_fraction: float) -> VqiError | None:
    """The error for more unreadable images than a category may have; None where they are not too many.

    Args:
        category: For the error.
        bad: The unreadable ones.
        total: Of all images, those included.
        max_bad_fraction: The parameter; up to ``ALWAYS_ALLOWED`` are too few to matter, unless it is 0.
    """
    allowed = int(max_bad_fraction * total + 1e-9)  # 0.29 * 100 is 28.999999999999996
    allowed = max(allowed, ALWAYS_ALLOWED) if max_bad_fraction else 0
    if len(bad) <= allowed:
        return None
    named = "; ".join(f"{one.path} ({one.reason})" for one in bad[:NAMED])
    more = f"; and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
    return VqiError(
        f"category '{category}': {len(bad)} of {total} images are unreadable, max_bad_fraction {max_bad_fraction} "
        f"allows {allowed}: fix or remove {named}{more}"
    )


def _require_few_bad(category: str, findings: Findings, total: int, max_bad_fraction: float) -> None:
    bad = findings.unreadable
    if problem := too_many_bad(category, bad, total, max_bad_fraction):
        raise problem
    if not any(row.split == "train" for row in findings.index):
        raise VqiError(_none_readable(category, bad[0]))


def _require_unseen(category: str, findings: Findings) -> None:
    """Refuse images for calibration of which none can be used: the threshold would silently rest on others."""
    calibration = [row for row in findings.index if row.split == "calibration"]
    bad = next((one for one in findings.unreadable if one.path.startswith("calibration/")), None)
    if bad is not None and not calibration:
        raise VqiError(
            f"category '{category}': none of its images for calibration is readable, for example {bad.path}: "
            f"{bad.reason}; fix them, or remove the folder: training images set the threshold then"
        )
    if calibration and not findings.unseen():
        raise VqiError(
            f"category '{category}': all {count(len(calibration), 'image')} in calibration/good, such as "
            f"{calibration[0].path}, are copies of training images or show the same parts: expected good parts that do "
            "not train; replace them, or remove the folder: training images set the threshold then"
        )


def _none_readable(category: str, bad: Unreadable) -> str:
    return f"category '{category}': none of its train images is readable, for example {bad.path}: {bad.reason}"


def _named(dataset: str, shard: Shard) -> str:
    """``name@digest`` of a dataset's URI, with the digest of the category's own data; '' for no URI."""
    name = dataset_uri(dataset).rstrip("/").rpartition("/")[2].rpartition("@")[0]
    return f"{name}@{shard.sha256[:DIGEST_LETTERS]}" if name else ""


@contextmanager
def _open_shard(shard: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(shard) as archive:
            yield archive
    except (zipfile.BadZipFile, FileNotFoundError) as error:
        raise VqiError(f"{shard} is not a complete shard ({error}): run dataset_download again") from error


@contextmanager
def _disk_errors(out_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise VqiError(f"cannot write {out_dir}: {explain(error)}") from error
