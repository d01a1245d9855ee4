"""The step summarize: the categories' rows become the table in three forms."""

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.components.conftest import RUN
from vqi.pages.table import COLUMNS
from vqi.store.folder import FolderStore
from vqi.verdicts.book import Book
from vqi.verdicts.records import Scored, said_of, verdict_of

OneError = Callable[[int], str]


def test_table_in_three_forms(chain: Any) -> None:
    table = chain.folder / "table"
    row, failed = csv.DictReader(io.StringIO((table / "table.csv").read_text()))
    summary = json.loads((chain.folder / "summary").read_text())
    assert tuple(row) == COLUMNS
    assert {name: "" if value is None else str(value) for name, value in summary.items()} == row
    assert failed["category"] == "fabric", "the chain is of one category"
    assert "| Category | Can it be used? | Test images | Image AUROC |" in (table / "table.md").read_text()
    assert "bracket" in (table / "table.html").read_text()
    assert "v1 is the champion" in (table / "models.html").read_text()
    (page,) = chain.store.glob("models/*/models.html")
    assert "bracket/v1/report.html" in page.read_text()
    page = (chain.folder / "table_page.md").read_text()
    assert page == (table / "table.md").read_text() + "- bracket: v1 was promoted: it is the first one\n"
    said = (chain.folder / "decisions").read_text()
    assert said == "fabric: failed; bracket: v1 was promoted: it is the first one"


def test_same_input_same_bytes(chain: Any, tmp_path: Path) -> None:
    assert chain.run("summarize", table=tmp_path / "t", table_page=tmp_path / "t.md") == 0
    for name in ("table.md", "table.csv", "table.html"):
        assert (tmp_path / "t" / name).read_bytes() == (chain.folder / "table" / name).read_bytes()


@pytest.fixture
def other(chain: Any, tmp_path: Path) -> Any:
    """The chain with a store of its own: a dataset of two categories, one of which left its row."""
    made = type(chain)(chain.folder, chain.source)
    made.store = tmp_path / "store"
    catalog = json.loads((chain.folder / "catalog.json").read_text())
    catalog["categories"]["lost|one"] = catalog["categories"].pop("fabric")
    at = made.store / "datasets" / "two" / "catalog.json"
    at.parent.mkdir(parents=True)
    at.write_text(json.dumps(catalog))  # without the digest that a store keeps: it is of somebody's own
    made.dataset = f"file://{at.parent}"
    assert made.run("publish", decision=tmp_path / "decision", dataset=made.dataset) == 0
    return made


def rows_of(table: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((table / "table.csv").read_text())))


