"""What ``vqi run`` prints at its end about the results of a training run."""

import io
from pathlib import Path
from typing import Any

import pytest

from tests.pipelines.made_runs import made_run
from tests.vqi.made import data_report
from vqi.artifacts.catalog import Catalog, CategoryEntry
from vqi.artifacts.changes import CategoryChange, Changes
from vqi.artifacts.data_report import write_data_report
from vqi.artifacts.decision import Decision
from vqi.artifacts.left_out import LeftOut, Unreadable
from vqi_pipelines.local.progress import PlainLines, closing_lines
from vqi_pipelines.local.run_record import read_run
from vqi_pipelines.local.state import CACHED, DONE, FAILED, RUNNING, RunState
from vqi_pipelines.local.task_record import ArtifactRecord, TaskRecord, read_task, write_task
from vqi_pipelines.results import results_of


def done(outputs: dict[str, Any]) -> TaskRecord:
    return TaskRecord(
        task="t", component="c", state=DONE, cached=False, message="", parameters={}, input_artifacts={},
        output_parameters=outputs, output_artifacts={}, started_at="", seconds=1.0, exit_code=0, start=None,
    )  # fmt: skip


def run_of(folder: Path) -> RunState:
    """The state of a run that left this folder."""
    record = read_run(folder)
    run = RunState(folder.name, folder, "training", {}, PlainLines(io.StringIO()), state=record.state)
    for place, (label, told) in enumerate(record.tasks.items()):
        run.task(label, (place,)).state = told.state
    return run


def ended(folder: Path, state: str) -> RunState:
    run = RunState("run-1", folder, "training", {}, PlainLines(io.StringIO()))
    for place, category in enumerate(("mono", "poly")):
        for step, end in (("evaluate", CACHED), ("publish", state if category == "poly" else DONE)):
            task = run.task(f"{category}/{step}", (place,))
            task.folder.mkdir(parents=True)
            run.change(task, RUNNING)
            run.change(task, end)
            uri = f"file:///store/{category}/v1"
            decision = Decision(
                published=True,
                model=uri,
                version=1,
                verdict="promoted",
                reasons=("it is the first one", "and good"),
                champion=1,
            ).model_dump_json()
            write_task(task.folder, done({"decision": decision} if step == "publish" else {}))
            if step == "evaluate":
                (task.folder / "report.html").touch()
    run.state = state
    return run


def test_table_pages_and_models(tmp_path: Path) -> None:
    folder = made_run(tmp_path, categories=("mono", "poly"), unchanged=("wood",))
    (folder / "table.html").touch()
    (folder / "table.md").write_text("| Category |\n| --- |\n| mono |\n\n- poly: operators on v1: 3 answers\n")
    lines = results_of(run_of(folder))
    assert lines == [
        "",
        "Category  Usable  Test images  Image AUROC  Recall  False alarms  Promised  Decision",
        "---------------------------------------------------------------------------------------",
        "mono      no                4        0.900  80.0 %        10.0 %       5 %  v2 promoted",
        "poly      no                4        0.900  80.0 %        10.0 %       5 %  v2 promoted",
        "wood      no                4        0.900  80.0 %        10.0 %       5 %  unchanged",
        "---------------------------------------------------------------------------------------",
        "Mean                                 0.900  80.0 %        10.0 %",
        "",
        "- poly: operators on v1: 3 answers",
        f"table: {folder}/table.html",
        *(f"report: {folder}/{name}/publish/decided_report.html" for name in ("mono", "poly")),
        *(f"data: {folder}/{name}/preprocess/data_page.html" for name in ("mono", "poly")),
        *(f"model: /store/{name}/v2 (promoted: because; so)" for name in ("mono", "poly")),
        "score new images with one: vqi predict MODEL IMAGE...",
    ]
    run = run_of(folder)
    assert closing_lines(run, results_of)[-len(lines) :] == lines
    assert not any("model" in line for line in closing_lines(run)), "the backend knows no pipeline's results by itself"


def test_a_category_that_failed_is_in_the_table(tmp_path: Path) -> None:
    lines = results_of(run_of(made_run(tmp_path, categories=("mono", "poly"), failed="poly/evaluate")))
    assert [line.split() for line in lines[3:5]] == [
        ["mono", "no", "4", "0.900", "80.0", "%", "10.0", "%", "5", "%", "v2", "promoted"],
        ["poly", *["–"] * 6, "failed"],
    ]


def test_pages_in_an_object_store_have_their_address_there(tmp_path: Path) -> None:
    folder = made_run(tmp_path)
    step = folder / "mono" / "publish"
    (step / "decided_report.html").unlink()
    made = {"decided_report": ArtifactRecord(location="s3://bucket/decided_report.html", digest="0")}
    write_task(step, read_task(step).model_copy(update={"output_artifacts": made}))
    assert "report: s3://bucket/decided_report.html" in results_of(run_of(folder))


