"""A category of a source -> the artifact ``images`` and the data report, as the steps make them, without a store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from vqi.artifacts.data_report import DataReport
from vqi.artifacts.left_out import of_category
from vqi.config import Preparation
from vqi.datasets.download import DIGEST_LETTERS, digest_of, pack, read_manifest
from vqi.datasets.layout import Dataset, Shard
from vqi.digests import sha256_file
from vqi.preparation.images import prepare
from vqi.store.names import key_of


class Alone(NamedTuple):
    """What was made of a category."""

    images: Path  # folder
    shard: Path
    report: DataReport


def prepare_alone(dataset: Dataset, category: str, settings: Preparation, scratch: Path) -> Alone:
    """Read, pack and prepare one category of a divided dataset; ``scratch``: an empty folder, which receives it.

    Raises:
        VqiError: As ``prepare``; or none of its images can be read.
    """
    one = replace(dataset, categories={category: dataset.categories[category]})
    manifest = read_manifest(one)
    contents = manifest[category]
    there = [entry for entry in one.categories[category] if entry.path in contents.digests]
    packed, images = scratch / "shard.zip", scratch / "images"
    pack(iter(there), contents.digests, packed)
    report = prepare(
        Shard(
            packed, sha256_file(packed), dataset.licence, contents.unreadable, of_category(dataset.left_out, category)
        ),
        images,
        category,
        settings.image_size,
        settings.max_bad_fraction,
        settings.max_pixels,
        dataset=f"{key_of(dataset.name)}@{digest_of(manifest)[:DIGEST_LETTERS]}",
        target_fpr=settings.target_fpr,
        group_by=settings.group_by,
    )
    return Alone(images, packed, report)
