"""What a report says in words: plain sentences and key figures, also where little or nothing could be measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vqi.artifacts.detector import Difference
from vqi.artifacts.metrics import FromVerdicts, Metrics, OperatingPoint
from vqi.artifacts.threshold import Threshold, is_fitted
from vqi.artifacts.training_log import Epoch, best_epoch
from vqi.detectors.calibration import expected_false_alarms
from vqi.detectors.comparison import Suitability
from vqi.formatting import NOTHING, area, count, figure, ordinal, percent, short_percent
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
            "The model was built, and its threshold was set, from good photographs alone.",
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
    """The measured figures, the most informative first: without those that could not be measured, and those of good and
    defective parts together where one kind is missing."""
    good, bad = metrics.test_good, metrics.test_anomalous
    rates = [
        (metrics.recall, "Defects caught", f"of {count(bad, 'defective test part')} (recall)"),
        (metrics.false_alarm_rate, "False alarms", f"of {count(good, 'good test part')}"),
    ]
    of_both = [
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
    rates += of_both if good and bad else []
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
    return [
        _basis(threshold),
        _need(threshold),
        *_estimate(threshold),
        _expectation(threshold),
        *_seen(threshold, good),
    ]


def from_verdicts(found: FromVerdicts) -> list[str]:
    """What operators' verdicts brought into the data; nothing where that is nothing."""
    if not found.joined:
        return []
    raises = (
        "Good parts that had an alarm raise the threshold where many of them train: fewer false alarms, fewer finds."
    )
    return [f"By operators' verdicts: {found.joined}.{f' {raises}' if found.answered_train else ''}"]


def _basis(threshold: Threshold) -> str:
    """Which scores it was set from."""
    in_groups = threshold.n < threshold.images
    said = f"It was set from {count(threshold.images, 'score')} of good "
    if threshold.is_split:
        said += "images for calibration, by the model itself, which has not seen them"
    else:
        said += "training images, each from a model that had not seen that image"
        said += ", nor any that belongs together with it" if in_groups else ""
    if in_groups:
        said += (
            f". They come in {count(threshold.n, 'group')}, and each group counts once: photographs of one part, "
            "copies and what belongs together are one group, because a part must not be calibrated on its own twin"
        )
    return f"{said}. No test image and no defect was used for it."


def _need(threshold: Threshold) -> str:
    what = "good image" if threshold.n == threshold.images else "group"
    need = f"A false-alarm rate of {short_percent(threshold.target_fpr)} needs at least {count(threshold.needed, what)}"
    had = f"there were {threshold.n:,}"
    if threshold.method == "fitted tail":
        return (
            f"{need} to calibrate on, and {threshold.steady:,} for a threshold that does not hang on one or two; {had}."
        )
    if not threshold.enough:
        return f"{need} to calibrate on; {had}. That is too few: the threshold is the highest score among them."
    where = f"the threshold is the {ordinal(threshold.rank)} lowest"
    return f"{need} to calibrate on; {had}, and {where}."


def _estimate(threshold: Threshold) -> list[str]:
    """The fitted tail beside the order statistic; empty where nothing can be fitted."""
    fitted = threshold.fitted
    if fitted is None:
        return []
    band = f"{figure(fitted.value)} (between {figure(fitted.low)} and {figure(fitted.high)}, 90 % confidence)"
    if threshold.method == "fitted tail":
        return [
            f"So it is the estimate {band}, from a curve fitted to all the scores (log-normal); the score of that rank "
            f"alone would be {figure(threshold.order_statistic)}."
        ]
    wanted = is_fitted(threshold.n, threshold.target_fpr)
    unused = "; it does not reach the highest scores, so it is not used" if wanted else ""
    return [f"A curve fitted to all the scores (log-normal) would put it at {band}{unused}."]


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
    others = "Parts from another camera, light or batch are not covered."
    if threshold.method == "fitted tail":
        rate = f"{short_percent(threshold.target_fpr)} on average, if the curve is right"
        return f"Good parts like those in training should be flagged at a rate of about {rate}. {others}"
    what = "calibration score" if threshold.n == threshold.images else "group"
    above = count(threshold.n + 1 - threshold.rank, what)
    if threshold.is_split:
        return (
            f"Good parts like those for calibration are flagged at a rate of {percent(threshold.guaranteed_fpr)} at "
            "most, on average over sets of that size; the model saw none of them, so this bound is exact. The "
            f"threshold rests on {above} at or above it, so the rate of one run varies around that. {others}"
        )
    return (
        f"Good parts like those in training should be flagged at a rate of about {percent(threshold.guaranteed_fpr)} "
        f"on average. The threshold rests on {above} at or above it, so the rate of one run varies around that. "
        f"{others}"
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


_PARTS = 1000  # good parts, of which the table says how many would be flagged
_MOST_TYPES = 8  # of defects, that have a column


@dataclass(frozen=True)
class OperatingRow:
    """What one threshold gives."""

    chosen: bool  # whether it is the one in use
    enough: bool  # whether there are enough good images to promise its rate
    cells: list[str]
    by_scores: str  # false alarms by the scores alone, where the cell has them by the curve; else ''

    @property
    def remark(self) -> str:
        """What to know of it."""
        few = "" if self.enough else "too few good images to promise it"
        return ", ".join(filter(None, ["in use" if self.chosen else "", few]))


@dataclass(frozen=True)
class OperatingTable:
    """What several thresholds give: names of the columns of defect types, and a row for each threshold."""

    types: list[str]  # the one that is caught least often first
    others: int  # types without a column
    rows: list[OperatingRow]


def operating_table(points: Sequence[OperatingPoint], target_fpr: float) -> OperatingTable:
    """A table of thresholds: the rate, expected false alarms, those seen, recall in total and by type of defect."""
    chosen = next(one for one in points if one.target_fpr == target_fpr)
    types = sorted(chosen.recall_by_type, key=lambda name: (chosen.recall_by_type[name], name))
    rows = []
    for one in points:
        band, curve = _by_scores(one), one.method == "fitted tail"
        expected = f"{_PARTS * one.target_fpr:.0f} by the curve" if curve else band
        cells = [short_percent(one.target_fpr), figure(one.threshold), expected, f"{one.good_images_needed:,}"]
        cells += [percent(one.false_alarm_rate), percent(one.recall)]
        cells += [percent(one.recall_by_type.get(name)) for name in types[:_MOST_TYPES]]
        enough = one.calibration_groups >= one.good_images_needed
        rows.append(OperatingRow(one is chosen, enough, cells, f"{band} by the scores alone" if curve else ""))
    return OperatingTable(types[:_MOST_TYPES], len(types[_MOST_TYPES:]), rows)


def _by_scores(point: OperatingPoint) -> str:
    """The false alarms among good parts that the order of the calibration scores lets expect, with their range."""
    mean, low, high = expected_false_alarms(point.calibration_groups, point.rank, _PARTS)
    return f"{_PARTS * mean:.0f} ({_PARTS * low:.0f} to {_PARTS * high:.0f})"
