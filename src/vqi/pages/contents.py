"""The content of a category's report: an evaluation, the most informative images, and what a reader must know first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vqi.artifacts.data_report import FOLDERS_ARE_GROUPS, DataReport, doubtful_masks, told_sizes
from vqi.artifacts.detector import DetectorArtifact, DetectorRecord
from vqi.artifacts.images import Images
from vqi.artifacts.left_out import missing_photographs
from vqi.artifacts.tensors import FloatArray
from vqi.artifacts.threshold import Threshold
from vqi.artifacts.training_log import Epoch
from vqi.conclusion import alarms_beyond
from vqi.config import Evaluate, FeatureExtract, PcaFit, Preprocess, SslFinetune, StepConfig
from vqi.detectors.comparison import Suitability
from vqi.detectors.grid import resized
from vqi.evaluation import Evaluation, mask_of
from vqi.formatting import count, percent, short_percent
from vqi.pages.findings import differing
from vqi.pages.report import ExampleGroup, ReportData, ReportImage, Setting, choose_examples, render_report

_MOST_NAMED = 12  # photographs that could not be read
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
            images=[*_examples(evaluation, images, settings.examples), *_unusual(evaluation, images)],
            map_limit=artifact.record.map_limit,
            settings=_settings(artifact.record, settings),
            data=_data(data),
            provenance=_provenance(artifact.record),
            conclusion=evaluation.conclusion,
            warnings=warnings_of(evaluation, data, finetuned=artifact.record.features.finetune.best_epoch > 0),
            training=log,
            suitability=evaluation.suitability,
        )
    )


def _settings(made: DetectorRecord, settings: Evaluate) -> dict[str, list[Setting]]:
    """What was set for each step."""
    features = made.features
    return {
        "Photographs": _set(Preprocess, features.images.model_dump()),
        "Backbone": _set(SslFinetune, features.finetune.settings.model_dump()),
        "Features": _set(FeatureExtract, features.settings.model_dump()),
        "Detector": _set(PcaFit, made.settings.model_dump()),
        "Evaluation": _set(Evaluate, settings.model_dump()),
    }


def _set(step: type[StepConfig], values: Mapping[str, Any]) -> list[Setting]:
    """The parameters of a step that are among values, with what they mean."""
    return [
        Setting(name, values[name], field.description or "")
        for name, field in step.model_fields.items()
        if name in values
    ]


def _provenance(made: DetectorRecord) -> dict[str, Any]:
    """Weights, versions and what ran the network, by what a reader calls it."""
    backbone, runtime = made.features.backbone, made.features.runtime
    return {
        "Made by": f"vqi {made.version}",
        "Backbone": backbone.name,
        "Weights": backbone.weights,
        "Their sha256": backbone.weights_sha256,
        "Their licence": backbone.licence,
        "Normalisation": f"mean {_channels(backbone.mean)}, standard deviation {_channels(backbone.std)}",
        "Engine": f"{runtime.engine}, {runtime.precision} ({runtime.reason})",
        "Detector": made.kind,
        **made.facts,
        "Threshold": f"{made.threshold.source}, {made.threshold.method}",
    }


def _channels(values: Sequence[float]) -> str:
    return ", ".join(f"{one:g}" for one in values)


def _data(data: DataReport) -> dict[str, Any]:
    """What is in the photographs, by what a reader calls it; the data page has all of it, with pictures."""
    folders = {
        f"{split}, {kind}": f"{number:,}" for split, kinds in data.counts.items() for kind, number in kinds.items()
    }
    same = len(data.duplicates_within_splits) + len(data.near_duplicates_within_splits)
    leaks = len(data.duplicates_across_splits) + len(data.near_duplicates_across_splits)
    licence = data.licence
    return {
        "Photographs": folders,
        "Training parts": f"{data.train_groups:,}, each with its photographs as one group",
        "Scaled to": f"{data.image_size} pixels",
        "Sizes": told_sizes(data.sizes),
        "Colour modes": {mode: f"{number:,}" for mode, number in data.modes.items()},
        "Masks in use": f"{data.masks:,}",
        "Pairs that show the same part": f"{same:,} within a split, {leaks:,} across splits",
        "Could not be read": {one.path: one.reason for one in data.unreadable[:_MOST_NAMED]},
        "Licence": "of your own" if licence is None else licence.name,
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
            f"A false-alarm rate of {short_percent(threshold.target_fpr)} needs at least {threshold.needed} {what} to "
            f"calibrate; {there}. {set_to}; their scores alone promise {percent(threshold.guaranteed_fpr)}."
            f"{_instead(threshold, data)}"
        )
    found += differing(evaluation.differences, threshold, finetuned=finetuned)
    if (most := alarms_beyond(figures, threshold)) is not None:
        like = "calibration" if threshold.is_split else "training"
        found.append(
            f"{percent(figures.false_alarm_rate)} of the good test images were flagged, more than chance explains "
            f"({percent(most)} at most): the good test images differ from the good {like} images."
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
            f"{percent(after.held_out_fre_ratio)}, and was {percent(before.held_out_fre_ratio)} with the pretrained "
            "weights. "
            "Look at the comparison under Fine-tuning before you use this model."
        )
    if after.image_auroc is not None and before.image_auroc is not None and after.image_auroc < before.image_auroc:
        found.append(
            f"The fine-tuned backbone separates the test images less well than its pretrained parent (image AUROC "
            f"{after.image_auroc:.3f} against {before.image_auroc:.3f}): method 'pretrained' is better here."
        )
    return found


def _examples(evaluation: Evaluation, images: Images, most: int) -> list[ReportImage]:
    """The test images that the report shows, at most ``most`` per group."""
    chosen = choose_examples(evaluation.labels, evaluation.values, evaluation.threshold.value, most)
    return [
        _example(
            images, evaluation.rows[i], evaluation.scores[i].score, evaluation.maps[i], evaluation.threshold, group
        )
        for i, group in chosen
    ]


def _unusual(evaluation: Evaluation, images: Images) -> list[ReportImage]:
    """The most unusual of the good images that set the threshold."""
    return [
        _example(images, one.row, one.score, one.map, evaluation.threshold, "unusual") for one in evaluation.unusual
    ]


def _example(
    images: Images, row: int, score: float, anomaly_map: FloatArray, threshold: Threshold, group: ExampleGroup
) -> ReportImage:
    """An image of the report, with its map (h, w) enlarged to its size."""
    height, width = images.images.shape[1:3]
    entry = images.index[row]
    return ReportImage(
        path=entry.path,
        label=entry.label,
        defect_type=entry.defect_type,
        score=score,
        decision=int(score > threshold.value),
        image=np.asarray(images.images[row]),
        anomaly_map=resized(anomaly_map, (height, width)),
        mask=mask_of(images, row) if entry.mask_row is not None else None,
        group=group,
    )
