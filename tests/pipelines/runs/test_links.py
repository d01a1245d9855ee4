"""What the reports of the next run link to."""

from __future__ import annotations

from pathlib import Path

import pytest

from vqi_pipelines.runs.links import links_of

NAMES = ["Table of this run", "Data page", "All runs"]


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
