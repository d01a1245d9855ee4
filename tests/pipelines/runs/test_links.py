"""What the reports of the next run link to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.pipelines.made_runs import made_run
from vqi.pages.of_run import PLACE
from vqi_pipelines.runs.links import complete_pages, links_of

NAMES = ["Report", "Table of this run", "Data page", "All runs"]


def test_the_run_before_is_linked_where_it_has_a_table(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    assert list(links_of(runs)) == NAMES, "there is none"
    before = runs / "20260504-1 training"
    before.mkdir(parents=True)
    (runs / "latest").symlink_to(before.name)
    assert list(links_of(runs)) == NAMES, "it has no table"
    (before / "table.html").touch()
    assert links_of(runs)["Run before"] == "../../../20260504-1%20training/table.html"


def test_what_is_no_run_of_these_is_not_linked(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "table.html").touch()
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "latest").symlink_to(elsewhere)
    assert list(links_of(tmp_path / "runs")) == NAMES


def test_a_folder_that_cannot_be_read_is_no_error_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "run").mkdir()
    (tmp_path / "latest").symlink_to("run")
    monkeypatch.setattr(Path, "is_file", refuse)
    assert list(links_of(tmp_path)) == NAMES


def linked(page: Path) -> dict[str, str]:
    return {name: address for address, name in re.findall(r'<a href="([^"]+)">([^<]+)</a>', page.read_text())}


def test_the_pages_of_a_run_say_which_it_is_and_link_to_each_other(tmp_path: Path) -> None:
    folder = made_run(tmp_path, "20241201-100000-training", categories=("mono", "poly"))
    for name in ("table.html", "models.html"):
        (folder / name).write_text(f"<h1>Results</h1>{PLACE}<p>100 %")
    complete_pages(folder)
    for name, expected in (
        ("table.html", ["Models over time", "All runs", "mono", "poly"]),
        ("models.html", ["Table of this run", "All runs"]),
    ):
        links = linked(folder / name)
        assert list(links) == expected
        assert all((folder / address).exists() for title, address in links.items() if title != "All runs")
        assert "run 20241201-100000-training" in (folder / name).read_text()
        assert (folder / name).read_text().endswith("<p>100 %")
    assert linked(folder / "table.html")["mono"] == "mono/preprocess/data_page.html"
    assert 'href="mono/publish/decided_report.html"' in (folder / "table.html").read_text()


def test_pages_of_another_pipeline_and_a_damaged_run_are_left_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made_run(tmp_path)
    complete_pages(folder)
    assert not (folder / "table.html").exists()
    (folder / "table.html").write_text("<p>mine")
    complete_pages(folder)
    assert (folder / "table.html").read_text() == "<p>mine"
    assert capsys.readouterr().err == ""
    (folder / "run.json").write_text("{")
    complete_pages(folder)
    assert f"note: the table in {folder} has no links: " in capsys.readouterr().err
