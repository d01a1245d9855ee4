"""Whether a model can be used, and what to do: by rules, from figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.vqi import made
from vqi import metrics
from vqi.artifacts.metrics import Usable
from vqi.conclusion import Conclusion, Facts, conclude, standing_out
from vqi.detectors.calibration import operating_points

GOOD = [*range(1, 191, 2), 192, 193, 194, 195, 196]  # of 100, five are above the threshold, 191
BAD = [*range(300, 320), 150]


def concluded(
    good: Sequence[float] = GOOD,
    bad: Sequence[float] = BAD,
    calibration: int = 200,
    low: float = 0.9,
    area: float = 0.95,
    **facts: Any,
) -> Conclusion:
    """Of test parts with these scores, with a threshold of 1 ... n at 5 %."""
    points = operating_points(np.arange(1.0, calibration + 1), 0.05)
    threshold = next(one for one in points if one.target_fpr == 0.05)
    labels, scores = np.repeat([0, 1], [len(good), len(bad)]), np.array([*good, *bad], float)
    types = ["dent" if score > 200 else "scratch" for score in scores]
    figures = made.metrics(
        test_images=len(scores),
        test_good=len(good),
        test_anomalous=len(bad),
        target_fpr=0.05,
        image_auroc=area,
        image_auroc_low=low,
        **dict(metrics.at_threshold(labels, scores, threshold.value)),
        operating_points=tuple(metrics.operating_point(one, labels, scores, types) for one in points),
    )
    return conclude(Facts(figures, threshold, **{"caveat": "", "leaks": 0, "unusual": 0} | facts))


def test_steps_name_no_pictures_that_the_report_has_not() -> None:
    told = " ".join(concluded(unusual=2).steps)
    assert "that passed, under Missed." in told
    assert "good photographs, under 'Are these really good?': 2 stand out" in told
    without = " ".join(concluded(unusual=2, pictured=False).steps)
    assert "that passed." in without
    assert "good photographs: 2 stand out" in without
    assert "under" not in without


def test_a_model_that_does_what_it_promises() -> None:
    found = concluded(bad=range(300, 321))
    assert (found.usable, found.why) == (
        "yes",
        "Expect about 50 false alarms in 1,000 good parts; 100.0 % of defective parts are caught (83.9 % to 100.0 %, "
        "95 % confidence).",
    )
    (step,) = found.steps
    assert step.startswith("Nothing has to be done.")


@pytest.mark.parametrize(
    ("case", "usable", "why", "step"),
    [
        ({"caveat": "all features are 0"}, "no", "All features are 0.", "Do not score parts with it"),
        ({"low": 0.45, "area": 0.6}, "no", "cannot be told from guessing", "Do not score parts with it"),
        ({"low": 0.45, "bad": [300, 301]}, "not known", "100 good and 2 defective test parts are too few", "Add test"),
        ({"good": []}, "not known", "no good test parts", "good parts that do not train into test/good"),
        ({"bad": [300, 301, 302, 303]}, "with care", "100 good and 4 defective test parts say little", "Add test"),
        ({"good": [], "bad": []}, "not known", "there are no test photographs", "test/good and test/defective"),
        ({"bad": []}, "not known", "no defective test parts", "Put photographs of defective parts into test/defective"),
        ({"leaks": 31}, "not known", "31 of 121 test photographs show parts that it was trained on", "out of the test"),
        (
            {"leaks": 30},
            "with care",
            "figures are better than new parts will show. 95.2 % of defective",
            "out of the test",
        ),
        ({"leaks": 6}, "yes", "Expect about", "out of the test"),
        (
            {"good": range(150, 230)},
            "with care",
            "more good parts than was promised, 47.5 % instead of 5 %",
            "Compare the false alarms with good photographs that train",
        ),
        (
            {"bad": [*range(20), 300]},
            "with care",
            "Beside people, not in their place: 4.8 %",
            "Look at the 20 defective",
        ),
        (
            {"good": [5.0], "calibration": 24},
            "with care",
            "24 good parts in training are few, so this is an estimate. Expect about 40 to 50 false alarms in 1,000",
            "Photograph 35 more good parts",
        ),
        (
            {"good": [5.0], "calibration": 9},
            "with care",
            "9 good parts in training are few",
            "at least 10 more good parts",
        ),
        ({"good": [], "bad": [], "calibration": 9}, "not known", "9 good parts in training cannot promise", "10 more"),
    ],
)
def test_the_first_rule_that_applies(case: dict[str, Any], usable: Usable, why: str, step: str) -> None:
    found = concluded(**case)
    assert found.usable == usable
    assert why in found.why
    assert any(step in one for one in found.steps), found.steps
    assert len(found.steps) <= 3


def test_what_was_missed_says_which_type_and_what_would_catch_it() -> None:
    (step,) = concluded(bad=[*range(300, 310), 185, 100]).steps
    assert step == (
        "Look at the 2 defective parts that passed, under Missed. Of the types of defect, scratch is caught least "
        "often (0.0 %). If they matter more than false alarms: at 10 % false alarms 91.7 % are caught."
    )


def test_unusual_training_photographs_come_last() -> None:
    first, second = concluded(unusual=1).steps
    assert first.startswith("Look at the 1 defective part that passed")
    assert "'Are these really good?': one stands out from the others." in second


def test_scores_that_stand_out_are_far_from_the_others() -> None:
    usual = np.random.default_rng(0).lognormal(3, 0.2, 500)
    assert standing_out(usual) == 0
    assert standing_out(np.append(usual, [60.0, 90.0])) == 2
    assert standing_out(np.full(9, 2.0)) == 0
    assert standing_out(np.zeros(9)) == 0
