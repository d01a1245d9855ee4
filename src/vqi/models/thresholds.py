"""The threshold of another false-alarm rate, from what a version keeps: a version of its own, without a run.

It has the network of the version that it is of, which is kept once, and the detector with another threshold,
from the scores of good parts that are in it. What is measured of it are the scores of the test images that were kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vqi import metrics as measures
from vqi.artifacts.decision import Decision
from vqi.artifacts.detector import DetectorArtifact, load_detector, save_detector
from vqi.artifacts.files import write_text
from vqi.artifacts.metrics import Metrics, OperatingPoint, Scored, scored_of, write_metrics
from vqi.artifacts.threshold import Threshold
from vqi.config import Publish
from vqi.datasets.layout import place_of
from vqi.detectors.registry import at_rate
from vqi.errors import VqiError
from vqi.models.category import Category
from vqi.models.deciding import PENDING, decide
from vqi.models.figures import metrics_of
from vqi.models.manifest import FILES
from vqi.models.models_page import renew_page_of
from vqi.models.overview import check_place, version_in_store
from vqi.models.registry import fetch_model, publish_to
from vqi.models.trained import dataset_of, note_trained, trained_of
from vqi.pages.threshold_page import threshold_page
from vqi.system.scratch import scratch_folder


class Points(NamedTuple):
    """The operating points of a version."""

    category: Category
    version: int
    target_fpr: float  # of the threshold in use
    points: tuple[OperatingPoint, ...]  # the lowest rate first


def points_of(uri: str, target_fpr: float | None = None) -> Points:
    """What the thresholds of several rates give, that of ``target_fpr`` among them.

    Raises:
        VqiError: There is no such version in a store, what was measured of it cannot be read, or the rate is none.
    """
    category, number = version_in_store(uri)
    found = metrics_of(category, number)
    if target_fpr is None or any(one.target_fpr == target_fpr for one in found.operating_points):
        return Points(category, number, found.target_fpr, found.operating_points)
    with scratch_folder() as folder:
        fetch_model(category.uri_of(number), folder)
        artifact = at_rate(load_detector(folder / "detector.safetensors"), target_fpr)
    points = _points(artifact, found, _types(category, number, found.scored))
    return Points(category, number, found.target_fpr, points)


def change_threshold(uri: str, target_fpr: float, settings: Publish, by: str) -> Decision:
    """Make a version with the threshold of another rate, and let the gate decide whether it is used from now on.

    Args:
        uri: Of the version that it is made of; of a category, its champion.
        target_fpr: In (0, 1).
        settings: Of the gate.
        by: Who asks for it.

    Raises:
        VqiError: There is no such version in a store, its package is damaged or of an earlier vqi, it has the threshold
            of that rate, or the store cannot be written.
    """
    category, number = version_in_store(uri)
    with scratch_folder() as folder:
        check_place(category, number, fetch_model(category.uri_of(number), folder))
        old = load_detector(folder / "detector.safetensors")
        if old.record.settings.target_fpr == target_fpr:
            raise VqiError(
                f"{category.uri_of(number)} has the threshold of target_fpr {target_fpr:g}: name another rate"
            )
        artifact, before = at_rate(old.in_memory(), target_fpr), metrics_of(category, number)
        found = _measured(artifact, before, _types(category, number, before.scored))
        save_detector(folder / "detector.safetensors", artifact)
        write_metrics(folder / "metrics.json", found)
        write_text(folder / "report.html", threshold_page(found, before.target_fpr, number))
        published = publish_to(category, {name: folder / name for name in FILES}, PENDING)
    decision = decide(published, settings, by)
    if made := trained_of(category, number):
        used = decision.champion or 0
        note_trained(category, published.version, made.model_copy(update={"used": used}))
    renew_page_of(category)
    return decision


def _measured(artifact: DetectorArtifact, before: Metrics, types: Sequence[str] | None) -> Metrics:
    """What is measured of a detector whose threshold alone is another one."""
    threshold = artifact.record.threshold
    found = {
        "threshold": threshold.value,
        "threshold_source": threshold.source,
        "target_fpr": threshold.target_fpr,
        "guaranteed_fpr": threshold.guaranteed_fpr,
        "good_images_needed": threshold.needed,
        "operating_points": _points(artifact, before, types),
    }
    if before.scored is None:
        raise VqiError("the scores of its test images were not kept by the vqi that made it: train the category again")
    rates = measures.at_threshold(*_arrays(before.scored), threshold.value)
    return before.model_copy(update={**found, **dict(rates)})


def _points(artifact: DetectorArtifact, before: Metrics, types: Sequence[str] | None) -> tuple[OperatingPoint, ...]:
    """What each threshold of a detector gives; those that were measured before as they were."""
    known = {one.target_fpr: one for one in before.operating_points}
    return tuple(
        known[one.target_fpr] if one.target_fpr in known else _point(one, before.scored, types)
        for one in artifact.record.operating_points
    )


def _point(threshold: Threshold, scored: Scored | None, types: Sequence[str] | None) -> OperatingPoint:
    """What a threshold gives on the test images, by type of defect where that is known."""
    labels, scores = _arrays(scored)
    found = measures.operating_point(threshold, labels, scores, types or [""] * len(labels))
    return found if types else found.model_copy(update={"recall_by_type": {}})


def _arrays(scored: Scored | None) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Labels and scores, (N,) each; of no images where they were not kept."""
    if scored is None:
        return np.zeros(0, np.int64), np.zeros(0)
    return np.array([int(label) for label in scored.labels], np.int64), np.array(scored.scores)


def _types(category: Category, number: int, scored: Scored | None) -> list[str] | None:
    """The type of defect of each image that was scored; None where the dataset does not say that any more."""
    digests = dataset_of(category, number)
    if digests is None or scored is None:
        return None
    places = {path: place for path in digests if (place := place_of(path)) is not None and place.split == "test"}
    images = sorted((digests[path], place.label, path) for path, place in places.items())
    if scored_of(images, np.zeros(len(images))).images != scored.images:
        return None  # some of them could not be decoded
    return [places[path].defect_type for _, _, path in images]
