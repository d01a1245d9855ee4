"""The whole pipeline through the ``vqi`` command, as a user runs it."""

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.browser import Browser
from tests.cells import copy_elpv
from tests.end_to_end.whole_runs import CATEGORIES, FAST, run, scores_csv, table, task_states, vqi
from vqi.artifacts.scores import read_scores
from vqi_pipelines.commands.group import vqi as command

COLUMNS = (
    "category,test_images,image_auroc,image_auroc_low,image_auroc_high,pixel_auroc,aupro,threshold,target_fpr,accuracy,"
    "f1,false_alarm_rate,recall,oracle_accuracy,answered_train,answered_test,usable,usable_why"
)
HEADER = (
    "| Category | Can it be used? | Test images | Image AUROC | Accuracy at threshold | False alarms | Recall "
    "| Best possible accuracy (uses test labels) |"
)


def test_drawn_defects_are_found(trained: Path) -> None:
    row, other = table(trained)
    assert [row["category"], other["category"]] == CATEGORIES
    assert row["test_images"] == "16"
    assert float(row["image_auroc"]) > 0.9
    assert float(row["pixel_auroc"]) > 0.8
    assert float(row["aupro"]) > 0.5


def test_names_that_others_script_against(trained: Path) -> None:
    latest = trained / "runs" / "latest"
    assert latest.is_symlink()
    assert (latest / "table.csv").read_text().splitlines()[0] == COLUMNS
    assert (latest / "table.md").read_text().splitlines()[0] == HEADER
    assert "<script" not in (latest / "table.html").read_text()
    for category in CATEGORIES:
        steps = {path.name for path in (latest / category).iterdir() if path.is_dir()}
        assert steps >= {"preprocess", "ssl-finetune", "feature-extract", "pca-fit", "evaluate", "publish"}, steps
        (report,) = (latest / category).rglob("report.html")
        assert "<script" not in report.read_text()
    assert len(read_scores(scores_csv(trained, "bracket"))) == 16
    assert (trained / "store" / "models" / "parts" / "bracket" / "v1" / "manifest.json").is_file()


def test_the_report_is_self_contained(trained: Path) -> None:
    for report in (trained / "runs" / "latest").rglob("*.html"):
        html = report.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not [bad for bad in ("http://", "https://", "<script", "@import") if bad in html], report


def test_the_report_links_to_the_other_pages(trained: Path) -> None:
    report = trained / "runs" / "latest" / "bracket" / "publish" / "decided_report.html"
    links = dict(re.findall(r'<a href="(\.\./[^"]+)">([^<]+)</a>', report.read_text()))
    assert {*links.values()} >= {"Table of this run", "Data page", "All runs"}
    assert all((report.resolve().parent / address).is_file() for address in links), links


def test_everybody_can_read_the_pages_on_a_desk_and_on_a_phone(trained: Path, tmp_path: Path) -> None:
    latest = (trained / "runs" / "latest").resolve()
    pages = [page for folder in ("bracket", "summarize") for page in (latest / folder).rglob("*.html")]
    compared = vqi("compare", "latest", latest.name, "--html", tmp_path / "compared.html", cwd=trained)
    assert compared.returncode == 0, compared.stderr
    pages += [trained / "runs" / "index.html", tmp_path / "compared.html"]
    assert {page.name for page in pages} == {
        "report.html", "decided_report.html", "data_page.html", "table.html", "models.html", "index.html",
        "compared.html",
    }  # fmt: skip
    with Browser(tmp_path / "browser") as browser:
        for page in pages:
            for width, dark in ((1200, False), (390, True)):
                browser.open(page.as_uri(), width, dark=dark)
                assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth"), page
            assert browser.barriers() == [], page
        assert browser.troubles == []


def test_again_is_unchanged_or_cached_and_another_setting_is_not(trained: Path) -> None:
    before = table(trained)
    models = trained / "store" / "models" / "parts"
    again = run(trained, source="folder:parts", **FAST)
    assert again.returncode == 0, again.stderr
    why = "v1 was made of the same photographs, with the same parameters and code"
    assert f"report: {models}/bracket/v1/report.html\n" in again.stdout
    assert f"model: {models}/bracket/v1 (unchanged: {why})\n" in again.stdout
    assert task_states(trained) == {"dataset-download": "done", "summarize": "done"}
    assert table(trained) == before
    assert f"- bracket is unchanged: {why}\n" in (trained / "runs" / "latest" / "table.md").read_text()
    other = run(trained, source="folder:parts", **FAST | {"variance": 0.9}, categories='["fabric"]')
    assert other.returncode == 0, other.stderr
    states = task_states(trained)
    assert states["fabric/pca-fit"] == "done"
    assert [row["category"] for row in table(trained)] == ["fabric"]
    always = run(trained, source="folder:parts", **FAST, retrain_if="always")
    assert always.returncode == 0, always.stderr
    assert f"model: {models}/bracket/v1 (unchanged: an equal model is the champion)" in always.stdout
    assert table(trained) == before
    states = task_states(trained)
    ran = {name.rpartition("/")[2] for name, state in states.items() if state != "cached"}
    assert ran == {"dataset-download", "publish", "summarize"}, "those that ask the store"
    assert not (models / "bracket" / "v2").exists()


@pytest.fixture
def copied(trained: Path, tmp_path: Path) -> Path:
    """The same folder again, for what changes it."""
    for name in ("parts", "store", "runs"):
        shutil.copytree(trained / name, tmp_path / name, symlinks=True)
    return tmp_path


