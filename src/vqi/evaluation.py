"""Features and a detector -> scores, anomaly maps, metrics, and what the report shows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from vqi import metrics
from vqi.artifacts.files import Json
from vqi.artifacts.images import Images
from vqi.artifacts.model import Detector, Features
from vqi.artifacts.scores import MAPS_FILE, SCORES_FILE, ScoreRow, save_maps, write_scores
from vqi.artifacts.tensors import FloatArray
from vqi.artifacts.training_log import Epoch
from vqi.config import Evaluate
from vqi.detectors.calibration import Threshold, conformal_threshold, expected_false_alarms
from vqi.detectors.comparison import Suitability, suitability
from vqi.detectors.pca import anomaly_maps, score
from vqi.detectors.registry import subspace_of
from vqi.errors import VqiError
from vqi.formatting import count
from vqi.pages.report import ReportData, ReportImage, choose_examples, render_report
from vqi.pages.table import COLUMNS

AUPRO_FPR_LIMIT = 0.3
HARM = 1.5  # times the parent's held-out FRE ratio: beyond it the report warns


@dataclass(frozen=True)
class Evaluation:
    """What was found out about a category."""

    rows: list[int]  # of the test images in `images`
    scores: list[ScoreRow]
    maps: FloatArray  # (N_test, h, w), at the layer's resolution
    metrics: Json
    threshold: Threshold
    suitability: tuple[Suitability, Suitability] | None = None  # of the parent and of the fine-tuned backbone

    def roc_json(self) -> Json:
        """The ROC curve of the test images, and the threshold that was chosen without them."""
        labels = np.array([row.label for row in self.scores], dtype=np.int64)
        points = metrics.roc_points(labels, np.array([row.score for row in self.scores]))
        return {"threshold": self.metrics["threshold"], "points": [asdict(point) for point in points]}

    def summary_json(self) -> str:
        """The category's row of the result table."""
        return json.dumps({name: self.metrics[name] for name in COLUMNS}, ensure_ascii=False, allow_nan=False)


def evaluate(images: Images, features: Features, detector: Detector, settings: Evaluate) -> Evaluation:
    """Score the test images of a category and measure.

    Raises:
        VqiError: Features, images and detector do not belong together.
    """
    rows = images.rows("test")
    if len(rows) != len(features.test) or features.shape != detector.shape:
        raise VqiError(
            f"features of {len(features.test)} test images of shape {features.shape} do not belong to {len(rows)} test "
            f"images and a detector of shape {detector.shape}: run the steps of one category again"
        )
    model = subspace_of(detector)
    scores = score(features.test, model)
    maps = anomaly_maps(features.test, model, features.shape)
    labels = np.array([images.index[row].label for row in rows], dtype=np.int64)
    threshold = conformal_threshold(detector.calibration_scores, detector.provenance["settings"]["target_fpr"])
    table = [
        ScoreRow(entry.path, entry.label, entry.defect_type, float(value), int(value > detector.threshold))
        for entry, value in zip((images.index[row] for row in rows), scores, strict=True)
    ]
    compared = _compared(images, features, labels, detector)
    figures = {
        "category": _category(images),
        "test_images": len(rows),
        "test_good": int((labels == 0).sum()),
        "test_anomalous": int((labels == 1).sum()),
        "train_images": len(features.train),
        "components": len(detector.components),
        "threshold": detector.threshold,
        "threshold_source": detector.provenance["threshold_source"],
        "target_fpr": threshold.target_fpr,
        "guaranteed_fpr": threshold.guaranteed_fpr,
        "good_images_needed": threshold.needed,
        **_image_figures(labels, scores, detector.threshold, settings),
        **_pixel_figures(images, rows, maps),
        "held_out_fre_ratio": compared[1].held_out_fre_ratio if compared else None,
        "parent_held_out_fre_ratio": compared[0].held_out_fre_ratio if compared else None,
        "parent_image_auroc": compared[0].image_auroc if compared else None,
    }
    return Evaluation(rows, table, maps, figures, threshold, compared)


def _compared(
    images: Images, features: Features, labels: npt.NDArray[np.int64], detector: Detector
) -> tuple[Suitability, Suitability] | None:
    """How suitable the parent and the fine-tuned backbone are; None where nothing was fine-tuned."""
    if features.parent is None:
        return None
    places = {row: place for place, row in enumerate(images.rows("train"))}
    held_out = [places[row] for row in features.provenance["finetune"]["held_out"]]
    variance = detector.provenance["settings"]["variance"]
    before = suitability(*features.parent, labels, held_out, variance)
    return before, suitability(features.train, features.test, labels, held_out, variance)


def _category(images: Images) -> str:
    return str(images.provenance["category"])


def _image_figures(
    labels: npt.NDArray[np.int64], scores: npt.NDArray[np.float64], threshold: float, settings: Evaluate
) -> Json:
    interval = metrics.bootstrap_interval(labels, scores, settings.seed, repeats=settings.bootstrap)
    low, high = interval if interval is not None else (None, None)
    return {
        "image_auroc": metrics.image_auroc(labels, scores),
        "image_auroc_low": low,
        "image_auroc_high": high,
        **metrics.at_threshold(labels, scores, threshold),
        **metrics.oracle(labels, scores),
    }


