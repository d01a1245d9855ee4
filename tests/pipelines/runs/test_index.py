"""The page of all runs: where its links lead, and that nothing keeps it from being written."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.pipelines.made_runs import made_run
from vqi_pipelines.runs import index
from vqi_pipelines.runs.index import INDEX, renew_index


def test_its_links_lead_to_what_is_there(tmp_path: Path) -> None:
    made_run(tmp_path, "20241201-100000-training", ("mono", "a & b"), unchanged=("wood",))
    folder = made_run(tmp_path, "20241202-100000-training", failed="mono/evaluate", state="failed")
    (folder / "table.html").touch()
    (tmp_path / "odd").mkdir()
    assert renew_index(tmp_path) == tmp_path / INDEX
    page = (tmp_path / INDEX).read_text()
    links = [unquote(one) for one in re.findall(r'href="([^"]+)"', page)]
    assert len(links) == 8, "two folders, a table, two reports, three pages of data"
    assert all((tmp_path / one).exists() for one in links)
    assert "2 runs, as of" in page
    assert "evaluate: the disk is full" in page
    assert "there is no run.json in it" in page
    assert (tmp_path / INDEX).stat().st_mode & 0o077 == 0
    assert "<script" not in page


def test_of_many_runs_the_newest_are_on_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "_MOST", 2)
    for day in range(1, 5):
        made_run(tmp_path, f"2024120{day}-100000-training")
    renew_index(tmp_path)
    page = (tmp_path / INDEX).read_text()
    assert re.findall(r"2024120\d-100000-training, 1:00", page) == [
        "20241204-100000-training, 1:00", "20241203-100000-training, 1:00",
    ]  # fmt: skip
    assert "There are 2 older ones" in page
    assert "4 runs, as of" in page


def test_a_page_that_cannot_be_written_is_said_and_no_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / INDEX).mkdir()
    (tmp_path / INDEX / "mine").touch()
    assert renew_index(tmp_path / "nothing") is None
    assert capsys.readouterr().err.startswith(f"note: {tmp_path}/nothing/{INDEX} is not up to date: ")


def test_a_page_of_somebody_else_stays_and_no_other_folder_gets_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert renew_index(tmp_path) is None
    assert not (tmp_path / INDEX).exists(), "it is no folder of runs"
    made_run(tmp_path, "20241201-100000-training")
    (tmp_path / INDEX).write_text("precious")
    assert renew_index(tmp_path) is None
    assert (tmp_path / INDEX).read_text() == "precious"
    assert "somebody else's" in capsys.readouterr().err