def test_only_the_category_that_changed_is_trained_and_gets_a_version(trained: Path, copied: Path) -> None:
    good = copied / "parts" / "bracket" / "train" / "good"
    shutil.copy(sorted((copied / "parts" / "bracket" / "test" / "good").iterdir())[0], good / "another.png")
    models = copied / "store" / "models" / "parts"
    versions = {path.relative_to(models) for path in models.glob("*/v*")}
    done = run(copied, source="folder:parts", **FAST)
    assert done.returncode == 0, done.stderr
    assert {name.partition("/")[0] for name in task_states(copied)} == {"dataset-download", "bracket", "summarize"}
    said = (copied / "runs" / "latest" / "dataset-download" / "log.txt").read_text()
    assert "bracket: since v1, which is used, its photographs changed (train/good: 1 new)\n" in said
    assert [row["category"] for row in table(copied)] == CATEGORIES
    assert table(copied)[1] == table(trained)[1]
    assert {path.relative_to(models) for path in models.glob("*/v*")} - versions == {Path("bracket/v2")}
    always = run(copied, source="folder:parts", **FAST, retrain_if="always")
    assert always.returncode == 0, always.stderr
    assert {path.relative_to(models) for path in models.glob("*/v*")} - versions == {Path("bracket/v2")}


def test_a_category_that_fails_leaves_the_others_table(copied: Path) -> None:
    for image in (copied / "parts" / "fabric" / "train" / "good").iterdir():
        image.write_bytes(b"no image")
    done = run(copied, source="folder:parts", **FAST, retrain_if="always")
    assert done.returncode == 2, done.stdout
    assert "\nfabric/preprocess failed: " in done.stdout
    assert "\n- fabric failed: did not finish: the log of its last step says why\n" in done.stdout
    first, second = table(copied)
    assert (first["category"], second["category"]) == ("bracket", "fabric")
    assert float(first["image_auroc"]) > 0.9
    assert {value for name, value in second.items() if name != "category"} == {""}
    again = vqi("step", copied / "runs" / "latest" / "summarize", cwd=copied)
    assert again.returncode == 0, again.stdout + again.stderr
    made = copied / "runs" / "latest" / "summarize" / "again" / "outputs" / "table" / "table.csv"
    assert made.read_text() == (copied / "runs" / "latest" / "table.csv").read_text()


def test_predict_gives_the_scores_of_evaluate(trained: Path) -> None:
    images = sorted((trained / "parts" / "bracket" / "test").rglob("*.png"))
    model = "store/models/parts/bracket/v1"
    done = vqi("predict", model, *images, "--format", "jsonl", "--maps", "overlays", cwd=trained)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    predicted = {row["path"].partition("bracket/")[2]: row for row in found}
    rows = read_scores(scores_csv(trained, "bracket"))
    assert set(predicted) == {row.path for row in rows}
    for row in rows:
        assert predicted[row.path]["score"] == pytest.approx(row.score, rel=1e-5)
        assert predicted[row.path]["decision"] == row.decision
    assert {trained / row["map"] for row in found} == set((trained / "overlays").glob("*.png"))
    assert len({row["map"] for row in found}) == len(images)


def test_without_test_images_the_model_is_built(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, row = table(trained)
    assert (row["category"], row["test_images"], row["target_fpr"]) == ("fabric", "0", "0.05")
    assert row["usable"] == "not known"
    assert float(row["threshold"]) > 0
    known = {"category", "test_images", "threshold", "target_fpr", "answered_train", "answered_test"}
    known |= {"usable", "usable_why"}
    empty = set(COLUMNS.split(",")) - known
    assert {name for name, value in row.items() if not value} == empty
    assert read_scores(scores_csv(trained, "fabric")) == []
    (report,) = (trained / "runs" / "latest" / "fabric").rglob("report.html")
    assert "nothing could be measured" in " ".join(report.read_text().split()).lower()
    image = next((trained / "parts" / "fabric").rglob("*.png"))
    monkeypatch.chdir(trained)
    predicted = CliRunner().invoke(
        command, ["predict", "store/models/parts/fabric/v1", str(image), "--format", "jsonl"]
    )
    assert predicted.exit_code == 0, predicted.stderr
    assert json.loads(predicted.stdout)["decision"] == 0


def test_slice_of_real_solar_cells(tmp_path: Path) -> None:
    """With the embedded weights and the default setting, but few images."""
    copy_elpv(tmp_path / "cells", ["poly"], train=24, good=12, defective=12)
    done = run(tmp_path, source="folder:cells")
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = table(tmp_path)
    assert (row["category"], row["test_images"]) == ("poly", "24")
    assert float(row["image_auroc"]) > 0.75
    assert (row["pixel_auroc"], row["aupro"]) == ("", "")  # no masks, nothing to measure


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"image_sise": 96}, "unknown parameter 'image_sise': did you mean 'image_size'?"),
        ({"variance": 2}, "variance: Input should be less than 1"),
        ({"image_size": "big"}, "image_size"),
    ],
)
def test_bad_parameters_fail_at_once(tmp_path: Path, parameters: dict[str, object], message: str) -> None:
    done = run(tmp_path, **parameters)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_step_that_fails_says_why(parts: Path, tmp_path: Path) -> None:
    done = run(tmp_path, source=f"folder:{parts}", group_by="shift", categories='["bracket"]', **FAST)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "group_by 'shift' is found in none of the" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
