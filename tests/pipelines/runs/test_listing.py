"""The runs in a folder: what is known of each, and that nothing beside them breaks the list."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.pipelines.made_runs import made_run
from vqi.errors import VqiError
from vqi.system.locks import held_folder
from vqi_pipelines.local.folders import LATEST
from vqi_pipelines.local.run_record import NOTE_FILE, RUN_FILE, Note, note_of, read_note, write_note
from vqi_pipelines.local.state import RUNNING
from vqi_pipelines.runs.listing import find_run, run_at, runs_in

FIRST, SECOND = "20241201-100000-training", "20241202-100000-training"


def change(folder: Path, **changes: object) -> None:
    record = json.loads((folder / RUN_FILE).read_text())
    (folder / RUN_FILE).write_text(json.dumps(record | changes))


def test_the_newest_first_with_what_each_gave(tmp_path: Path) -> None:
    made_run(tmp_path, FIRST, ("mono", "poly"), verdict="held")
    change(made_run(tmp_path, SECOND, failed="mono/evaluate", state="failed"), started_at="2024-12-02T10:00:00+00:00")
    new, old = runs_in(tmp_path).runs
    assert (new.name, new.state, new.decided, new.mean_auroc) == (SECOND, "failed", "failed", None)
    assert new.categories[0].failure == "evaluate: the disk is full"
    assert (old.name, old.state, old.source, old.decided) == (FIRST, "done", "folder:parts", "2 held")
    assert old.mean_auroc == pytest.approx(0.9)
    mono = old.categories[0]
    assert (mono.name, mono.decided) == ("mono", "v2 held, v1 is used")
    assert (mono.report, mono.data_page) == ("mono/publish/decided_report.html", "mono/preprocess/data_page.html")
    assert old.seconds(datetime.now(UTC)) == 60.0


def test_a_category_that_was_not_trained_is_in_it(tmp_path: Path) -> None:
    run = run_at(made_run(tmp_path, unchanged=("wood",)))
    assert [(one.name, one.decided, one.report != "") for one in run.categories] == [
        ("mono", "v2 promoted", True), ("wood", "unchanged", False),
    ]  # fmt: skip
    assert run.decided == "1 promoted, 1 unchanged"


def test_what_is_no_run_is_named_with_the_reason(tmp_path: Path) -> None:
    made_run(tmp_path, FIRST)
    (tmp_path / "pictures").mkdir()
    for name, text in (("broken", "{"), ("other", '{"a": 1}')):
        (tmp_path / name).mkdir()
        (tmp_path / name / RUN_FILE).write_text(text)
    (tmp_path / ".cache").mkdir()
    (tmp_path / "a file").touch()
    (tmp_path / LATEST).symlink_to(FIRST)
    found = runs_in(tmp_path)
    assert [run.name for run in found.runs] == [FIRST]
    assert {one.name: one.why.partition(":")[0] for one in found.strangers} == {
        "pictures": f"there is no {RUN_FILE} in it", "broken": str(tmp_path / "broken" / RUN_FILE),
        "other": str(tmp_path / "other" / RUN_FILE),
    }  # fmt: skip


@pytest.mark.parametrize("damaged", ["mono/evaluate/task.json", "table.csv", NOTE_FILE])
def test_a_run_with_a_damaged_file_is_listed_with_what_is_known(tmp_path: Path, damaged: str) -> None:
    folder = made_run(tmp_path)
    (folder / damaged).write_text("{")
    run = runs_in(tmp_path).runs[0]
    assert damaged in run.problem
    assert run.record.parameters["source"] == "folder:parts"


def test_a_run_whose_steps_were_removed_by_hand_is_listed_without_figures(tmp_path: Path) -> None:
    folder = made_run(tmp_path)
    for path in sorted((folder / "mono").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (folder / "table.csv").unlink()
    run = run_at(folder)
    assert (run.problem, run.mean_auroc, run.categories[0].report) == ("", None, "")


def test_one_that_goes_on_and_one_that_was_killed(tmp_path: Path) -> None:
    folder = made_run(tmp_path, state=RUNNING)
    later = datetime(2024, 12, 1, 10, 5, tzinfo=UTC)
    with held_folder(folder):
        run = run_at(folder)
        assert (run.state, run.seconds(later)) == (RUNNING, timedelta(minutes=5).total_seconds())
    run = run_at(folder)
    assert (run.state, run.seconds(later)) == ("killed", None)


def test_the_time_of_a_run_of_an_earlier_vqi_is_in_its_name(tmp_path: Path) -> None:
    folder = made_run(tmp_path)
    record = json.loads((folder / RUN_FILE).read_text())
    del record["started_at"]
    (folder / RUN_FILE).write_text(json.dumps(record))
    assert run_at(folder).started == datetime(2024, 12, 1, 10, tzinfo=UTC)
    assert run_at(folder.rename(tmp_path / "mine")).started is None


def test_finding_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = made_run(tmp_path / "runs", FIRST)
    (tmp_path / "runs" / LATEST).symlink_to(FIRST)
    for name in (FIRST, LATEST, str(folder), str(tmp_path / "runs" / LATEST)):
        assert find_run(name, tmp_path / "runs").folder == folder
    monkeypatch.chdir(tmp_path)
    assert find_run(f"runs/{FIRST}", Path("elsewhere")).folder == folder
    with pytest.raises(VqiError, match=f"unknown run '20241201-100000': did you mean '{FIRST}'"):
        find_run("20241201-100000", tmp_path / "runs")
    with pytest.raises(VqiError, match="expected the name of a run"):
        find_run("nowhere/at-all", tmp_path / "runs")
    with pytest.raises(VqiError, match="expected the folder of runs that 'vqi run' writes"):
        find_run(FIRST, tmp_path / "nothing")


def test_notes_and_tags(tmp_path: Path) -> None:
    note = note_of("see  https://me:pass@host/a\nfor why", ["b", "a", "b"])
    assert note == Note(text="see https://***@host/a for why", tags=("a", "b"))
    write_note(tmp_path, note)
    assert read_note(tmp_path) == note
    assert (tmp_path / NOTE_FILE).stat().st_mode & 0o077 == 0
    write_note(tmp_path, Note())
    assert not (tmp_path / NOTE_FILE).exists()
    for tag in ("", "two words", "-x", "a" * 51, "a\n"):
        with pytest.raises(VqiError, match="expected up to 50 letters"):
            note_of("", [tag])
    with pytest.raises(VqiError, match="at most 2,000 characters, got 2,001"):
        note_of("x" * 2001, [])
