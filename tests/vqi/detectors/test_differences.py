"""Whether good images that differ systematically are told from those that don't: found, and hardly ever cried."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vqi.made import features_record, maps_of
from vqi.artifacts.features import Calibration, Features
from vqi.config import PcaFit
from vqi.detectors.calibration import conformal_threshold
from vqi.detectors.differences import FEWEST, LEAST, NOTICEABLE, SIGNIFICANT, Comparison, Sample, _half, compare
from vqi.detectors.pca import Pca
from vqi.detectors.registry import fit_detector

RAW = PcaFit(kind="pca", scaling="raw")


class Line:
    """Parts that vary in 12 directions; each photograph of a part differs a little."""

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.basis, self.light = self.random.normal(size=(12, 60)), self.random.normal(size=60)

    def sample(self, parts: int, *, shots: int = 1, light: float = 0.0, days: int = 0, day: float = 0.0) -> Sample:
        """``light`` shifts all of them along one direction; days each along one of their own, by ``day``."""
        vectors = self.random.normal(size=(parts, 12)) @ self.basis + self.random.normal(0, 0.5, (parts, 60))
        vectors += light * self.light
        number = np.arange(parts) * days // parts if days else np.arange(parts)
        if days:
            vectors += day * self.random.normal(size=(days, 60))[number]
        vectors = np.repeat(vectors, shots, 0) + self.random.normal(0, 0.05, (parts * shots, 60))
        return Sample(maps_of(vectors), np.repeat(np.arange(parts), shots), np.repeat(number, shots))


def compared(these: Sample, others: Sample, seed: int = 0) -> Comparison:
    found = compare(Pca, RAW.model_copy(update={"seed": seed}), these, others)
    assert found is not None
    return found


@pytest.mark.parametrize(("these", "others", "shots"), [(10, 20, 1), (60, 40, 1), (20, 30, 3)])
def test_the_test_keeps_what_its_p_value_promises(these: int, others: int, shots: int) -> None:
    """Also with few images, where models are poor: held-out scores of folds are found different in 5 % of these."""
    line = Line()
    found = [compared(line.sample(these, shots=shots), line.sample(others, shots=shots)) for _ in range(400)]
    p = np.array([one.p_value for one in found])
    assert 0.02 < (p < 0.05).mean() < 0.09
    assert sum(one.differs for one in found) <= 2  # 0.4 by chance
    assert found[0][:2] == (these, others // 2)


def test_photographs_of_one_part_are_no_evidence() -> None:
    """Taken for parts of their own, series are found different again and again."""
    line, found = Line(), {"parts": 0, "alone": 0}
    for _ in range(100):
        these, others = line.sample(6, shots=10), line.sample(30, shots=10)
        found["parts"] += compared(these, others).differs
        each, all_others = np.arange(60), np.arange(300)
        found["alone"] += compared(Sample(these.maps, each, each), Sample(others.maps, all_others, all_others)).differs
    assert found["parts"] <= 1
    assert found["alone"] > 10


def test_days_that_all_differ_are_no_news() -> None:
    """With enough days on both sides, a day counts as one."""
    line = Line()
    pairs = [(line.sample(50, days=5, day=0.5), line.sample(240, days=24, day=0.5)) for _ in range(60)]
    assert sum(compared(*pair).differs for pair in pairs) <= 1
    assert compared(*pairs[0])[:2] == (5, 12)


def test_another_light_is_found() -> None:
    line = Line()
    for seed in range(10):
        found = compared(line.sample(40, light=1.0), line.sample(100), seed)
        assert found.differs
        assert found.p_value < SIGNIFICANT
        assert found.higher > NOTICEABLE


def test_a_difference_that_hardly_matters_is_not_said_however_certain() -> None:
    assert not Comparison(1000, 1000, 1e-9, NOTICEABLE - 0.01).differs
    assert Comparison(1000, 1000, 1e-9, 1 - NOTICEABLE).differs, "lower is a difference, too"
    assert not Comparison(1000, 1000, SIGNIFICANT, 0.9).differs


def test_few_others_are_not_compared() -> None:
    line = Line()
    assert compare(Pca, RAW, line.sample(40, light=9.0), line.sample(LEAST - 1, shots=3)) is None


@given(st.lists(st.integers(0, 12), min_size=LEAST, max_size=60), st.integers(0, 9))
def test_a_half_divides_no_group_and_leaves_something(numbers: list[int], seed: int) -> None:
    groups, parts = np.array(numbers), np.arange(len(numbers))
    half = _half(Sample(maps_of(np.zeros((len(parts), 1))), parts, groups), seed)
    assert 0 < half.sum() < len(half)
    if len(set(numbers)) >= 4:
        assert not set(groups[half].tolist()) & set(groups[~half].tolist())
    largest = np.bincount(groups if len(set(numbers)) >= 4 else parts).max()
    assert abs(2 * int(half.sum()) - len(half)) <= 2 * largest


# ------------------------------------------------------------------------------------------------- in the step's record


def features(train: Sample, apart: Sample | None = None) -> Features:
    calibration = None if apart is None else Calibration(apart.maps, apart.parts, apart.groups)
    return Features(train.maps, train.groups, train.maps.rows([]), features_record(), None, calibration, train.parts)


def test_the_wider_threshold_is_the_higher_one_of_both() -> None:
    line = Line()
    train, odd = line.sample(60), line.sample(40, light=2.0)
    artifact = fit_detector(features(train, odd), RAW)
    (found,) = artifact.record.differences
    assert (found.group, found.units, found.others) == (None, 40, 30)
    assert found.wider_threshold == artifact.record.threshold.value, "that of the images for calibration is higher"
    assert fit_detector(features(train, line.sample(40)), RAW).record.differences == ()
    quiet = Sample(maps_of(train.maps.layers[0].mean(0)[None, :, 0, 0] + line.random.normal(0, 0.01, (40, 60))),
                   odd.parts, odd.groups)  # fmt: skip
    artifact = fit_detector(features(train, quiet), RAW)
    (found,) = artifact.record.differences
    own = fit_detector(features(train), RAW).record.threshold.value
    assert found.higher < 0.5
    assert found.wider_threshold == own > artifact.record.threshold.value


def days(line: Line, *, light: float, count: int = 5, size: int = 20) -> Sample:
    """A sample whose last day has another light."""
    usual, odd = line.sample(count * size), line.sample(size, light=light)
    vectors = np.concatenate([usual.maps.layers[0], odd.maps.layers[0]])[:, :, 0, 0]
    return Sample(maps_of(vectors), np.arange(len(vectors)), np.arange(len(vectors)) // size)


def test_a_day_that_is_odd_to_the_model_of_the_others() -> None:
    line = Line()
    train = days(line, light=2.0)
    artifact = fit_detector(features(train), RAW)
    (found,) = artifact.record.differences
    assert (found.group, found.units) == (5, 20)
    of = artifact.groups == 5
    own = conformal_threshold(artifact.calibration_scores[of], RAW.target_fpr)
    assert found.wider_threshold == max(own.value, artifact.record.threshold.value)
    assert fit_detector(features(days(line, light=0.0)), RAW).record.differences == ()
    few = days(line, light=2.0, size=FEWEST - 1)
    assert fit_detector(features(few), RAW).record.differences == (), "too few parts to say so"
    assert fit_detector(features(days(line, light=2.0, count=1)), RAW).record.differences == (), "two days"
    by_parts = replace(features(train), parts=train.groups)
    assert fit_detector(by_parts, RAW).record.differences == (), "parts differ"


def test_days_that_are_alike_hardly_ever_are_found() -> None:
    line = Line()
    assert sum(len(fit_detector(features(days(line, light=0.0)), RAW).record.differences) for _ in range(60)) == 0
