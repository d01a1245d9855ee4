"""vqi.datasets.words: a folder of good parts is never taken for one of defects, whatever it is called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqi.datasets.words import _FILLER, _words, meaning_of, meaning_of_label

GOOD = (
    "good Good GOOD ok OK Okay O.K. o_k normal Normal pass passed gut Gutteile GutTeile i.O. iO conforme bueno "
    "buoni 良品 正常 합격 OK品 OK_Teile ok-images GoodParts goodparts good_2 "
    "00_good ok-2024-01-02 test_good non-defective defect-free "
    "in_ordnung In-Ordnung ohne_Befund fehlerlos freigegeben acceptée sin_defectos aceptadas sem_defeito senza_difetti "
    "w_porządku v_poradku kusursuz hibátlan fără_defecte virheetön feilfri годный без_дефектов κανονικό ปกติ đạt सही "
    "良好 異常なし 양호 سليم no_issues "
    "defect_free no_defect NoDefects without-anomalies fehlerfrei годен ＯＫ passes normale"
)
DEFECTIVE = (
    "ng NG nok NOK n.i.O. ko bad fail failed defect defective anomaly Abnormal anomalous not_ok NotGood not-good "
    "nicht_ok non_conforme 不良 不良品 不合格 불량 schlecht fehler"
)
UNCLEAR = (
    "0 00 class_0 golden reference unknown unlabeled positive negative true good_scratch almost_good ok_but_dirty okNG "
    "goood nomral none free sehr_gut healthy_leaf whole usable"
)
TYPES = (
    "scratch bent_wire no_label missing_label metal_contamination poke combined faulty_imprint color glue_strip hole 1 "
    "2 thread_top logical_anomalies parts_mismatch wood okra bonded goodness passthrough dirty"
)


@pytest.mark.parametrize("name", GOOD.split())
def test_good(name: str) -> None:
    assert meaning_of(name) == "good"
    assert meaning_of_label(name) == "good"


@pytest.mark.parametrize("name", DEFECTIVE.split())
def test_defective(name: str) -> None:
    assert meaning_of(name) == "defective"
    assert meaning_of_label(name) == "defective"


@pytest.mark.parametrize("name", UNCLEAR.split())
def test_what_may_be_either_is_asked(name: str) -> None:
    assert meaning_of(name) == "unclear"
    assert meaning_of(f"defective-{name}") == "defective", "the name that the error proposes"


@pytest.mark.parametrize("name", TYPES.split())
def test_types_of_defects(name: str) -> None:
    assert meaning_of(name) == "other"


def test_numbers_are_labels() -> None:
    assert [meaning_of_label(text) for text in ("0", "0.0", "1", "1.0")] == ["good", "good", "defective", "defective"]
    assert meaning_of_label("-1") not in ("good", "defective"), "some write it for defective, some for good"


@pytest.mark.parametrize(
    "name", ["9" * 250, "good" + "9" * 250 + "x", "dataset" * 36, "dataset" * 30 + "q", "not" * 80]
)
def test_a_long_name_is_read_at_once(name: str) -> None:
    assert meaning_of(name) in ("good", "unclear", "other")


def test_words_that_say_nothing_are_put_together_in_one_way() -> None:
    """Sardinas and Patterson's test of a code: what is left over of one word behind another is no word itself."""
    code = {*_words(_FILLER), *"0123456789"}

    def left(shorter: set[str], longer: set[str]) -> set[str]:
        return {b.removeprefix(a) for a in shorter for b in longer if b.startswith(a) and a != b}

    over, seen = left(code, code), set()
    while not over <= seen:
        assert not over & code, over & code
        seen |= over
        over = left(code, over) | left(over, code)


@given(st.text(max_size=30))
def test_any_text_has_a_meaning_and_case_does_not_matter(name: str) -> None:
    assert meaning_of(name) in ("good", "defective", "unclear", "other")


@given(st.sampled_from(["good", "ok", "normal", "gut", "pass"]), st.randoms(use_true_random=False))
def test_letter_case_does_not_matter(word: str, random: object) -> None:
    drawn = "".join(one.upper() if random.random() < 0.5 else one for one in word)  # type: ignore[attr-defined]
    assert meaning_of(drawn) == "good"
