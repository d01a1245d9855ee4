"""The artifacts ``metrics``, ``roc``, ``summary``: what was measured of a category. A figure without data is None."""

from __future__ import annotations

from pathlib import Path

from vqi.artifacts.files import read_text, write_json
from vqi.metrics import AtThreshold, BestAccuracy, ImageAreas, Oracle, PixelAreas, Rates, RocPoint
from vqi.records import Record, parse_json


class _OfCategory(Record):
    category: str
    test_images: int


class _AtTarget(Record):
    threshold: float
    target_fpr: float


class Summary(BestAccuracy, Rates, _AtTarget, PixelAreas, ImageAreas, _OfCategory):
    """A category's row of the result table. The fields stand in the order of the bases from the last to the first."""


class Metrics(Summary, AtThreshold, Oracle):
    """All figures of a category: ``metrics.json``."""

    test_good: int
    test_anomalous: int
    train_images: int
    detector: str  # its kind
    threshold_source: str
    guaranteed_fpr: float
    good_images_needed: int
    held_out_fre_ratio: float | None  # of the fine-tuned backbone
    parent_held_out_fre_ratio: float | None  # of the backbone before
    parent_image_auroc: float | None

    def summary(self) -> Summary:
        """The row of the result table."""
        return Summary(**{name: getattr(self, name) for name in Summary.model_fields})


class Roc(Record):
    """The ROC curve of the test images, and the threshold that was chosen without them."""

    threshold: float
    points: tuple[RocPoint, ...]  # none with one class only


def write_metrics(path: Path, metrics: Metrics) -> None:
    """Write ``metrics.json``."""
    write_json(path, metrics.model_dump(mode="json"))


def read_metrics(path: Path) -> Metrics:
    """Read ``metrics.json``.

    Raises:
        VqiError: The file is missing, or is none.
    """
    return parse_json(Metrics, read_text(path, "run evaluate again"), str(path), "run evaluate again")
