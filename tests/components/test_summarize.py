"""The step summarize: the categories' rows become the table in three forms."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vqi.pages.table import COLUMNS

OneError = Callable[[int], str]


def test_table_in_three_forms(chain: Any) -> None:
    table = chain.folder / "table"
    (row,) = csv.DictReader(io.StringIO((table / "table.csv").read_text()))
    summary = json.loads((chain.folder / "summary").read_text())
    assert tuple(row) == COLUMNS
    assert {name: "" if value is None else str(value) for name, value in summary.items()} == row
    assert "| Category | Test images | Image AUROC |" in (table / "table.md").read_text()
    assert "bracket" in (table / "table.html").read_text()
    assert (chain.folder / "table_page.md").read_bytes() == (table / "table.md").read_bytes()


def test_same_input_same_bytes(chain: Any, tmp_path: Path) -> None:
    assert chain.run("summarize", table=tmp_path / "t", table_page=tmp_path / "t.md") == 0
    for name in ("table.md", "table.csv", "table.html"):
        assert (tmp_path / "t" / name).read_bytes() == (chain.folder / "table" / name).read_bytes()


def test_bad_input(chain: Any, tmp_path: Path, one_error: OneError) -> None:
    for bad in ("no json", '{"a": 1}', '["no json"]', '["[]"]', '["{}"]'):
        assert "summar" in one_error(chain.run("summarize", table=tmp_path / "t", summaries=bad)), bad
    assert not list(tmp_path.iterdir())


def test_what_failed_is_named_and_has_no_figures(
    chain: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    categories = json.dumps(["bracket", "lost|one"])
    assert chain.run("summarize", table=tmp_path / "t", table_page=tmp_path / "t.md", categories=categories) == 0
    assert "the table is without lost|one" in capsys.readouterr().err
    rows = list(csv.DictReader(io.StringIO((tmp_path / "t" / "table.csv").read_text())))
    assert [row["category"] for row in rows] == ["bracket", "lost|one"]
    assert {value for name, value in rows[1].items() if name != "category"} == {""}
    markdown = (tmp_path / "t" / "table.md").read_text().splitlines()
    assert markdown[-1].startswith("| lost\\|one | failed | ")
    assert {line.replace("\\|", "").count("|") for line in markdown} == {markdown[0].count("|")}
    assert "<td>failed</td>" in (tmp_path / "t" / "table.html").read_text()


def test_no_category_with_a_result(chain: Any, tmp_path: Path, one_error: OneError) -> None:
    assert "there is no category with a result" in one_error(
        chain.run("summarize", table=tmp_path / "t", summaries="[]")
    )
