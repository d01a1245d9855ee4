"""The step summarize: the categories' rows become the table in three forms."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
