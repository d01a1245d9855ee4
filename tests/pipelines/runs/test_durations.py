"""What earlier runs say of how long steps take."""

from __future__ import annotations

import json
from pathlib import Path

from tests.pipelines.made_runs import made_run
from vqi_pipelines.local.run_record import RUN_FILE
from vqi_pipelines.runs.durations import expected_of

GIVEN = {"source": "folder:parts", "target_fpr": 0.05}


def change(folder: Path, label: str, **changes: object) -> None:
    record = json.loads((folder / RUN_FILE).read_text())
    record["tasks"][label] |= changes
    (folder / RUN_FILE).write_text(json.dumps(record))


def test_the_last_run_that_ran_a_step_counts(tmp_path: Path) -> None:
    old = made_run(tmp_path, "20241201-100000-training")
    new = made_run(tmp_path, "20241202-100000-training", failed="mono/publish", state="failed")
    change(old, "mono/pca-fit", seconds=30.0)
    change(new, "mono/pca-fit", state="cached", seconds=0.0)
    change(new, "mono/evaluate", seconds=7.0)
    (tmp_path / "no run").mkdir()
    found = expected_of(tmp_path, "training", GIVEN)
    assert (found["mono/pca-fit"], found["mono/evaluate"], found["mono/publish"]) == (30.0, 7.0, 10.0)


def test_runs_that_do_other_work_tell_nothing(tmp_path: Path) -> None:
    made_run(tmp_path)
    assert expected_of(tmp_path, "training", GIVEN | {"target_fpr": 0.1}), "that costs nothing"
    assert not expected_of(tmp_path, "training", GIVEN | {"layer": "x"})
    assert not expected_of(tmp_path, "other", GIVEN)
    assert not expected_of(tmp_path / "nothing", "training", GIVEN)


def test_secrets_are_compared_as_they_were_kept(tmp_path: Path) -> None:
    made_run(tmp_path, parameters={"url": "https://***@host/a"})
    assert expected_of(tmp_path, "training", GIVEN | {"url": "https://me:pass@host/a"})
