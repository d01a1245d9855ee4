"""The report of a category: one self-contained HTML page, no JavaScript, for those responsible for the line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vqi.artifacts.metrics import Metrics, Roc
from vqi.artifacts.threshold import Threshold
from vqi.artifacts.training_log import Epoch
from vqi.conclusion import Conclusion
from vqi.detectors.comparison import Suitability
from vqi.pages import findings, maps
from vqi.pages.charts import Group, histogram_svg, roc_svg
from vqi.pages.rendering import render
from vqi.pages.training_chart import training_svg

TestGroup = Literal["false alarms", "missed", "typical defects", "typical good"]
ExampleGroup = Literal[TestGroup, "unusual"]
Labels = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]

_PICTURE_BYTES = 1_700_000  # of all pictures of a report, as data URIs
_GROUPS: dict[ExampleGroup, tuple[str, str]] = {
    "false alarms": ("False alarms", "Good parts that were flagged, the highest scores first."),
    "missed": ("Missed", "Defective parts that passed, the lowest scores first."),
    "unusual": (
        "Are these really good?",
        "The most unusual of the good photographs that set the threshold, each scored by a model that had not seen it. "
        "A defective part among them raises the threshold, and hides defects like its own: take it out, or mark it "
        "with a verdict, and run again. The maps are the model's own, which may have seen the photograph: so they are "
        "weaker.",
    ),
    "typical defects": ("Typical defects", "Defective parts with scores around the median of the defective ones."),
    "typical good": ("Typical good", "Good parts with scores around the median of the good ones."),
}


@dataclass(frozen=True)
class ReportImage:
    """A test image that the report shows, or a good one that set the threshold."""

    path: str
    label: int  # 0 normal, 1 anomalous
    defect_type: str
    score: float
    decision: int  # 0 passed, 1 flagged
    image: npt.NDArray[np.uint8]  # (H, W, 3)
    anomaly_map: npt.NDArray[np.float32]  # (H, W)
    mask: npt.NDArray[np.bool_] | None  # (H, W); None where there is none
    group: ExampleGroup


@dataclass(frozen=True)
class Setting:
    """A parameter of a step: its name, its value, and what it means."""

    name: str
    value: Any
    meaning: str


@dataclass(frozen=True)
class ReportData:
    """What a report is made of. Figures in ``metrics`` that were not measured are None."""

    category: str
    dataset: str
    metrics: Metrics
    labels: Labels  # (n,) of the test images; n may be 0
    scores: Scores  # (n,)
    threshold: Threshold
    roc: Roc
    calibration_scores: Scores  # (m,)
    images: Sequence[ReportImage]
    map_limit: float  # of good parts' maps
    settings: Mapping[str, Sequence[Setting]]  # by step
    data: Mapping[str, Any]  # what is in the photographs, by what a reader calls it
    provenance: Mapping[str, Any]  # weights, versions, so too
    conclusion: Conclusion
    warnings: Sequence[str]
    training: Sequence[Epoch] = ()  # of fine-tuning
    suitability: tuple[Suitability, Suitability] | None = None  # of the parent and of the fine-tuned backbone


def render_report(report: ReportData) -> str:
    """The page. All maps are on the colour scale of the model; pictures stay under about 2 MB together."""
    good, bad = report.scores[report.labels == 0], report.scores[report.labels == 1]
    return render(
        "report.html.j2",
        category=report.category,
        dataset=report.dataset,
        conclusion=report.conclusion,
        warnings=report.warnings,
        headline=findings.headline(good, bad, report.threshold.value),
        key_figures=findings.key_figures(report.metrics),
        roc=_roc(report.roc, report.metrics),
        histogram=histogram_svg(_groups(report.calibration_scores, good, bad), report.threshold.value),
        threshold=report.threshold,
        promise=[*findings.promise(report.threshold, good), *findings.from_verdicts(report.metrics)],
        operating=findings.operating_table(report.metrics.operating_points, report.threshold.target_fpr),
        oracle=findings.oracle_figures(report.metrics),
        groups=_example_groups(report.images, report.map_limit, report.metrics),
        colours=maps.COLOURS,
        limit_at=round(100 * float(maps.on_scale(np.ones(1, np.float32), 1.0)[0])),
        hottest=maps.HIGHEST,
        masks=any(one.mask is not None for one in report.images),
        training=training_svg(report.training) if report.training else None,
        training_said=findings.training(report.training),
        compared=findings.comparison(report.suitability),
        settings=report.settings,
        data=report.data,
        provenance=report.provenance,
    )


def choose_examples(labels: Labels, scores: Scores, threshold: float, count: int) -> list[tuple[int, TestGroup]]:
    """Which test images to show: the worst mistakes, then typical images of each class that are not among them.

    Args:
        labels: (n,) 0 normal, 1 anomalous.
        scores: (n,).
        threshold: A score above it is flagged.
        count: Images per group, at most.

    Returns:
        Rows with their group: false alarms (highest score first), missed (lowest first), then the images whose scores
        are nearest in rank to the median of the defective and of the good images, lowest first.
    """
    rows = np.argsort(scores, kind="stable")
    flagged = scores[rows] > threshold
    good, bad = rows[labels[rows] == 0], rows[labels[rows] == 1]
    alarms = rows[(labels[rows] == 0) & flagged][::-1][:count]
    missed = rows[(labels[rows] == 1) & ~flagged][:count]
    chosen: dict[TestGroup, npt.NDArray[np.int64]] = {
        "false alarms": alarms,
        "missed": missed,
        "typical defects": _around_median(bad, missed, count),
        "typical good": _around_median(good, alarms, count),
    }
    return [(int(row), group) for group, members in chosen.items() for row in members]


def _around_median(ranked: npt.NDArray[np.int64], taken: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """From rows ordered by score: the ``count`` nearest in rank to the middle that are not taken, in the same order."""
    distance = np.abs(np.arange(len(ranked)) - (len(ranked) - 1) / 2)
    nearest = np.argsort(distance, kind="stable")
    free = nearest[~np.isin(ranked[nearest], taken)][:count]
    return ranked[np.sort(free)]


def _roc(roc: Roc, metrics: Metrics) -> str | None:
    """The ROC curve with the point that was chosen, or None with one class only."""
    if not roc.points or metrics.false_alarm_rate is None or metrics.recall is None:
        return None
    false_alarms = np.array([point.false_alarm_rate for point in roc.points])
    recalls = np.array([point.recall for point in roc.points])
    return roc_svg(false_alarms, recalls, (metrics.false_alarm_rate, metrics.recall))


def _groups(calibration: Scores, good: Scores, bad: Scores) -> list[Group]:
    """The panels of the histogram; a class without images has none."""
    groups = [
        Group("Good, for calibration", calibration, "good", "at or below", "above"),
        Group("Good test parts", good, "good", "passed", "false alarms"),
        Group("Defective test parts", bad, "bad", "missed", "caught"),
    ]
    return [group for group in groups if len(group.scores)]


def _example_groups(images: Sequence[ReportImage], map_limit: float, metrics: Metrics) -> list[dict[str, Any]]:
    """The groups that have images, in the order of `_GROUPS`, with pictures as data URIs."""
    all_of = {"false alarms": metrics.fp, "missed": metrics.fn}
    pictures = [picture for one in images for picture in _pictures(one, map_limit)]
    uris = maps.data_uris(pictures, _PICTURE_BYTES)
    shown = [(one, uris[3 * i : 3 * i + 3]) for i, one in enumerate(images)]
    return [
        {"title": title, "about": about, "images": members, "all": all_of.get(name, len(members))}
        for name, (title, about) in _GROUPS.items()
        if (members := [(one, sources) for one, sources in shown if one.group == name])
    ]


def _pictures(one: ReportImage, map_limit: float) -> list[maps.Pixels]:
    """The image, its map, and the map over the image with the outline of the mask; each (H, W, 3)."""
    values = maps.on_scale(one.anomaly_map, map_limit)
    return [one.image, maps.coloured(values), maps.overlaid(one.image, values, one.mask)]
