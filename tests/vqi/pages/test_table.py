"""The result table in its three forms."""

import csv
import io
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vqi.pages.test_field import field
from vqi.artifacts.metrics import Summary
from vqi.errors import VqiError
from vqi.formatting import text_of
from vqi.pages.table import COLUMNS, read_csv, to_csv, to_html, to_markdown

HEADER = (
    "Category | Can it be used? | Test images | Image AUROC | Accuracy at threshold | False alarms | Recall | "
    "Best possible accuracy (uses test labels)"
)


def row(category: str = "mono", **figures: Any) -> Summary:
    values: dict[str, Any] = {
        "category": category, "test_images": 431, "image_auroc": 0.9581, "image_auroc_low": 0.944,
        "image_auroc_high": 0.971, "pixel_auroc": None, "aupro": None, "threshold": 12.3, "target_fpr": 0.05,
        "accuracy": 0.877, "f1": 0.9, "false_alarm_rate": 0.0508, "recall": 0.767, "oracle_accuracy": 0.889,
        "usable": "yes", "usable_why": "Expect about 50, and so on.",
    }  # fmt: skip
    return Summary(**values | figures)


KNOWN = {"category", "test_images", "threshold", "target_fpr", "answered_train", "answered_test"}
NOTHING = dict.fromkeys(set(COLUMNS) - KNOWN)


class Cells(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] in ("td", "th") and self.cells:
            self.cells[-1] += data.rstrip("\n")


def cells_of(html: str) -> Cells:
    parser = Cells()
    parser.feed(html)
    return parser


def test_columns_are_those_that_others_script_against() -> None:
    assert ",".join(COLUMNS) == (
        "category,test_images,image_auroc,image_auroc_low,image_auroc_high,pixel_auroc,aupro,threshold,target_fpr,"
        "accuracy,f1,false_alarm_rate,recall,oracle_accuracy,answered_train,answered_test,usable,usable_why"
    )


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1),
            st.none() | st.floats(0, 1),
            st.floats(allow_nan=False, allow_infinity=False),
        ),
        max_size=4,
    )
)
def test_csv_keeps_every_bit(cases: list[tuple[str, float | None, float]]) -> None:
    rows = [row(name, image_auroc=auroc, threshold=threshold) for name, auroc, threshold in cases]
    read = list(csv.DictReader(io.StringIO(to_csv(rows))))
    assert [text_of(one["category"]) for one in read] == [name for name, _, _ in cases]
    assert [float(one["threshold"]) for one in read] == [threshold for _, _, threshold in cases]
    assert [float(one["image_auroc"]) if one["image_auroc"] else None for one in read] == [a for _, a, _ in cases]


def test_csv_by_hand() -> None:
    first, second = to_csv([row("a,b", threshold=0.1 + 0.2)]).splitlines()
    assert first == ",".join(COLUMNS)
    figures = "431,0.9581,0.944,0.971,,,0.30000000000000004,0.05,0.877,0.9,0.0508,0.767,0.889,0,0"
    assert second == f'"a,b",{figures},yes,"Expect about 50, and so on."'


def test_csv_is_read_as_it_was_written(tmp_path: Path) -> None:
    path, rows = tmp_path / "table.csv", [
        row("=a,b", threshold=0.1 + 0.2, usable_why="=1"), row("c", image_auroc=None, usable=None, usable_why=None)
    ]  # fmt: skip
    path.write_text(to_csv(rows, {"broken": "why"}))
    assert read_csv(path) == rows
    path.write_text(to_csv(rows).replace("0.9581", "much"))
    with pytest.raises(VqiError, match=r"table\.csv: expected a table of results, got: row 0: "):
        read_csv(path)


def test_markdown_of_one_category_has_no_mean() -> None:
    head, rule, body = to_markdown([row()]).splitlines()
    assert head == f"| {HEADER} |"
    assert rule.count("|") == head.count("|") == body.count("|") == 9
    assert body == "| mono | yes | 431 | 0.958 [0.944, 0.971] | 87.7 % | 5.1 % | 76.7 % | 88.9 % |"


def test_mean_is_over_the_categories_that_have_the_figure() -> None:
    rows = [row(), row("poly", image_auroc=0.8, accuracy=0.677), row("empty", test_images=0, **NOTHING)]
    *_, empty, mean = to_markdown(rows).splitlines()
    assert empty == "| empty | – | 0 | – | – | – | – | – |"
    assert mean == "| **Mean** |  |  | 0.879 | 77.7 % | 5.1 % | 76.7 % | 88.9 % |"


def test_zero_counts_in_the_mean() -> None:
    assert "| 2.5 % |" in to_markdown([row(false_alarm_rate=0.0), row(false_alarm_rate=0.05)]).splitlines()[-1]


