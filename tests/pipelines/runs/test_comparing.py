"""Two runs compared: what differs, on which images, and what the figures' changes are worth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.pipelines.made_runs import SCORES, made_run
from vqi.errors import VqiError
from vqi.pages.comparison_page import Comparison, comparison_page
from vqi_pipelines.local.run_record import RUN_FILE
from vqi_pipelines.local.task_record import ArtifactRecord, read_task, write_task
from vqi_pipelines.runs.comparing import compare
from vqi_pipelines.runs.listing import run_at

A, B = "20241201-100000-training", "20241202-100000-training"


def compared(a: Path, b: Path) -> Comparison:
    return compare(run_at(a), run_at(b))


def test_settings_figures_and_verdicts(tmp_path: Path) -> None:
    a = made_run(tmp_path, A, parameters={"gone": 1, "layer": ["x"]})
    b = made_run(tmp_path, B, parameters={"target_fpr": 0.1, "layer": ["x"]}, threshold=0.2)
    found = compared(a, b)
    assert [(one.name, one.a, one.b) for one in found.settings] == [
        ("gone", "1", "not a parameter"), ("target_fpr", "0.05", "0.1"),
    ]  # fmt: skip
    mono = found.categories[0]
    assert (mono.both, mono.only_a, mono.only_b, mono.relabelled, mono.matched_by) == (4, 0, 0, 0, "their contents")
    assert [(one.path, one.told, one.score_a, one.score_b) for one in mono.changed] == [
        ("test/good/b.png", "false alarm", 0.3, 0.3)
    ]
    changes = {one.name: one.change for one in mono.figures if one.change}
    assert changes["false alarms"].value == pytest.approx(0.5), "of two good images one is flagged now"
    assert (changes["image AUROC"].value, changes["image AUROC"].low) == (0, None), "the scores are the same"
    page = comparison_page(found)
    assert "test/good/b.png" in page
    assert "<script" not in page


def test_images_are_matched_by_contents_where_they_have_other_names(tmp_path: Path) -> None:
    a = made_run(tmp_path, A)
    b = made_run(tmp_path, B, scores={name.replace("bad/", "bad/day2/"): score for name, score in SCORES.items()})
    mono = compared(a, b).categories[0]
    assert (mono.both, mono.only_a, mono.only_b) == (4, 0, 0)
    (b / "mono/preprocess/images/index.csv").unlink()
    mono = compared(a, b).categories[0]
    assert (mono.both, mono.only_a, mono.only_b) == (2, 2, 2)
    assert "an index of the images is gone" in mono.matched_by
    assert "2 in A alone, 2 in B alone" in mono.told[1]


def test_copies_are_images_of_their_own(tmp_path: Path) -> None:
    copies = SCORES | {"good/day2/a.png": 0.2, "bad/a.png": 0.2}  # two more of the same contents
    a, b = made_run(tmp_path, A, scores=copies), made_run(tmp_path, B, scores=copies | {"good/day2/a.png": 0.7})
    mono = compared(a, b).categories[0]
    assert (mono.both, mono.only_a, mono.only_b, mono.relabelled) == (6, 0, 0, 0)
    assert [one.path for one in mono.changed] == ["test/good/day2/a.png"]
    fewer = made_run(tmp_path, "20241203-100000-training")
    mono = compared(a, fewer).categories[0]
    assert (mono.both + mono.relabelled, mono.only_a, mono.only_b) == (4, 2, 0)


def test_images_of_one_run_alone_and_with_other_labels_are_counted_and_left_out(tmp_path: Path) -> None:
    a = made_run(tmp_path, A, scores=SCORES | {"good/e.png": 0.2})
    b = made_run(tmp_path, B, scores={"bad/a.png": 0.9, "good/b.png": 0.3, "bad/c.png": 0.8, "bad/f.png": 0.9})
    mono = compared(a, b).categories[0]
    assert (mono.both, mono.only_a, mono.only_b, mono.relabelled) == (2, 2, 1, 1)
    assert not mono.changed
    assert mono.told[0] == "0 images of 2 with another verdict in B"


def test_the_interval_of_a_change_holds_it(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    good = {f"good/{place}.png": float(value) for place, value in enumerate(draw.normal(0, 1, 80))}
    bad = {f"bad/x{place}.png": float(value) for place, value in enumerate(draw.normal(1, 1, 80))}
    better = {name: score + 1 for name, score in bad.items()}
    found = compared(made_run(tmp_path, A, scores=good | bad), made_run(tmp_path, B, scores=good | better))
    for name in ("image AUROC", "recall"):
        change = next(one.change for one in found.categories[0].figures if one.name == name)
        assert change is not None
        assert change.low is not None
        assert change.high is not None
        assert 0 < change.low < change.value < change.high < 1, name
    changed = found.categories[0].changed
    assert {one.told for one in changed} == {"defect caught"}
    assert [one.score_b for one in changed] == sorted((one.score_b for one in changed), reverse=True)


def test_a_category_of_one_run_alone_and_one_that_was_not_trained(tmp_path: Path) -> None:
    found = compared(made_run(tmp_path, A, ("mono", "poly")), made_run(tmp_path, B, ("wood",), unchanged=("mono",)))
    assert (found.only_a, found.only_b) == (("poly",), ("wood",))
    assert found.categories[0].told == [
        "images are not compared: B did not train it: the figures are of a model that was there"
    ]
    assert "not compared" in comparison_page(found)


def test_scores_that_are_gone_cost_the_images_alone(tmp_path: Path) -> None:
    a, b = made_run(tmp_path, A), made_run(tmp_path, B)
    (a / "mono/evaluate/scores/scores.csv").unlink()
    mono = compared(a, b).categories[0]
    assert "scores.csv: expected a table of scores" in mono.note
    assert mono.figures[0].a == 0.9


def test_artifacts_that_went_through_an_object_store(tmp_path: Path) -> None:
    a, b = made_run(tmp_path, A), made_run(tmp_path, B, threshold=0.2)
    for step, artifact in (("evaluate", "scores"), ("preprocess", "images")):
        folder = a / "mono" / step
        place = tmp_path / "objects" / artifact
        place.parent.mkdir(exist_ok=True)
        (folder / artifact).rename(place)
        record = read_task(folder)
        moved = ArtifactRecord(location=f"file://{place}", digest="0", files=("f",))
        write_task(folder, record.model_copy(update={"output_artifacts": {artifact: moved}}))
    mono = compared(a, b).categories[0]
    assert (mono.both, mono.matched_by, len(mono.changed)) == (4, "their contents", 1)


def test_another_dataset_and_other_code_are_settings(tmp_path: Path) -> None:
    runs = [made_run(tmp_path, name) for name in (A, B)]
    for number, run in enumerate(runs):
        path = run / "mono" / "publish" / "task.json"
        noted = {"recipe": f"same.code{number}", "dataset": f"file:///store/datasets/parts@{number}"}
        path.write_text(json.dumps(json.loads(path.read_text()) | {"parameters": noted}))
    assert [(one.name, one.a, one.b) for one in compared(*runs).settings] == [
        ("dataset", "parts@0", "parts@1"), ("code of vqi", "code0", "code1"),
    ]  # fmt: skip


def test_a_run_without_figures_is_refused(tmp_path: Path) -> None:
    a, b = made_run(tmp_path, A), made_run(tmp_path, B, failed="mono/preprocess", state="failed")
    with pytest.raises(VqiError, match=f"{B}: expected a run of the training pipeline with figures, got one without"):
        compared(a, b)
    (a / "mono" / "evaluate" / "task.json").write_text("{")
    with pytest.raises(VqiError, match=f"{A}: .*task.json"):
        compared(a, b)
    assert (a / RUN_FILE).exists()