def _pixel_figures(images: Images, rows: list[int], maps: FloatArray) -> Json:
    """Pixel metrics over the good images and those defective ones that have a mask; None where there is no mask."""
    measured = [
        i for i, row in enumerate(rows) if images.index[row].label == 0 or images.index[row].mask_row is not None
    ]
    if not any(images.index[rows[i]].mask_row is not None for i in measured):
        return {"pixel_auroc": None, "aupro": None}
    side = images.images.shape[1]
    large = np.stack([enlarge(maps[i], side) for i in measured])  # (n, H, W)
    masks = np.stack([mask_of(images, rows[i]) for i in measured])
    return {
        "pixel_auroc": metrics.pixel_auroc(large, masks),
        "aupro": metrics.aupro(large, masks, fpr_limit=AUPRO_FPR_LIMIT),
    }


def mask_of(images: Images, row: int) -> npt.NDArray[np.bool_]:
    """The mask (H, W) of an image; all False where it has none."""
    mask_row = images.index[row].mask_row
    if mask_row is None:
        return np.zeros(images.images.shape[1:3], np.bool_)
    return np.asarray(images.masks[mask_row])


def enlarge(anomaly_map: FloatArray, side: int) -> FloatArray:
    """An anomaly map (h, w), bilinearly enlarged to the image, (side, side)."""
    image = Image.fromarray(np.asarray(anomaly_map, np.float32))
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR), np.float32)


def save_scores(folder: Path, evaluation: Evaluation, detector: Detector) -> None:
    """Write the artifact ``scores``: ``scores.csv`` and the anomaly maps, a row a test image."""
    write_scores(folder / SCORES_FILE, evaluation.scores)
    save_maps(folder / MAPS_FILE, evaluation.maps, {"detector": detector.provenance})


# ----------------------------------------------------------------------------------------------------------- report


def report_of(
    evaluation: Evaluation,
    images: Images,
    detector: Detector,
    data: Json,
    settings: Evaluate,
    log: Sequence[Epoch] = (),
) -> str:
    """The HTML report of a category; ``log`` is that of the training, where the backbone was fine-tuned."""
    labels = np.array([row.label for row in evaluation.scores], dtype=np.int64)
    scores = np.array([row.score for row in evaluation.scores])
    made = detector.provenance
    extracted = made["features"]
    return render_report(
        ReportData(
            category=_category(images),
            dataset=str(images.provenance["dataset"]),
            summary=evaluation.metrics,
            labels=labels,
            scores=scores,
            threshold=detector.threshold,
            threshold_info=evaluation.threshold,
            calibration_scores=np.asarray(detector.calibration_scores),
            images=_examples(evaluation, images, labels, scores, detector.threshold, settings.examples),
            settings={
                "Images": images.provenance["settings"],
                "Backbone": (extracted.get("finetune") or {}).get("settings", {}),
                "Features": extracted["settings"],
                "Detector": made["settings"],
                "Evaluation": settings.model_dump(),
            },
            data={name: part for name, part in data.items() if name != "looks"},  # which the data page draws
            provenance={
                "vqi": made["version"],
                **{f"backbone {name}": value for name, value in extracted["backbone"].items()},
                **{f"runtime {name}": value for name, value in extracted["runtime"].items()},
                "components kept": len(detector.components),
                "threshold": made["threshold_source"],
            },
            warnings=warnings_of(evaluation, data),
            training=log,
            suitability=evaluation.suitability,
        )
    )


def warnings_of(evaluation: Evaluation, data: Json) -> list[str]:
    """What a reader must know before the figures, in whole sentences."""
    found: list[str] = []
    threshold, figures = evaluation.threshold, evaluation.metrics
    if not threshold.enough:
        found.append(
            f"A false-alarm rate of {threshold.target_fpr:.1%} needs at least {threshold.needed} good images to "
            f"calibrate; there are {threshold.n}. The threshold is the highest score of a good image, which promises "
            f"{threshold.guaranteed_fpr:.1%}."
        )
    rate = figures["false_alarm_rate"]
    if rate is not None:
        _, _, high = expected_false_alarms(threshold.n, threshold.rank, figures["test_good"])
        if rate > high:
            found.append(
                f"{rate:.1%} of the good test images were flagged, more than chance explains ({high:.1%} at most): "
                "the good test images differ from the good training images."
            )
    found += _harm(evaluation.suitability)
    unreadable = data.get("unreadable") or []
    if unreadable:
        found.append(f"{count(len(unreadable), 'image')} could not be read: left out here, and listed under Data.")
    return found


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


def _examples(
    evaluation: Evaluation,
    images: Images,
    labels: npt.NDArray[np.int64],
    scores: npt.NDArray[np.float64],
    threshold: float,
    count: int,
) -> list[ReportImage]:
    side = images.images.shape[1]
    examples: list[ReportImage] = []
    for i, group in choose_examples(labels, scores, threshold, count):
        row, entry = evaluation.rows[i], evaluation.scores[i]
        has_mask = images.index[row].mask_row is not None
        details: dict[str, Any] = {"path": entry.path, "label": entry.label, "defect_type": entry.defect_type}
        examples.append(
            ReportImage(
                **details,
                score=entry.score,
                decision=entry.decision,
                image=np.asarray(images.images[row]),
                anomaly_map=enlarge(evaluation.maps[i], side),
                mask=mask_of(images, row) if has_mask else None,
                group=group,
            )
        )
    return examples
