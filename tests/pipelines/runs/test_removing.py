"""What goes of old runs, and what nobody may lose."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.pipelines.made_runs import SIZE, made_run, remember
from vqi.system.locks import held_folder
from vqi_pipelines.commands import gc
from vqi_pipelines.compiled import pipeline_to_run
from vqi_pipelines.ir import read_ir
from vqi_pipelines.local.folders import LATEST
from vqi_pipelines.local.run_record import RUN_FILE, note_of, write_note
from vqi_pipelines.runs import removing
from vqi_pipelines.runs.comparing import compare
from vqi_pipelines.runs.listing import run_at, runs_in
from vqi_pipelines.runs.removing import PASSED_ON, Found, collect, look

NAMES = tuple(f"2024120{day}-100000-training" for day in range(1, 5))
NOW = datetime(2024, 12, 20, tzinfo=UTC)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for name in NAMES:
        made_run(tmp_path, name)
    (tmp_path / LATEST).symlink_to(NAMES[-1])
    return tmp_path


def removed(found: Found) -> set[str]:
    return {one.path for one in found.removed}


def test_what_steps_passed_on_goes_and_what_people_read_stays(runs: Path) -> None:
    before = run_at(runs / NAMES[0])
    found = collect(look(runs, keep=2, now=NOW))
    assert removed(found) == {f"{name}/mono/{step}/{path}" for name in NAMES[:2] for step, path in PASSED_ON.items()}
    assert found.bytes == 2 * len(PASSED_ON) * SIZE
    assert not any((runs / path).exists() for path in removed(found))
    assert found.kept == dict.fromkeys(NAMES[2:], "one of the newest")
    assert run_at(runs / NAMES[0]) == before
    assert compare(before, run_at(runs / NAMES[3])).categories[0].matched_by == "their contents"
    assert not look(runs, keep=2, now=NOW).removed


def test_whole_runs(runs: Path) -> None:
    found = look(runs, whole=True, keep=1, now=NOW)
    assert (removed(found), found.bytes > 3 * len(PASSED_ON) * SIZE) == ({*NAMES[:3]}, True)
    assert len(runs_in(runs).runs) == 4, "looking changes nothing"
    collect(found)
    assert [run.name for run in runs_in(runs).runs] == [NAMES[3]]
    assert {one.name for one in runs.iterdir()} == {NAMES[3], LATEST}


@pytest.mark.parametrize("whole", [True, False])
def test_what_somebody_wants_or_what_goes_on_is_not_touched(runs: Path, whole: bool) -> None:
    write_note(runs / NAMES[0], note_of("", ["keep"]))
    write_note(runs / NAMES[1], note_of("the one with the new lens", []))
    write_note(runs / NAMES[3], note_of("", ["candidate"]))
    (runs / "pictures").mkdir()
    with held_folder(runs / NAMES[2]):
        found = look(runs, whole=whole, keep=0, age=timedelta(), now=NOW)
    assert not found.removed
    assert found.kept.pop("pictures").startswith("it is no run: ")
    assert found.kept == {
        NAMES[0]: "it has the tag keep", NAMES[1]: "somebody noted something on it", NAMES[2]: "it goes on",
        NAMES[3]: "one of the newest",
    }  # fmt: skip


def test_what_is_young_stays(runs: Path) -> None:
    started = datetime(2024, 12, 1, 10, tzinfo=UTC)  # of all of them
    young = look(runs, keep=0, now=started + timedelta(days=7) - timedelta(seconds=1))
    assert {why for name, why in young.kept.items() if name != NAMES[3]} == {"younger than 7 days"}
    assert len(look(runs, keep=0, now=started + timedelta(days=7)).removed) == 3 * len(PASSED_ON)


def test_what_is_wanted_since_one_looked_stays(runs: Path) -> None:
    found = look(runs, whole=True, keep=1, now=NOW)
    write_note(runs / NAMES[0], note_of("", ["keep"]))
    with held_folder(runs / NAMES[1]):
        done = collect(found)
    assert removed(done) == {NAMES[2]}
    assert (done.kept[NAMES[0]], done.kept[NAMES[1]]) == ("it has the tag keep", "it goes on")


def test_a_run_whose_note_cannot_be_read_stays(runs: Path) -> None:
    (runs / NAMES[0] / "note.json").write_text("{")
    found = look(runs, whole=True, keep=1, now=NOW)
    assert NAMES[0] not in removed(found)
    assert "it is not known whether somebody wants it" in found.kept[NAMES[0]]


def test_a_file_that_runs_share_frees_its_space_with_the_last_of_them(runs: Path) -> None:
    path = f"mono/feature-extract/{PASSED_ON['feature-extract']}"
    for name in NAMES[1:]:
        (runs / name / path).unlink()
        os.link(runs / NAMES[0] / path, runs / name / path)
    found = look(runs, keep=1, now=NOW)
    freed = {one.path: one.bytes for one in found.removed}
    assert [freed[f"{name}/{path}"] for name in NAMES[:3]] == [0, 0, 0], "the newest run has it"
    assert found.bytes == 3 * (len(PASSED_ON) - 1) * SIZE
    (runs / NAMES[3] / path).unlink()
    assert sum(one.bytes for one in look(runs, keep=1, now=NOW).removed if one.path.endswith(path)) == SIZE


@pytest.mark.parametrize("whole", [True, False])
def test_the_cache_forgets_what_goes_and_what_is_gone(runs: Path, whole: bool) -> None:
    goes = [
        remember(runs, "images", runs / NAMES[0] / "mono/preprocess", "images"),
        remember(runs, "features", runs / NAMES[0] / "mono/feature-extract", "features"),
        remember(runs, "of-no-run", runs / "removed by hand/mono/pca-fit", "detector"),
    ]
    (goes[0].parent / "damaged.json").write_text("{")
    stays = [
        remember(runs, "newest", runs / NAMES[3] / "mono/preprocess", "images"),
        remember(runs, "in-a-store", runs / "removed by hand/mono/pca-fit", "s3://bucket/detector"),
    ]
    read = remember(runs, "scores", runs / NAMES[0] / "mono/evaluate", "scores")
    collect(look(runs, whole=whole, keep=1, now=NOW))
    assert {*goes[0].parent.iterdir()} == {*stays, *([] if whole else [read])}


def test_what_a_removal_that_was_killed_left_goes(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(removing.shutil, "rmtree", killed)
        collect(look(runs, whole=True, keep=3, now=NOW))
    assert len(runs_in(runs).runs) == 3
    assert not runs_in(runs).strangers
    found = collect(look(runs, keep=3, now=NOW))
    assert [one.kind for one in found.removed] == ["rest"]
    assert not [one for one in runs.iterdir() if one.name.startswith(".tmp-")]


def test_what_is_passed_on_is_what_the_pipeline_passes_on() -> None:
    pipeline = read_ir(pipeline_to_run())
    components = pipeline.components
    made = {
        task.name: {*components[task.component].output_artifacts}
        for dag in (one.dag for one in components.values() if one.dag)
        for task in dag.tasks.values()
    }
    for step, path in PASSED_ON.items():
        assert path.partition("/")[0] in made[step]


def test_the_defaults_of_the_command() -> None:
    assert (gc.NEWEST, timedelta(days=gc.DAYS)) == (removing.NEWEST, removing.AGE)


def test_what_others_left_is_not_taken_for_a_removal_that_broke_off(runs: Path) -> None:
    theirs, ours = runs / ".tmp-mine", runs / ".tmp-run-1"
    for folder in (theirs, ours):
        folder.mkdir()
        (folder / "thesis.txt").write_text("precious")
    assert removed(collect(look(runs, keep=4, now=NOW))) == {ours.name}
    assert (theirs / "thesis.txt").exists()


def test_a_run_that_was_killed_gives_back_what_its_steps_passed_on(runs: Path) -> None:
    record = runs / NAMES[0] / RUN_FILE
    record.write_text(json.dumps(json.loads(record.read_text()) | {"state": "running", "tasks": {}}))
    assert removed(look(runs, keep=3, now=NOW)) == {
        f"{NAMES[0]}/mono/{step}/{path}" for step, path in PASSED_ON.items()
    }


def test_what_cannot_be_removed_costs_nothing_else(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    delete = removing._delete

    def refuse(path: Path) -> None:
        if NAMES[0] in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        delete(path)

    monkeypatch.setattr(removing, "_delete", refuse)
    found = collect(look(runs, keep=2, now=NOW))
    assert {path.partition("/")[0] for path in removed(found)} == {NAMES[1]}
    assert len(found.failed) == len(PASSED_ON)
    assert found.kept[NAMES[0]].startswith("it cannot be removed: ")
