"""The content of a category's report: an evaluation, the most informative images, and what a reader must know first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vqi.artifacts.data_report import FOLDERS_ARE_GROUPS, DataReport, doubtful_masks
from vqi.artifacts.detector import DetectorArtifact, DetectorRecord
from vqi.artifacts.images import Images
from vqi.artifacts.left_out import missing_photographs
from vqi.artifacts.threshold import Threshold
from vqi.artifacts.training_log import Epoch
from vqi.config import Evaluate
from vqi.detectors.calibration import expected_false_alarms
from vqi.detectors.comparison import Suitability
from vqi.detectors.grid import resized
from vqi.evaluation import Evaluation, mask_of
from vqi.formatting import count
from vqi.pages.findings import differing
from vqi.pages.report import ReportData, ReportImage, choose_examples, render_report

HARM = 1.5  # times the parent's held-out FRE ratio: beyond it the report warns


def report_of(
    evaluation: Evaluation,
    images: Images,
    artifact: DetectorArtifact,
    data: DataReport,
    settings: Evaluate,
    log: Sequence[Epoch] = (),
) -> str:
    """The HTML report of a category; ``log`` is that of the training, where the backbone was fine-tuned."""
    return render_report(
        ReportData(
            category=images.record.category,
            dataset=images.record.dataset,
            metrics=evaluation.metrics,
            labels=evaluation.labels,
            scores=evaluation.values,
            threshold=evaluation.threshold,
            roc=evaluation.roc,
            calibration_scores=np.asarray(artifact.calibration_scores),
            images=_examples(evaluation, images, settings.examples),
            settings=_settings(artifact.record, settings),
            data=data.model_dump(mode="json", exclude={"looks"}),  # drawn on the data page
            provenance=_provenance(artifact.record),
            warnings=warnings_of(evaluation, data, finetuned=artifact.record.features.finetune.best_epoch > 0),
            training=log,
            suitability=evaluation.suitability,
        )
    )


def _settings(made: DetectorRecord, settings: Evaluate) -> dict[str, dict[str, Any]]:
    """What was set for each step."""
    features = made.features
    return {
        "Images": features.images.model_dump(include={"image_size", "max_bad_fraction", "max_pixels", "values"}),
        "Backbone": features.finetune.settings.model_dump(),
        "Features": features.settings.model_dump(),
        "Detector": made.settings.model_dump(),
        "Evaluation": settings.model_dump(),
    }


def _provenance(made: DetectorRecord) -> dict[str, Any]:
    """Weights, versions and what ran the network."""
    return {
        "vqi": made.version,
        **{f"backbone {name}": value for name, value in made.features.backbone.model_dump().items()},
        **{f"runtime {name}": value for name, value in made.features.runtime.model_dump().items()},
        "detector": made.kind,
        **made.facts,
        "threshold": f"{made.threshold.source}, {made.threshold.method}",
    }


def warnings_of(evaluation: Evaluation, data: DataReport, *, finetuned: bool = False) -> list[str]:
    """What a reader must know before the figures, in whole sentences; ``finetuned``: whether the backbone was."""
    found = list(data.image_warnings)
    threshold, figures = evaluation.threshold, evaluation.metrics
    if not threshold.enough:
        series = threshold.n < threshold.images
        what = "parts, each with photographs of its own," if series else "good images"
        there = (
            f"{threshold.images} photographs come in {count(threshold.n, 'group')}"
            if series
            else f"there are {threshold.n}"
        )
        set_to = (
            "The threshold is an estimate from a curve fitted to their scores"
            if threshold.method == "fitted tail"
            else "The threshold is the highest score of a good image"
        )
        found.append(
            f"A false-alarm rate of {threshold.target_fpr:.1%} needs at least {threshold.needed} {what} to calibrate; "
            f"{there}. {set_to}; their scores alone promise {threshold.guaranteed_fpr:.1%}.{_instead(threshold, data)}"
        )
    found += differing(evaluation.differences, threshold, finetuned=finetuned)
    rate = figures.false_alarm_rate
    if rate is not None:
        _, _, high = expected_false_alarms(threshold.n, threshold.rank, figures.test_good)
        if rate > high:
            like = "calibration" if threshold.is_split else "training"
            found.append(
                f"{rate:.1%} of the good test images were flagged, more than chance explains ({high:.1%} at most): "
                f"the good test images differ from the good {like} images."
            )
    if evaluation.caveat:
        found.append(f"{evaluation.caveat[0].upper()}{evaluation.caveat[1:]}.")
    found += _harm(evaluation.suitability)
    if data.unreadable:
        found.append(f"{count(len(data.unreadable), 'image')} could not be read: left out here, and listed under Data.")
    return [*found, *doubtful_masks(data.mask_problems), *missing_photographs(data.left_out)]


def _instead(threshold: Threshold, data: DataReport) -> str:
    """What would allow the requested rate, where that is at hand."""
    if threshold.is_split:
        enough = data.train_groups >= threshold.needed
        return (
            f" Without calibration/good, {data.train_groups} groups of training images would set it." if enough else ""
        )
    return f" {FOLDERS_ARE_GROUPS}" if data.grouped_by_folder else ""


def _harm(compared: tuple[Suitability, Suitability] | None) -> list[str]:
    """What speaks against the fine-tuned backbone."""
    if compared is None:
        return []
    before, after = compared
    found = []
    if after.held_out_fre_ratio > HARM * before.held_out_fre_ratio:
        found.append(
            "Fine-tuning made held-out good images harder to describe: their unexplained share of the variance is "
            f"{after.held_out_fre_ratio:.1%}, and was {before.held_out_fre_ratio:.1%} with the pretrained weights. "
            "Look at the comparison under Fine-tuning before you use this model."
        )
    if after.image_auroc is not None and before.image_auroc is not None and after.image_auroc < before.image_auroc:
        found.append(
            f"The fine-tuned backbone separates the test images less well than its pretrained parent (image AUROC "
            f"{after.image_auroc:.3f} against {before.image_auroc:.3f}): method 'pretrained' is better here."
        )
    return found


def _examples(evaluation: Evaluation, images: Images, most: int) -> list[ReportImage]:
    """The images that the report shows, at most ``most`` per group."""
    height, width = images.images.shape[1:3]
    chosen = choose_examples(evaluation.labels, evaluation.values, evaluation.threshold.value, most)
    examples = []
    for i, group in chosen:
        row, entry = evaluation.rows[i], evaluation.scores[i]
        has_mask = images.index[row].mask_row is not None
        examples.append(
            ReportImage(
                path=entry.path,
                label=entry.label,
                defect_type=entry.defect_type,
                score=entry.score,
                decision=entry.decision,
                image=np.asarray(images.images[row]),
                anomaly_map=resized(evaluation.maps[i], (height, width)),
                mask=mask_of(images, row) if has_mask else None,
                group=group,
            )
        )
    return examples
