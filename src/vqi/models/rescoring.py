"""The champion on the test images of today: scored by its own network, as ``vqi predict`` does, where the scores that
were kept are of other images. What that gives is kept beside the version, so that it is computed once."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from pydantic import Field

from vqi.artifacts.detector import load_detector
from vqi.artifacts.metrics import Scored, Share, scored_of, short_digest
from vqi.datasets.layout import Entry, place_of
from vqi.datasets.shards import open_shard
from vqi.datasets.splits import squares_of
from vqi.digests import sha256_bytes
from vqi.models.category import Category, names_of
from vqi.models.gate import Measured
from vqi.models.registry import save_model
from vqi.models.trained import is_good, trained_on
from vqi.photographs.similarity import series
from vqi.progress import message, track
from vqi.records import Record
from vqi.store.kept import kept
from vqi.system.scratch import scratch_folder

if TYPE_CHECKING:
    from vqi.models.scorer import Scorer

MOST = 500  # good photographs that are scored at a time: more say hardly more, and each takes time
SCORED = "scored"  # the folder of a version with a file for each set of test images


class ScoredNow(Record):
    """What a version says of test images that it was not measured on when it was made."""

    format: Literal["vqi.scored/1"] = "vqi.scored/1"
    scored: Scored
    threshold: float
    target: Share
    promised: Share
    parts: int = Field(ge=1)
    how: str  # engine and time, for people
    trained: str | None = Field(pattern="^[01]*$")  # 1 where it was trained on an image; None where that is not known


def measured_now(category: Category, number: int, dataset: str, images: str) -> Measured:
    """What a version says of the test images of a dataset.

    Args:
        category: Of the version.
        number: Of the version.
        dataset: Its uri, or what ``dataset_address`` made of that.
        images: The digest of the test images that are expected; see ``Scored``.

    Raises:
        VqiError: The package or the dataset is damaged or not there, or the network cannot be run.
    """
    key = category.key(f"v{number}/{SCORED}/{images}.json")
    found = kept(ScoredNow, category.store, key, "it is scored again")
    if found is None:
        found = _score(category, number, dataset)
        if found.scored.images == images:
            category.store.put_bytes(key, found.model_dump_json().encode())
    return Measured(
        found.scored.images,
        np.array([int(label) for label in found.scored.labels], dtype=np.int64),
        np.array(found.scored.scores, dtype=np.float64),
        found.threshold,
        found.target,
        found.promised,
        found.parts,
        found.how,
        None if found.trained is None else np.array([digit == "1" for digit in found.trained], dtype=np.bool_),
    )


def _score(category: Category, number: int, dataset: str) -> ScoredNow:
    from vqi.models.model import Model  # torch takes seconds to import

    began = time.monotonic()
    with scratch_folder() as scratch:
        folder = save_model(category.uri_of(number), scratch / "model")
        threshold = load_detector(folder / "detector.safetensors").record.threshold
        model = Model(str(folder))
        shard = open_shard(dataset, names_of(category)[1], scratch)
        images, scores = _scores_of(shard.path, model, f"v{number}", _is_test)
    trained = trained_on(category, number)
    return ScoredNow(
        scored=scored_of(images, scores),
        threshold=threshold.value,
        target=threshold.target_fpr,
        promised=max(threshold.target_fpr, threshold.guaranteed_fpr),
        parts=threshold.n,
        how=f"with {model.runtime.engine} {model.runtime.precision}, in {time.monotonic() - began:.0f} s",
        trained=None if trained is None else "".join(str(int(one[0] in trained)) for one in sorted(images)),
    )


class GoodNow(NamedTuple):
    """What a version says of a good photograph."""

    score: float
    part: int  # equal for photographs that seem to show one part


def scores_now(category: Category, number: int, dataset: str, images: Collection[str]) -> dict[str, GoodNow]:
    """What a version says of good photographs of a dataset, by their short digests (see ``HeldOut``): of at most
    ``MOST`` of them; those that cannot be read are left out.

    Args:
        category: Of the version.
        number: Of the version.
        dataset: Its uri, or what ``dataset_address`` made of that.
        images: The short digests.

    Raises:
        VqiError: The package or the dataset is damaged or not there, or the network cannot be run.
    """
    from vqi.models.model import Model  # torch takes seconds to import

    wanted = some_of(images)
    with scratch_folder() as scratch:
        model = Model(category.uri_of(number))
        shard = open_shard(dataset, names_of(category)[1], scratch)
        with zipfile.ZipFile(shard.path) as archive:
            chosen = [path for path in archive.namelist() if is_good(path)]
            paths = {path for path in chosen if short_digest(sha256_bytes(archive.read(path))) in wanted}
        found, scores = _scores_of(shard.path, model, f"v{number}", paths.__contains__)
        parts = _parts(shard.path, [path for _, _, path in found])
    return {
        short_digest(sha256): GoodNow(score, part)
        for (sha256, _, _), score, part in zip(found, scores, parts, strict=True)
    }


def some_of(images: Collection[str]) -> set[str]:
    """At most ``MOST`` of some digests, always the same ones; the order of digests says nothing of their images."""
    return {*sorted({*images})[:MOST]}


def _parts(shard: Path, paths: Sequence[str]) -> list[int]:
    """For each photograph of a shard a number, equal for those that seem to show one part."""
    with zipfile.ZipFile(shard) as archive:
        entries = [Entry(path, partial(archive.read, path)) for path in paths]
        squares, places = squares_of(entries, "look for parts")
    numbers = list(range(len(squares), len(squares) + len(paths)))  # of those that cannot be compared
    for place, part in zip(places, series(squares) if len(squares) else (), strict=True):
        numbers[place] = int(part)
    return numbers


def _scores_of(
    shard: Path, scorer: Scorer, name: str, wanted: Callable[[str], bool]
) -> tuple[list[tuple[str, int, str]], list[float]]:
    """The images of a shard that are wanted by their paths, as ``scored_of`` takes them, and their scores; those that
    cannot be read are left out."""
    from vqi.models.reading import Failure, Stored  # here, as the model: most runs score nothing

    images: list[tuple[str, int, str]] = []
    scores: list[float] = []
    with zipfile.ZipFile(shard) as archive:
        paths = sorted(filter(wanted, archive.namelist()))
        found = scorer.score_many(Stored(path, partial(archive.read, path)) for path in paths)
        for path, result in zip(paths, track(found, len(paths), f"score {name}"), strict=True):
            if isinstance(result, Failure):
                message(f"unreadable image {path}: {result.error}")
                continue
            place = place_of(path)
            images.append((sha256_bytes(archive.read(path)), place.label if place else 0, path))
            scores.append(result.score)
    return images, scores


def _is_test(path: str) -> bool:
    place = place_of(path)
    return place is not None and place.split == "test"