def test_what_failed_is_named_and_has_no_figures(
    other: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert other.run("summarize", table=tmp_path / "t", table_page=tmp_path / "t.md", dataset=other.dataset) == 0
    reason = "lost|one (did not finish: the log of its last step says why)"
    assert f"the table has no figures of what failed: 1 of 2 categories failed: {reason}\n" in capsys.readouterr().err
    rows = rows_of(tmp_path / "t")
    assert [row["category"] for row in rows] == ["bracket", "lost|one"]
    assert {value for name, value in rows[1].items() if name != "category"} == {""}
    *table, empty, why, doubt = (tmp_path / "t" / "table.md").read_text().splitlines()
    assert table[-1].startswith("| lost\\|one | failed | ")
    assert {line.replace("\\|", "").count("|") for line in table} == {table[0].count("|")}
    assert (empty, why) == ("", "- lost\\|one failed: did not finish: the log of its last step says why")
    assert doubt.startswith("- bracket: not known: 4 of 10 test photographs show parts that it was trained on")
    page = (tmp_path / "t" / "table.html").read_text()
    assert "<td>failed</td>" in page
    assert "<li><strong>lost|one</strong>: did not finish" in page


def test_where_what_it_wrote_is_kept_it_fails_if_a_category_has(
    other: Any, tmp_path: Path, one_error: OneError
) -> None:
    """On Argo, which hands over no executor input: its retry runs nothing again that a step has succeeded after."""
    flags = {"table": tmp_path / "t", "table_page": tmp_path / "t.md", "dataset": other.dataset, "executor_input": ""}
    error = one_error(other.run("summarize", **flags))
    assert error.startswith("1 of 2 categories failed: lost|one (did not finish: ")
    assert [row["category"] for row in rows_of(tmp_path / "t")] == ["bracket", "lost|one"]


def test_without_a_dataset_it_is_that_of_the_rows(other: Any, tmp_path: Path) -> None:
    """Kubeflow gives what runs after a failure nothing that another task made."""
    assert other.run("summarize", table=tmp_path / "t", table_page=tmp_path / "t.md", dataset="") == 0
    assert [row["category"] for row in rows_of(tmp_path / "t")] == ["bracket", "lost|one"]
    flags = {"table": tmp_path / "u", "table_page": tmp_path / "u.md", "dataset": "", "run": "run-2"}
    assert other.run("summarize", **flags) == 2


def test_no_category_with_a_result(other: Any, tmp_path: Path, one_error: OneError) -> None:
    flags = {"table": tmp_path / "t", "table_page": tmp_path / "t.md", "dataset": other.dataset, "run": "run-2"}
    error = one_error(other.run("summarize", **flags))
    assert error.startswith("2 of 2 categories failed: bracket (did not finish: ")
    assert "there is no category with a result" in error
    assert [row["category"] for row in rows_of(tmp_path / "t")] == ["bracket", "lost|one"], "the table names them, too"


def test_why_publishing_failed_is_in_the_table(other: Any, tmp_path: Path, one_error: OneError) -> None:
    wrong = {"decision": tmp_path / "d", "dataset": other.dataset, "detector": other.folder / "features.safetensors"}
    assert "expected format 'vqi.detector/7'" in one_error(other.run("publish", **wrong))
    assert other.run("summarize", table=tmp_path / "t", table_page=tmp_path / "t.md", dataset=other.dataset) == 2
    assert "- bracket failed: " in (tmp_path / "t.md").read_text()
    assert "expected format 'vqi.detector/7'" in (tmp_path / "t.md").read_text().replace("\\", "")
    assert other.run("publish", decision=tmp_path / "decision", dataset=other.dataset) == 0, "tried again"
    assert other.run("summarize", table=tmp_path / "u", table_page=tmp_path / "u.md", dataset=other.dataset) == 0


def test_a_run_that_is_not_named(chain: Any, tmp_path: Path, one_error: OneError) -> None:
    flags = {"table": tmp_path / "t", "table_page": tmp_path / "t.md"}
    assert "run: String should have at least 1 character" in one_error(chain.run("summarize", **flags, run=""))
    unfilled = {**flags, "run": "{{$.pipeline_job_uuid}}"}
    assert "which was not filled in: update Kubeflow Pipelines" in one_error(chain.run("summarize", **unfilled))


def test_categories_whose_operators_disagree_come_first(other: Any, tmp_path: Path) -> None:
    summary = json.loads((other.folder / "summary").read_text()) | {"category": "lost|one"}
    left = other.store / "runs" / RUN / "summaries" / "lost%7Cone.json"
    outcome = json.loads((left.parent / "bracket.json").read_text())
    left.write_text(json.dumps(outcome | {"category": "lost|one", "summary": summary, "decision": ""}))
    of = Scored("0" * 64, "p17.png", 1, 2.0, 1.0)
    said = verdict_of(of, said_of("good"), "anna", datetime(2026, 5, 4, tzinfo=UTC))
    Book(FolderStore(other.store), "parts", "lost|one").add([said])
    assert other.run("summarize", table=tmp_path / "t", table_page=tmp_path / "t.md", dataset=other.dataset) == 0
    assert [row["category"] for row in rows_of(tmp_path / "t")] == ["lost|one", "bracket"]
    told = "- lost\\|one: operators on v1: 1 answered: 1 false alarm; of the alarms 100.0 % "
    assert told in (tmp_path / "t" / "table.md").read_text()
    assert told in (tmp_path / "t.md").read_text()
    assert "<h2>What operators say</h2>" in (tmp_path / "t" / "table.html").read_text()