def test_figures_that_cannot_be_read_are_said(tmp_path: Path) -> None:
    folder = made_run(tmp_path)
    (folder / "mono" / "evaluate" / "task.json").write_text("{")
    assert results_of(run_of(folder))[0].startswith(f"the figures cannot be shown: {folder}/mono/evaluate/task.json: ")


def test_a_report_with_the_decision_takes_the_place_of_the_one_without(tmp_path: Path) -> None:
    run = ended(tmp_path, DONE)
    (tmp_path / "poly" / "publish" / "decided_report.html").touch()
    assert [line for line in results_of(run) if line.startswith("report")] == [
        f"report: {tmp_path}/mono/evaluate/report.html", f"report: {tmp_path}/poly/publish/decided_report.html",
    ]  # fmt: skip


def test_warnings_of_the_images_come_first(tmp_path: Path) -> None:
    run = ended(tmp_path, DONE)
    for place, (category, said) in enumerate((("mono", ("all black", "all flat")), ("poly", ()))):
        task = run.task(f"{category}/preprocess", (place, 1))
        task.folder.mkdir(parents=True)
        run.change(task, DONE)
        bad = Unreadable(path="train/good/z.png", reason="a link to nowhere")
        report = data_report(category=category, image_warnings=said, unreadable=(bad,) * len(said))
        write_data_report(task.folder / "data_report", report)
    assert results_of(run)[:3] == [
        f"unreadable: mono: 2 of {report.images + 2} images, left out, for example train/good/z.png: a link to nowhere",
        "warning: mono: all black",
        "warning: mono: all flat",
    ]
    (tmp_path / "mono" / "preprocess" / "data_report").write_text("of another pipeline")
    assert not [line for line in results_of(run) if line.startswith("warning")]


def test_of_a_failed_run_what_there_is(tmp_path: Path) -> None:
    said = results_of(ended(tmp_path, FAILED))
    assert [line.partition(":")[0] for line in said] == ["report", "report", "model", "score new images with one"]


def test_what_was_left_out_of_the_dataset(tmp_path: Path) -> None:
    run = ended(tmp_path, DONE)
    task = run.task("dataset-download", (0,))
    task.folder.mkdir()
    run.change(task, RUNNING)
    run.change(task, DONE)
    artifact = ArtifactRecord(location="catalog", digest="")
    write_task(task.folder, done({}).model_copy(update={"output_artifacts": {"catalog": artifact}}))
    left = [
        LeftOut(category=category, reason="kind", files=2, endings={".dng": 2}, examples=(f"{category}/a.dng",))
        for category in ("mono", "poly")
    ]
    entry = CategoryEntry(bytes=1, sha256="", files={}, image_sizes={})
    catalog = Catalog(
        name="d", source="folder:d", digest="", licence=None, categories={"mono": entry}, left_out=tuple(left)
    )
    (task.folder / "catalog").write_text(catalog.model_dump_json())
    assert results_of(run)[0] == (
        "left out: 4 photographs of a kind that is not read (.dng 4), for example mono/a.dng; save as PNG, JPEG or TIFF"
    )
    (task.folder / "catalog").write_text("{")
    assert results_of(run)[0].startswith("left out: not known: ")


@pytest.mark.parametrize("other", [{}, {"decision": "yes"}, {"decision": '{"model": "m"}'}, {"decision": {"model": 1}}])
def test_a_publish_that_decides_something_else_is_left_out(other: dict[str, Any], tmp_path: Path) -> None:
    run = ended(tmp_path, DONE)
    write_task(tmp_path / "poly" / "publish", done(other))
    found = [line for line in results_of(run) if line.startswith("model: ")]
    assert found == ["model: /store/mono/v1 (promoted: it is the first one; and good)"]


def test_unchanged_categories_have_the_model_and_the_report_that_are_there(tmp_path: Path) -> None:
    run = ended(tmp_path, DONE)
    task = run.task("dataset-download", (0,))
    task.folder.mkdir(parents=True)
    run.change(task, DONE)
    same = CategoryChange(
        category="wood",
        trained=False,
        why="the same",
        version=3,
        model="file:///store/wood/v3",
        photographs={},
        row=None,
    )
    changes = Changes(categories=(same, same.model_copy(update={"category": "mono", "trained": True})))
    (task.folder / "changes").write_text(changes.model_dump_json())
    record = done({}).model_copy(
        update={"output_artifacts": {"changes": ArtifactRecord(location="changes", digest="")}}
    )
    write_task(task.folder, record)
    lines = results_of(run)
    assert "report: /store/wood/v3/report.html" in lines
    assert lines[-2:] == [
        "model: /store/wood/v3 (unchanged: the same)", "score new images with one: vqi predict MODEL IMAGE..."
    ]  # fmt: skip
    assert len([line for line in lines if line.startswith("model: ")]) == 3
