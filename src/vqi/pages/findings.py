"""What a report says in words: plain sentences and key figures, also where little or nothing could be measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vqi.artifacts.detector import Difference
from vqi.artifacts.metrics import Metrics
from vqi.artifacts.threshold import Threshold
from vqi.artifacts.training_log import Epoch, best_epoch
from vqi.detectors.calibration import expected_false_alarms
from vqi.detectors.comparison import Suitability
from vqi.formatting import NOTHING, area, count, figure, percent, short_percent
from vqi.metrics import AUPRO_FPR_LIMIT

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Figure:
    """A key figure: what it is called, its value, and what it means."""

    name: str
    value: str
    meaning: str


def headline(good: Scores, bad: Scores, threshold: float) -> list[str]:
    """The result in one or two sentences, from the scores of good (n,) and defective (m,) test parts."""
    if not len(good) and not len(bad):
        return [
            "Nothing could be measured: there are no test images.",
            "The model was built, and its threshold was set, from the good training images alone.",
        ]
    kinds = [(good, "good", "flagged"), (bad, "defective", "caught")]
    shares = [_share(scores, threshold, what, fate) for scores, what, fate in kinds if len(scores)]
    said = "; of ".join([shares[0], *(share.removeprefix("Of ") for share in shares[1:])]) + "."
    return [said, *_not_measured(len(good), len(bad))]


def _share(scores: Scores, threshold: float, what: str, fate: str) -> str:
    flagged = int((scores > threshold).sum())
    parts = count(len(scores), f"{what} part")
    return f"Of {parts} {flagged:,} would be {fate} ({percent(flagged / len(scores))})"


def _not_measured(good: int, bad: int) -> list[str]:
    if not bad:
        return ["There are no defective test parts: how many defects would be caught could not be measured."]
    if not good:
        return ["There are no good test parts: the false alarms could not be measured."]
    return []


def key_figures(metrics: Metrics) -> list[Figure]:
    """The measured figures, the most informative first; those that could not be measured are left out."""
    good, bad = metrics.test_good, metrics.test_anomalous
    rates = [
        (metrics.recall, "Defects caught", f"of {count(bad, 'defective test part')} (recall)"),
        (metrics.false_alarm_rate, "False alarms", f"of {count(good, 'good test part')}"),
        (metrics.accuracy, "Right decisions", f"of all {count(good + bad, 'test part')} (accuracy at the threshold)"),
        (metrics.precision, "Flagged rightly", "of all flagged test parts (precision)"),
        (metrics.f1, "F1", "harmonic mean of recall and precision"),
    ]
    areas = [
        (metrics.pixel_auroc, "Pixel AUROC", "the same for pixels inside and outside of defects"),
        (
            metrics.aupro,
            "AUPRO",
            f"how much of each defect the map covers, up to {short_percent(AUPRO_FPR_LIMIT)} false-alarm pixels",
        ),
    ]
    found = _image_auroc(metrics)
    found += [Figure(name, percent(rate), meaning) for rate, name, meaning in rates if rate is not None]
    found += [Figure(name, area(value), meaning) for value, name, meaning in areas if value is not None]
    return found


def _image_auroc(metrics: Metrics) -> list[Figure]:
    if metrics.image_auroc is None:
        return []
    meaning = "chance that a defective part scores higher than a good one; 0.5 is guessing, 1 is perfect"
    low, high = metrics.image_auroc_low, metrics.image_auroc_high
    if low is not None and high is not None:
        meaning = f"95 % interval {low:.3f} to {high:.3f}; {meaning}"
    return [Figure("Image AUROC", area(metrics.image_auroc), meaning)]


def oracle_figures(metrics: Metrics) -> list[Figure]:
    """What the best threshold would give if the test labels were known; empty where that was not measured."""
    known = [
        (metrics.oracle_accuracy, "Best possible accuracy", metrics.oracle_accuracy_threshold),
        (metrics.oracle_youden, "Best recall minus false alarms (Youden)", metrics.oracle_youden_threshold),
    ]
    return [
        Figure(name, percent(rate), f"at threshold {figure(at)}" if at is not None else NOTHING)
        for rate, name, at in known
        if rate is not None
    ]


def training(log: Sequence[Epoch]) -> str:
    """How the fine-tuning went, in a sentence; '' where there was none."""
    if not log:
        return ""
    best = best_epoch(log)
    trained = sum(row.backbone_trains for row in log)
    speed = float(np.median([row.images_per_second for row in log]))
    head = len(log) - trained
    before = f", after {count(head, 'epoch')} of the method's own layers alone" if head else ""
    return (
        f"The backbone trained for {count(trained, 'epoch')}{before}, at {speed:.0f} images per second. The weights of "
        f"epoch {best.epoch} were kept: its loss on good images that did not train is the lowest "
        f"({best.validation_loss:.3f})."
    )


def comparison(compared: tuple[Suitability, Suitability] | None) -> list[tuple[str, str, str, str]]:
    """Rows that compare the fine-tuned backbone with its parent: figure, parent, fine-tuned, meaning."""
    if compared is None:
        return []
    before, after = compared
    rows = [
        (
            "Held-out FRE ratio",
            percent(before.held_out_fre_ratio),
            percent(after.held_out_fre_ratio),
            "share of the differences between held-out good images that is not explained; lower is better",
        )
    ]
    if before.image_auroc is not None and after.image_auroc is not None:
        meaning = "of the test images, with the same detector; higher is better"
        rows.append(("Image AUROC", area(before.image_auroc), area(after.image_auroc), meaning))
    return rows


def promise(threshold: Threshold, good: Scores) -> list[str]:
    """What the threshold rests on, what false-alarm rate to expect of it, and what was seen on good test parts (n,)."""
    return [_need(threshold), _expectation(threshold), *_seen(threshold, good)]


def _need(threshold: Threshold) -> str:
    wanted = short_percent(threshold.target_fpr)
    if threshold.n == threshold.images:
        need, had = count(threshold.needed, "good image"), f"there were {threshold.n:,}"
    else:
        need = count(threshold.needed, "group")
        had = (
            f"there were {threshold.n:,}, of {threshold.images:,} photographs: those of one part, copies and what "
            "belongs together are one group, because a part must not be calibrated on its own twin"
        )
    said = f"A false-alarm rate of {wanted} needs at least {need} to calibrate on; {had}."
    return said if threshold.enough else f"{said} That is too few: the threshold is the highest score among them."


def differing(differences: Sequence[tuple[str, Difference]], threshold: Threshold, *, finetuned: bool) -> list[str]:
    """What to say where good images score systematically otherwise than others.

    Args:
        differences: With the names of their groups.
        threshold: In use.
        finetuned: Whether the backbone was trained on the training images.
    """
    return [_differs(name, one, threshold, finetuned=finetuned) for name, one in differences]


def _differs(name: str, found: Difference, threshold: Threshold, *, finetuned: bool) -> str:
    which = "higher" if found.higher > 0.5 else "lower"
    if found.group is None:
        pair = f"The images for calibration score systematically {which} than training images"
    else:
        pair = f"The training images {name} score systematically {which} than the others"
    why = "They may be of another day, light or camera"
    if found.group is None and finetuned:
        why += ", or the fine-tuned backbone knows the training images"
    if found.wider_threshold <= threshold.value:
        wider = f"The threshold in use, {figure(threshold.value)}, is the higher one of both"
    else:
        both = f"for good parts of both kinds take the higher one, {figure(found.wider_threshold)}"
        wider = f"The threshold in use is {figure(threshold.value)}; {both}"
    return (
        f"{pair}: in {percent(max(found.higher, 1 - found.higher))} of the pairs, by a model that saw neither "
        f"(Mann-Whitney test of {found.units:,} and {found.others:,} parts or groups, p = {found.p_value:.1g}). {why}. "
        f"{wider}."
    )


def _expectation(threshold: Threshold) -> str:
    rate = percent(threshold.guaranteed_fpr)
    what = "calibration score" if threshold.n == threshold.images else "group"
    few = f"rests on {count(threshold.n + 1 - threshold.rank, what)} at or above it"
    if threshold.is_split:
        return (
            f"Good parts like those for calibration are flagged at a rate of {rate} at most, on average over sets of "
            f"that size; the model saw none of them, so this bound is exact. The threshold {few}, so the rate of one "
            "run varies around that; and parts from another camera, light or batch are not covered."
        )
    return (
        f"Good parts like those in training should be flagged at a rate of about {rate} on average. The threshold "
        f"{few}, so the rate of one run varies around that; and parts from another camera, light or batch are not "
        "covered."
    )


def _seen(threshold: Threshold, good: Scores) -> list[str]:
    if not len(good):
        return []
    _, low, high = expected_false_alarms(threshold.n, threshold.rank, len(good))
    rate = float((good > threshold.value).mean())
    verdict = "within" if low <= rate <= high else "above" if rate > high else "below"
    return [
        f"Seen on {count(len(good), 'good test part')}: {percent(rate)}, {verdict} the {percent(low)} to "
        f"{percent(high)} that chance alone explains (95 % of the time)."
    ]
