"""Figures for people."""

import pytest

from vqi import formatting


@pytest.mark.parametrize(
    ("number", "said"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (113, "113th"), (1003, "1,003rd")],
)
def test_ordinal(number: int, said: str) -> None:
    assert formatting.ordinal(number) == said


def test_what_was_not_measured_is_a_dash() -> None:
    assert formatting.percent(None) == formatting.area(None) == formatting.figure(None) == "–"
    assert formatting.area_with_interval(None, None, None) == "–"
    assert formatting.area_with_interval(0.5, None, None) == "0.500"


def test_rates_and_counts() -> None:
    assert formatting.percent(0.0508) == "5.1 %"
    assert formatting.short_percent(0.05) == "5 %"
    assert formatting.short_percent(0.0025) == "0.25 %"
    assert formatting.count(1, "part") == "1 part"
    assert formatting.count(2000, "part") == "2,000 parts"


@pytest.mark.parametrize("name", ["=1", "+1", "-1", "@x", "\t=1", "\r", "＝1", "'=1", "''@"])
def test_a_name_that_is_a_formula_is_text_in_a_cell_and_comes_back(name: str) -> None:
    assert formatting.cell(name) == f"'{name}"
    assert formatting.text_of(formatting.cell(name)) == name


@pytest.mark.parametrize("name", ["a=1", "part-7", "'quoted'", "", " x", "'"])
def test_other_names_are_cells_as_they_are(name: str) -> None:
    assert formatting.cell(name) == formatting.text_of(name) == name


def test_cells_stand_below_each_other() -> None:
    rows = [("name", "size", "why"), ("a", "10,000", ""), ("longer", "1", "so")]
    assert formatting.columns(rows, right=(1,)) == ["name      size  why", "a       10,000", "longer       1  so"]
