"""A model and labelled photographs -> metrics, measured as ``evaluate`` measures them in training. Imports torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from vqi.artifacts.detector import DetectorArtifact
from vqi.artifacts.features import Features
from vqi.artifacts.images import ImagesRecord, ImagesWriter, IndexRow, load_images
from vqi.artifacts.metrics import Metrics
from vqi.config import Evaluate
from vqi.datasets.local import read_file, walk
from vqi.datasets.placing import UNSPLIT, arranged
from vqi.errors import VqiError
from vqi.evaluation import evaluate
from vqi.network.extraction import Extractor
from vqi.photographs.decoding import UnreadableImage
from vqi.preparation.images import Loaded, Member, find_members, load
from vqi.progress import message
from vqi.system import processor
from vqi.system.concurrency import in_order
from vqi.system.scratch import scratch_folder


def assess(folder: Path, artifact: DetectorArtifact, extractor: Extractor, train_images: int) -> Metrics:
    """Measure a model on the photographs of a folder.

    Args:
        folder: With a folder of good parts and one for each type of defect, or with those in ``test``; masks in
            ``ground_truth/<type of defect>``.
        artifact: The model's detector.
        extractor: What runs the model's network.
        train_images: How many the model was fitted to, for the metrics.

    Raises:
        VqiError: There are no such images, or none of them can be read.
    """
    files = _test_files(folder)
    members = [one for one in find_members(files) if one.place.split == "test"]
    if not members:
        raise VqiError(
            f"{folder}: expected photographs in {folder.name}/good and in {folder.name}/<type of defect>, got none"
        )
    made = artifact.record.features
    with scratch_folder() as scratch:
        with ImagesWriter(scratch / "images", made.images) as writer:
            work = partial(_load, folder, files, made.images)
            writer.finish(list(_written(in_order(members, work, processor.threads()), writer)))
        images = load_images(scratch / "images")
        if not images.index:
            raise VqiError(f"{folder}: none of the {len(members)} photographs can be read")
        maps = extractor.extract(images.images)
        none = np.zeros(0, np.int64)
        found = evaluate(images, Features(maps.rows(slice(0)), none, maps, made), artifact, Evaluate())
    return found.metrics.model_copy(update={"train_images": train_images})


def _test_files(folder: Path) -> dict[str, str]:
    """The files below a folder by their paths in the layout; good and defective ones next to each other are a test."""
    if not folder.is_dir():
        got = "a file" if folder.exists() else "nothing"
        raise VqiError(f"{folder}: expected a folder of labelled photographs, got {got}")
    found = arranged(walk(folder).all(), f"{folder}/")
    return {path.replace(f"{UNSPLIT}/", "test/", 1) if _is_unsplit(path) else path: at for path, at in found.items()}


def _is_unsplit(path: str) -> bool:
    return path.startswith(f"{UNSPLIT}/")


def _load(folder: Path, files: Mapping[str, str], made: ImagesRecord, member: Member) -> Loaded:
    """One image with its mask."""

    def read(path: str) -> bytes:
        return read_file(folder / files[path], files[path])

    try:
        data, mask = read(member.path), read(member.mask) if member.mask else None
    except UnreadableImage as error:
        return Loaded(member, "", None, error.reason, None, ())
    return load(member, data, mask, made.image_size, made.max_pixels, made.white)


def _written(loaded: Iterator[Loaded], writer: ImagesWriter) -> Iterator[IndexRow]:
    """Write what could be read, and say what could not."""
    row = 0
    for one in loaded:
        for problem in one.mask_problems:
            message(f"mask {one.member.mask}: {problem}")
        if one.image is None:
            message(f"unreadable image {one.member.path}: {one.unreadable}")
            continue
        writer.add_image(one.image.pixels)
        mask_row = None if one.mask is None else writer.add_mask(one.mask)
        place = one.member.place
        yield IndexRow(one.member.path, place.split, place.label, place.defect_type, mask_row, one.sha256, row, row)
        row += 1
