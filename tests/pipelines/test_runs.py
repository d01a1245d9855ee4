"""``vqi runs``, ``vqi compare`` and ``vqi gc``, as a person types them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.pipelines.made_runs import made_run, remember
from vqi_pipelines.commands.group import vqi
from vqi_pipelines.local.folders import LATEST
from vqi_pipelines.local.run_record import NOTE_FILE, note_of, write_note
from vqi_pipelines.runs.index import INDEX

A, B = "20241201-100000-training", "20241202-100000-training"


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "runs"
    made_run(folder, A)
    made_run(folder, B, threshold=0.2, parameters={"target_fpr": 0.1})
    (folder / LATEST).symlink_to(B)
    monkeypatch.chdir(tmp_path)
    return folder


def type_in(*args: str) -> Result:
    return CliRunner().invoke(vqi, args)


def found(*args: str) -> Any:
    done = type_in(*args, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_the_list(runs: Path) -> None:
    write_note(runs / A, note_of("the \x1b[31mfirst", ["x", "base"]))
    (runs / "odd").mkdir()
    said = type_in("runs").stdout.splitlines()
    assert said[0].split() == [
        "run",
        "started",
        "(UTC)",
        "took",
        "state",
        "source",
        "categories",
        "mean",
        "AUROC",
        "gate",
        "note",
        "tags",
    ]
    assert said[1].split()[:6] == [B, "2024-12-01", "10:00", "1:00", "done", "folder:parts"]
    assert said[2].endswith("the \\x1b[31mfirst  base, x")
    assert said[3].startswith("odd is not listed: there is no run.json in it")


def test_the_list_for_programs_and_by_tag(runs: Path) -> None:
    write_note(runs / A, note_of("why", ["x", "base"]))
    assert [one["run"] for one in found("runs")["runs"]] == [B, A]
    (one,) = found("runs", "--tag", "base", "--tag", "x")["runs"]
    assert (one["run"], one["note"], one["tags"], one["state"]) == (A, "why", ["base", "x"], "done")
    assert one["categories"][0]["figures"]["image_auroc"] == 0.9
    assert one["categories"][0]["reasons"] == ["because", "so"]
    assert found("runs", "--tag", "base", "--tag", "y")["runs"] == []
    assert type_in("runs", "--tag", "y").stdout == "no runs with the tag y in runs\n"


def test_notes_and_tags_are_changed_and_the_page_with_them(runs: Path) -> None:
    assert type_in("runs", "note", "latest", "a larger network").stdout == f"{B}: a larger network\n"
    assert type_in("runs", "tag", "latest", "keep", "b").stdout == f"{B}: a larger network; tags: b, keep\n"
    assert "a larger network" in (runs / INDEX).read_text()
    assert type_in("runs", "tag", B, "b", "--remove").stdout == f"{B}: a larger network; tags: keep\n"
    done = type_in("runs", "tag", B, "kep", "--remove")
    assert (done.exit_code, done.stderr) == (2, f"error: unknown tag of {B} 'kep': did you mean 'keep'?\n")
    assert type_in("runs", "note", B, "").stdout == f"{B}: tags: keep\n"
    assert type_in("runs", "tag", B, "keep", "--remove").stdout == f"{B}: nothing is noted\n"


def test_a_comparison(runs: Path, tmp_path: Path) -> None:
    said = type_in("compare", A, "latest", "--html", "c.html").stdout
    lines = [line.split() for line in said.splitlines()]
    assert ["target_fpr", "0.05", "0.1"] in lines
    assert ["false", "alarms", "10.0", "%", "10.0", "%", "+50.0", "points", "[+0.0,", "+100.0]"] in lines
    assert "test/good/b.png  good        0.3 / 0.5             0.3 / 0.2             false alarm" in said
    assert "1 image of 4 with another verdict in B: 0 right in B alone, 1 right in A alone" in said
    assert said.endswith("page: c.html\n")
    assert "test/good/b.png" in (tmp_path / "c.html").read_text()
    plain = found("compare", A, B)
    assert plain["categories"][0]["changed"][0]["path"] == "test/good/b.png"
    done = type_in("compare", A, "latst")
    assert (done.exit_code, done.stderr) == (2, "error: unknown run 'latst': did you mean 'latest'?\n")


def test_what_goes_is_said_with_its_size(runs: Path) -> None:
    entry = remember(runs, "k", runs / A / "mono/preprocess", "images")
    options = ("gc", "--keep", "1", "--older-than", "0")
    said = type_in(*options, "--dry-run").stdout.splitlines()
    assert f"would remove what steps of {A} passed on (0.0 MB)" in said
    assert said[-3:] == [
        "would remove what the cache knows of results that are gone (1)", f"kept {B}: one of the newest",
        "in all: 0.0 MB would be freed",
    ]  # fmt: skip
    assert entry.exists()
    assert found(*options, "--dry-run")["bytes"] > 4000
    assert found(*options)["kept"] == [{"name": B, "why": "one of the newest"}]
    assert not entry.exists()
    assert type_in(*options, "--whole").stdout.startswith(f"removed run {A} (0.0 MB)\n")
    assert A not in (runs / INDEX).read_text()


@pytest.mark.parametrize("command", [["note", B, "x"], ["tag", B, "x"]])
def test_a_damaged_note_is_not_written_over(runs: Path, command: list[str]) -> None:
    (runs / B / NOTE_FILE).write_text("{")
    done = type_in("runs", *command)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert f"{B}/{NOTE_FILE}: Invalid JSON" in done.stderr
    assert (runs / B / NOTE_FILE).read_text() == "{"


@pytest.mark.parametrize("command", [["runs"], ["gc"], ["compare", A, B], ["runs", "note", A, "x"]])
def test_a_folder_that_is_not_there(command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = type_in(*command)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("error: runs: expected the folder of runs that 'vqi run' writes, got: ")
    assert done.stderr.count("\n") == 1
    assert not [*tmp_path.iterdir()]