def test_why_a_category_has_no_figures_is_below_the_table() -> None:
    *table, empty, first, second = to_markdown([row("a"), row("b")], {"c|d": "a *reason*", "e": "another"}).splitlines()
    assert [line.split(" | ")[0] for line in table[2:]] == ["| a", "| b", "| c\\|d", "| e", "| **Mean**"]
    assert (empty, first, second) == ("", "- c\\|d failed: a \\*reason\\*", "- e failed: another")
    assert "<li><strong>c|d</strong>: a &lt;reason&gt;</li>" in to_html([row()], {"c|d": "a <reason>"})
    assert "What failed" not in to_html([row()])


def test_markdown_cells_cannot_break_the_table() -> None:
    body = to_markdown([row("a|b\n<script>*")]).splitlines()[2]
    assert body.startswith(r"| a\|b &lt;script>\* | yes | 431 |")


def test_html_is_self_contained_and_escaped() -> None:
    html = to_html([row("<script>alert(1)</script>"), row("b")])
    parsed = cells_of(html)
    assert "script" not in parsed.tags
    assert "<script>alert(1)</script>" in parsed.cells
    assert "default-src 'none'" in html
    assert "http://" not in html
    assert "https://" not in html
    assert "Mean" in parsed.cells
    assert "5.1\u00a0%" in parsed.cells


def test_html_shows_pixel_figures_only_where_measured() -> None:
    assert "AUPRO" not in cells_of(to_html([row()])).cells
    parsed = cells_of(to_html([row(aupro=0.8834, pixel_auroc=0.96), row("b")]))
    assert {"AUPRO", "0.883", "0.960"} <= set(parsed.cells)
    assert " | ".join(parsed.cells[:8]) == HEADER


@pytest.mark.parametrize("render", [to_csv, to_markdown, to_html])
def test_any_number_of_rows(render: Any) -> None:
    assert render([])
    assert render([row(test_images=0, **NOTHING)])


@pytest.mark.parametrize("category", ["=1+1", "+1", "-A7", "@x", "\t=1", "'=1"])
def test_no_category_is_a_formula(category: str) -> None:
    (line,) = list(csv.DictReader(io.StringIO(to_csv([row(category)]))))
    assert line["category"] == f"'{category}"


def test_why_a_model_cannot_simply_be_used() -> None:
    rows = [row("a"), row("b|c", usable="no", usable_why="All *features* are <0>."), row("d", usable=None)]
    text = to_markdown(rows)
    assert [line.split(" | ")[1] for line in text.splitlines()[2:5]] == ["yes", "no", "–"]
    assert text.splitlines()[-1] == "- b\\|c: no: All \\*features\\* are &lt;0>."
    page = to_html(rows)
    assert '<td><span class="badge flagged">no</span></td>' in page
    assert "<li><strong>b|c</strong>: no: All *features* are &lt;0&gt;.</li>" in page
    assert "Before they are used" not in to_html([row("a"), row("d", usable=None)])


def test_unchanged_categories_are_named() -> None:
    unchanged = {"c|d": "v3 was made of *the same*"}
    text = to_markdown([row(category="c|d")], {"e": "another"}, unchanged)
    assert text.splitlines()[-2:] == ["- e failed: another", "- c\\|d is unchanged: v3 was made of \\*the same\\*"]
    page = to_html([row(category="c|d")], unchanged=unchanged)
    assert "<h2>What was not trained</h2>" in page
    assert "<li><strong>c|d</strong>: v3 was made of *the same*</li>" in page
    assert "What was not trained" not in to_html([row()])


def test_what_the_gate_decided_is_below_the_table() -> None:
    decisions = {"c|d": "v3 was rejected, v2 is used: recall *50.0 %*"}
    text = to_markdown([row(category="c|d")], unchanged={"e": "the same"}, decisions=decisions)
    assert text.splitlines()[-2:] == [
        "- e is unchanged: the same", "- c\\|d: v3 was rejected, v2 is used: recall \\*50.0 %\\*"
    ]  # fmt: skip
    page = to_html([row(category="c|d")], decisions=decisions)
    assert "<h2>What the gate decided</h2>" in page
    assert "<li><strong>c|d</strong>: v3 was rejected, v2 is used: recall *50.0\N{NO-BREAK SPACE}%*</li>" in page
    assert "What the gate decided" not in to_html([row()])


def test_what_operators_say_and_what_that_brought() -> None:
    rows = [row("a|b", answered_train=12, answered_test=3), row("c")]
    text = to_markdown(rows, fields=[field("a|b")])
    told = "12 photographs confirmed as good in training, 3 confirmed as defective in the test"
    assert f"- a\\|b: {told}\n" in text
    assert "- a\\|b: operators on v3: 1,342 answered: 1,251 false alarms, " in text
    assert "93.4 % [10.0, 90.0 %]" in text, "as it is read on a terminal, too"
    assert "- c:" not in text
    page = to_html(rows, fields=[field("a|b")])
    assert f"<li><strong>a|b</strong>: {told}</li>" in page
    assert "<h2>What operators say</h2>" in page
    assert "What operators say" not in to_html(rows)
    assert "operators&#39; verdicts brought" not in to_html([row()])
