"""The artifacts ``metrics``, ``roc``, ``summary``: what was measured of a category. A figure without data is None."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from vqi.artifacts.files import write_json
from vqi.artifacts.threshold import Method
from vqi.records import Record

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


class ImageAreas(Record):
    """Area under the ROC curve of image scores, with its confidence interval."""

    image_auroc: Share | None
    image_auroc_low: Share | None
    image_auroc_high: Share | None


class PixelAreas(Record):
    """Areas under the curves of pixels."""

    pixel_auroc: Share | None
    aupro: Share | None


class Rates(Record):
    """Rates of the decision ``score > threshold``; None where the denominator is zero."""

    accuracy: Share | None
    f1: Share | None
    false_alarm_rate: Share | None  # of the good images
    recall: Share | None


class AtThreshold(Rates):
    """Counts and rates of the decision ``score > threshold``."""

    tp: Count
    fp: Count
    tn: Count
    fn: Count
    precision: Share | None


class BestAccuracy(Record):
    """What the best threshold would give if the test labels were known; not attainable in practice."""

    oracle_accuracy: Share | None


class Oracle(BestAccuracy):
    """What the best thresholds would give if the test labels were known; a score at a threshold is not flagged."""

    oracle_accuracy_threshold: float | None
    oracle_youden: Share | None  # the highest Youden index, recall minus false-alarm rate
    oracle_youden_threshold: float | None


class RocPoint(Record):
    """What flagging every score above a threshold gives."""

    threshold: float
    recall: Share
    false_alarm_rate: Share


class OperatingPoint(Record):
    """What one of several thresholds gives; a threshold is set from good images only, for a false-alarm rate."""

    target_fpr: Share
    threshold: float
    method: Method
    calibration_groups: Count  # of good images
    rank: Count  # groups at or below the threshold
    good_images_needed: Count
    false_alarm_rate: Share | None  # of the good test images
    recall: Share | None
    recall_by_type: dict[str, Share]  # by type of defect; empty where all are of one


class _OfCategory(Record):
    category: str
    test_images: Count


class _AtTarget(Record):
    threshold: float
    target_fpr: Share


class Summary(BestAccuracy, Rates, _AtTarget, PixelAreas, ImageAreas, _OfCategory):
    """A category's row of the result table. The fields are in the order of the bases from the last to the first."""


class Metrics(Summary, AtThreshold, Oracle):
    """All figures of a category: ``metrics.json``."""

    test_good: Count
    test_anomalous: Count
    train_images: Count
    detector: str  # its kind
    threshold_source: str
    guaranteed_fpr: Share
    good_images_needed: Count
    held_out_fre_ratio: Share | None  # of the fine-tuned backbone
    parent_held_out_fre_ratio: Share | None  # of the backbone before
    parent_image_auroc: Share | None
    operating_points: tuple[OperatingPoint, ...]  # the lowest rate first, that of the threshold among them

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
