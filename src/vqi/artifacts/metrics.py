"""The artifacts ``metrics``, ``roc``, ``summary``: what was measured of a category. A figure without data is None."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from vqi.artifacts.files import write_json
from vqi.artifacts.threshold import Method
from vqi.digests import digest_json
from vqi.formatting import count
from vqi.records import Record

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Usable = Literal["yes", "with care", "not known", "no"]  # whether a model can be used


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


class FromVerdicts(Record):
    """How many images operators' verdicts brought."""

    answered_train: Count = 0  # good ones; 0 in what an earlier vqi wrote
    answered_test: Count = 0  # defective ones

    @property
    def joined(self) -> str:
        """In words: ``12 photographs confirmed as good in training, 3 ...``; '' where it is nothing."""
        if not self.answered_train and not self.answered_test:
            return ""
        train = count(self.answered_train, "photograph")
        return f"{train} confirmed as good in training, {self.answered_test:,} confirmed as defective in the test"


class Concluded(Record):
    """What follows from the figures, by ``vqi.conclusion``; None in what an earlier vqi wrote."""

    usable: Usable | None = None
    usable_why: str | None = None  # in one or two sentences


class Summary(Concluded, FromVerdicts, BestAccuracy, Rates, _AtTarget, PixelAreas, ImageAreas, _OfCategory):
    """A category's row of the result table. The fields are in the order of the bases from the last to the first."""


class Scored(Record):
    """The scores of the test images, in the order of the images' digests: for a comparison on the same ones."""

    images: str = Field(pattern="^[0-9a-f]{64}$")  # digest of the images and their labels
    labels: str = Field(pattern="^[01]*$")  # a digit for each
    scores: tuple[float, ...]

    @model_validator(mode="after")
    def _numbers_fit(self) -> Self:
        if len(self.labels) != len(self.scores):
            raise ValueError(f"scores: expected {len(self.labels)}, one for each label, got {len(self.scores)}")
        return self


def scored_of(images: Sequence[tuple[str, int, str]], scores: Iterable[float]) -> Scored:
    """The scores of images in an order, and of a digest, in which the names of the images do not count.

    Args:
        images: Of each the sha256 of its file, its label and its path.
        scores: Of each.
    """
    in_order = sorted(zip(images, scores, strict=True), key=lambda one: one[0])
    return Scored(
        images=digest_json([[sha256, label] for (sha256, label, _), _ in in_order]),
        labels="".join(str(label) for (_, label, _), _ in in_order),
        scores=tuple(float(score) for _, score in in_order),
    )


class HeldOut(Record):
    """The scores of the good images that set the threshold, each by a model that did not see its group."""

    images: tuple[Annotated[str, Field(pattern="^[0-9a-f]{16}$")], ...]  # of each the digest of its file, shortened
    parts: tuple[int, ...]  # of each, equal for images that show one part
    scores: tuple[float, ...]

    @model_validator(mode="after")
    def _numbers_fit(self) -> Self:
        if not len(self.images) == len(self.parts) == len(self.scores):
            raise ValueError(f"expected parts and scores of {len(self.images)} images")
        return self


def short_digest(sha256: str) -> str:
    """Of a file, as ``HeldOut`` has it."""
    return sha256[:16]


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
    scored: Scored | None = None  # None in what an earlier vqi wrote
    held_out: HeldOut | None = None  # None there, and where the images that set the threshold are not at hand

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
