"""Whether a model can be used, why, and what to do now: the lines on top of a report, and a column of the table.

They follow from figures that the report shows, by fixed rules, so that two readers conclude the same.
Whether the model is used is another question, which the gate answers: it compares with the model before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vqi.artifacts.metrics import Metrics, Usable
from vqi.artifacts.threshold import Threshold
from vqi.detectors.calibration import expected_false_alarms
from vqi.formatting import count, percent, short_percent
from vqi.intervals import proportion_interval

_MOST_STEPS = 3
_PARTS = 1000
_SOME_LEAKS, _MOST_LEAKS = 0.05, 0.25  # of the test images: figures are too good; they are worth little
_FAR = 3.0  # times the distance between the quartiles: one of 40,000 normal scores is so far up
_CLEAR = 0.75  # an image AUROC that guessing gives by chance alone only with few test parts
_VAGUE = 0.6  # the width of the interval of a recall
_FEW_CAUGHT = 0.5  # a recall below it: people find more than that


@dataclass(frozen=True)
class Conclusion:
    """Whether a model can be used, why it is so, and what to do, the most important first."""

    usable: Usable
    why: str
    steps: tuple[str, ...]


@dataclass(frozen=True)
class Facts:
    """What is concluded from."""

    metrics: Metrics
    threshold: Threshold
    caveat: str  # why the detector's scores say little; '' where they do not
    leaks: int  # test images that show what the model was trained on
    unusual: int  # good photographs whose scores stand out from those of the others
    pictured: bool = True  # whether the report shows examples

    @property
    def more_alarms_than_chance(self) -> bool:
        """Whether good test parts were flagged more often than the promise explains."""
        return alarms_beyond(self.metrics, self.threshold) is not None

    @property
    def may_be_guessing(self) -> bool:
        """Whether the interval of the AUROC reaches down to guessing."""
        low = self.metrics.image_auroc_low
        return low is not None and low <= 0.5

    @property
    def is_guessing(self) -> bool:
        """Whether more test parts would hardly change that."""
        return self.may_be_guessing and (self.metrics.image_auroc or 0) <= _CLEAR

    @property
    def recall_is_vague(self) -> bool:
        """Whether so few defective parts were tested that the share of those caught is hardly known."""
        metrics = self.metrics
        if not metrics.test_anomalous:
            return False
        low, high = proportion_interval(metrics.tp, metrics.test_anomalous)
        return high - low > _VAGUE

    @property
    def tested(self) -> str:
        """How many test parts there are."""
        metrics = self.metrics
        return f"{metrics.test_good:,} good and {count(metrics.test_anomalous, 'defective test part')}"


def alarms_beyond(metrics: Metrics, threshold: Threshold) -> float | None:
    """The rate of false alarms that chance explains at most, where more good test parts were flagged; else None."""
    rate = metrics.false_alarm_rate
    if rate is None:
        return None
    _, _, most = expected_false_alarms(threshold.n, threshold.rank, metrics.test_good)
    return most if rate > most else None


def conclude(facts: Facts) -> Conclusion:
    """The conclusion."""
    usable, why = _usable(facts)
    steps = tuple(_steps(facts))[:_MOST_STEPS]
    return Conclusion(usable, why, steps or (_NOTHING if usable == "yes" else _LOOK,))


_NOTHING = (
    "Nothing has to be done. Score new parts with 'vqi predict' or 'vqi serve', and answer their alarms: what "
    "operators say makes the next model better."
)
_LOOK = "Look at the warnings and the figures below before you use it."


def standing_out(scores: npt.NDArray[np.float64]) -> int:
    """How many of the scores (n,) of good images stand out: their logarithm is far above the median, by the spread of
    the middle half of them, which such scores do not widen."""
    logs = np.log(np.maximum(scores, np.finfo(np.float64).tiny))
    low, middle, high = np.percentile(logs, [25, 50, 75])
    return int((logs > middle + _FAR * (high - low)).sum()) if high > low else 0


def _usable(facts: Facts) -> tuple[Usable, str]:
    """By the first rule that applies."""
    return _unfit(facts) or _doubtful(facts) or ("yes", _expected(facts))


def _unfit(facts: Facts) -> tuple[Usable, str] | None:
    """Where the figures speak against it, or say too little."""
    metrics = facts.metrics
    if facts.caveat:
        return "no", f"{facts.caveat[0].upper()}{facts.caveat[1:]}."
    if not metrics.test_images:
        return "not known", f"Nothing was measured: there are no test photographs. {_promise(facts.threshold)}"
    if facts.leaks > _MOST_LEAKS * metrics.test_images:
        return "not known", f"{_leaked(facts)}: its figures are too good."
    if not metrics.test_anomalous:
        return "not known", "There are no defective test parts: whether it sees defects was not measured."
    if not metrics.test_good:
        return "not known", "There are no good test parts: whether it tells them from defective ones was not measured."
    if facts.is_guessing:
        return "no", "On these test parts its scores cannot be told from guessing."
    if facts.may_be_guessing:
        return "not known", f"{facts.tested} are too few to tell whether it sees defects."
    return None


def _promise(threshold: Threshold) -> str:
    """What is known of false alarms without good test parts."""
    rate, parts = short_percent(threshold.target_fpr), f"{count(threshold.n, 'good part')} {_where(threshold)}"
    if not threshold.enough:
        return f"{parts} cannot promise a false-alarm rate of {rate}: it is an estimate."
    return f"By {parts} about {rate} of parts like them would be flagged."


def _where(threshold: Threshold) -> str:
    return "for calibration" if threshold.is_split else "in training"


def _doubtful(facts: Facts) -> tuple[Usable, str] | None:
    """Where something has to be known of its figures."""
    metrics, threshold = facts.metrics, facts.threshold
    if facts.more_alarms_than_chance:
        return "with care", (
            f"It flags more good parts than was promised, {percent(metrics.false_alarm_rate)} instead of "
            f"{short_percent(threshold.target_fpr)}: the good test parts are unlike those {_where(threshold)}."
        )
    if facts.leaks > _SOME_LEAKS * metrics.test_images:
        return "with care", f"{_leaked(facts)}: its figures are better than new parts will show. {_caught(metrics)}."
    if (metrics.recall or 0) < _FEW_CAUGHT:
        return "with care", f"Beside people, not in their place: {_caught(metrics)}."
    if facts.recall_is_vague:
        return "with care", f"{facts.tested} say little: {_caught(metrics)}."
    if threshold.n < threshold.steady:
        parts = f"{count(threshold.n, 'good part')} {_where(threshold)}"
        return "with care", f"{parts} are few, so this is an estimate. {_expected(facts)}"
    return None


def _expected(facts: Facts) -> str:
    threshold = facts.threshold
    alarms = {_PARTS * expected_false_alarms(threshold.n, threshold.rank, _PARTS)[0]}
    if threshold.method == "fitted tail":  # what the curve says, and what the scores alone would
        alarms.add(_PARTS * threshold.target_fpr)
    said = " to ".join(dict.fromkeys(f"{one:.0f}" for one in sorted(alarms)))
    return f"Expect about {said} false alarms in {_PARTS:,} good parts; {_caught(facts.metrics)}."


def _leaked(facts: Facts) -> str:
    of = count(facts.metrics.test_images, "test photograph")
    return f"{facts.leaks:,} of {of} show parts that it was trained on, or their like"


def _caught(metrics: Metrics) -> str:
    low, high = proportion_interval(metrics.tp, metrics.test_anomalous)
    return (
        f"{percent(metrics.recall)} of defective parts are caught ({percent(low)} to {percent(high)}, 95 % confidence)"
    )


def _steps(facts: Facts) -> Iterator[str]:
    """What would help, the most important first."""
    metrics, threshold = facts.metrics, facts.threshold
    if facts.caveat or facts.is_guessing:
        yield "Do not score parts with it: train again with another layer, size of image or photographs."
    if facts.leaks:
        yield "Take photographs of parts that train out of the test. The data page shows them side by side."
    yield from _to_test(facts)
    # of photographs that belong together: of one part, or of one shift where sub-folders are groups
    where = "into calibration/good" if threshold.is_split else "for training"
    one, many = ("part", "parts") if threshold.n == threshold.images else ("group of parts", "groups of parts")
    what = (f"more good {one}", f"more good {many}")
    if not threshold.enough:
        yield f"Photograph at least {count(threshold.needed - threshold.n, *what)} {where}."
    elif threshold.n < threshold.steady:
        more = count(threshold.steady - threshold.n, *what)
        yield f"Photograph {more} {where}: then the threshold does not hang on one or two of them."
    if facts.more_alarms_than_chance:
        yield (
            "Compare the false alarms with good photographs that train. Where they differ in light, camera or batch, "
            "add such good parts to train/good."
        )
    if metrics.fn:
        yield from _missed(metrics, pictured=facts.pictured)
    if facts.unusual:
        where = ", under 'Are these really good?'" if facts.pictured else ""
        stand = "one stands" if facts.unusual == 1 else f"{facts.unusual:,} stand"
        yield (
            f"Look at the most unusual good photographs{where}: {stand} out from the others. A defective "
            "one among them hides defects like its own."
        )


def _to_test(facts: Facts) -> Iterator[str]:
    """Which test photographs are missing."""
    metrics = facts.metrics
    if not metrics.test_images:
        yield (
            "Put photographs of parts that you know into test/good and test/defective: the next run measures how many "
            "defects are caught, and how many good parts are flagged."
        )
    elif not metrics.test_anomalous:
        yield "Put photographs of defective parts into test/defective: the next run measures how many are caught."
    elif not metrics.test_good:
        yield "Put photographs of good parts that do not train into test/good: the next run measures false alarms."
    elif facts.may_be_guessing or facts.recall_is_vague:
        yield f"Add test photographs, good and defective ones: {facts.tested} say little."


def _missed(metrics: Metrics, *, pictured: bool) -> Iterator[str]:
    """Where defective parts passed: which ones, and what a higher rate of false alarms would catch."""
    chosen = next(one for one in metrics.operating_points if one.target_fpr == metrics.target_fpr)
    said = f"Look at the {count(metrics.fn, 'defective part')} that passed{', under Missed' if pictured else ''}."
    if chosen.recall_by_type:
        worst = min(chosen.recall_by_type, key=lambda name: (chosen.recall_by_type[name], name))
        said += f" Of the types of defect, {worst} is caught least often ({percent(chosen.recall_by_type[worst])})."
    for one in metrics.operating_points:
        if one.target_fpr > metrics.target_fpr and (one.recall or 0) > (metrics.recall or 0):
            rate, caught = short_percent(one.target_fpr), percent(one.recall)
            said += f" If they matter more than false alarms: at {rate} false alarms {caught} are caught."
            break
    yield said
