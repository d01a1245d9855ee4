"""What operators say, in words and as a section of a page."""

from __future__ import annotations

from typing import Any

import pytest

from vqi.artifacts.metrics import FromVerdicts
from vqi.errors import VqiError
from vqi.pages import findings
from vqi.pages.field import HEADER, answers, first_contradicted, promise, row_of, section, with_field
from vqi.verdicts.field import Field, Rate


def rate(hits: int, of: int) -> Rate:
    return Rate(hits=hits, of=of, share=hits / of, low=0.1, high=0.9)


def field(category: str = "bracket", **changes: Any) -> Field:
    values: dict[str, Any] = {
        "dataset": "parts", "category": category, "version": 3, "answered": 1342, "disagreements": (),
        "outcomes": {"unclear": 3, "false alarm": 1251, "true defect": 88}, "false_of_alarms": rate(1251, 1339),
        "false_alarm_rate": None, "promised": 0.02, "kept_from": 59_000,
    }  # fmt: skip
    return Field(**values | changes)


def test_in_words() -> None:
    assert answers(field()) == "1,342 answered: 1,251 false alarms, 88 true defects, 3 unclear"
    assert answers(field(disagreements=("a.png",))).endswith("3 unclear; people disagree on 1 photograph")
    assert promise(field()) == (
        "of the alarms 93.4 % [10.0, 90.0 %] (1,251 of 1,339) were false; 2.0 % of good parts are promised, which "
        "holds from 59,000 scored good parts on"
    )
    assert promise(field(promised=None, kept_from=None)).endswith("(1,251 of 1,339) were false")
    assert promise(field(false_of_alarms=None)) == ""


def test_the_cells_are_those_of_the_header() -> None:
    cells = dict(zip(HEADER, row_of(field()), strict=True))
    assert (cells["category"], cells["false alarms"], cells["good parts"], cells["false-alarm rate"]) == (
        "parts/bracket", "1,251", "0", "–",
    )  # fmt: skip
    assert (cells["promised"], cells["kept from"]) == ("2.0 %", "59,000")


@pytest.mark.parametrize(
    ("train", "test", "said"),
    [
        (0, 0, ""),
        (12, 3, "12 photographs confirmed as good in training, 3 confirmed as defective in the test"),
        (0, 1, "0 photographs confirmed as good in training, 1 confirmed as defective in the test"),
    ],
)
def test_what_joined_the_data(train: int, test: int, said: str) -> None:
    found = FromVerdicts(answered_train=train, answered_test=test)
    assert found.joined == said
    assert ["raise the threshold" in one for one in findings.from_verdicts(found)] == ([train > 0] if said else [])


def test_those_first_that_are_contradicted_and_the_others_as_they_were() -> None:
    agreed = field("a", outcomes={"true defect": 3})
    fields = [field("d"), field("b"), agreed]
    assert first_contradicted(["a", "b", "c", "d"], fields) == ["d", "b", "a", "c"]


def test_a_section_of_a_page() -> None:
    assert section([], "None.") == ""
    names = tuple(f"<{number}>.png" for number in range(12))
    page = section([field(disagreements=names)], "The newest one.")
    assert '<p class="quiet">The newest one.</p>' in page
    assert '<th scope="row">bracket</th><td>v3</td>' in page
    assert "&lt;9&gt;.png and 2 more." in page
    assert "<9>" not in page


def test_a_report_has_the_newest_versions() -> None:
    page = with_field("<p>a</p><!-- what operators say --><p>b</p>", [field(version=n) for n in range(9, 0, -1)])
    assert page.startswith('<p>a</p><section class="card"')
    assert page.endswith("</section><p>b</p>")
    assert [number for number in range(10) if f"<td>v{number}</td>" in page] == [5, 6, 7, 8, 9]
    assert with_field("a<!-- what operators say -->b", []) == "ab"
    with pytest.raises(VqiError, match="run evaluate again"):
        with_field("a report of an earlier vqi", [])
