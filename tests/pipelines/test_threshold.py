"""``vqi threshold``: the table of operating points, and a version with another threshold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.vqi.models.test_thresholds import publish
from vqi.models.category import Category
from vqi.models.champion import history, whoami
from vqi.store.opening import open_store
from vqi_pipelines.commands.group import vqi


@pytest.fixture
def model(tmp_path: Path) -> str:
    publish(open_store(str(tmp_path / "store")), tmp_path)
    return f"{tmp_path}/store/models/parts/mono"


def run(*args: object) -> Result:
    return CliRunner().invoke(vqi, ["threshold", *map(str, args)])


def test_the_table(model: str) -> None:
    done = run(model)
    assert done.exit_code == 0, done.output
    place, header, *rows = done.stdout.splitlines()
    assert place == f"{model}/v1"
    names = [
        "target_fpr",
        "threshold",
        "flagged of 1,000 good parts",
        "good images needed",
        "false alarms seen",
        "recall",
    ]
    at = [header.index(name) for name in [*names, "dent", "scratch"]]
    cells = [[row[start:end].strip() for start, end in zip([*at], [*at[1:], None], strict=True)] for row in rows]
    assert [row[0] for row in cells] == ["0.5 %", "1 %", "2 %", "5 %", "10 %"]
    assert [row[3] for row in cells] == ["199", "99", "49", "19", "9"]
    assert cells[3][2] == "50 (25 to 81)"
    assert rows[3].endswith("  in use")
    assert not rows[2].endswith("in use")
    assert [float(row[5].removesuffix(" %")) for row in cells] == sorted(
        float(row[5].removesuffix(" %")) for row in cells
    )
    assert all(len(row) == 8 and row[6].endswith("%") for row in cells)


def test_a_version_with_another_threshold(model: str) -> None:
    done = run(model, "--target-fpr", "0.02", "--by", "anna")
    assert done.exit_code == 0, done.output
    told, later = done.stdout.splitlines()[-2:]
    assert told == f"{model}/v2: promoted"
    assert "mono: v2 promoted: against v1; image AUROC " in done.stderr
    assert later == "a later run makes models for its own target_fpr: give it -p target_fpr=0.02, too"
    moves = history(Category(open_store(model)))
    assert [(one.version, one.by) for one in moves][1] == (2, "the gate, for anna")
    done = run(model)
    assert done.stdout.splitlines()[0] == f"{model}/v2"
    assert [row.endswith("in use") for row in done.stdout.splitlines()[2:]] == [False, False, True, False, False]


def test_for_programs(model: str) -> None:
    done = run(model, "--json")
    found = json.loads(done.stdout)
    assert (found["model"], found["target_fpr"], found["decision"]) == (f"file://{model}/v1", 0.05, None)
    point = found["operating_points"][3]
    assert {*point["recall_by_type"]} == {"dent", "scratch"}
    mean, low, high = point["expected_false_alarms"]
    assert 20 < low < mean < 50 < high < 90
    done = run(model, "--json", "--target-fpr", "0.03", "--gate", "manual")
    found = json.loads(done.stdout)
    assert [one["target_fpr"] for one in found["operating_points"]] == [0.005, 0.01, 0.02, 0.03, 0.05, 0.1]
    assert (found["decision"]["version"], found["decision"]["verdict"]) == (2, "held")
    run(model, "--target-fpr", "0.04")
    assert history(Category(open_store(model)))[-1].by == f"the gate, for {whoami()}"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("nowhere",), "no model at 'nowhere'"),
        (("MODEL", "--target-fpr", "0.05"), "v1 has the threshold of target_fpr 0.05: name another rate"),
        (("MODEL", "--target-fpr", "1"), "1.0 is not in the range 0<x<1"),
        (("MODEL", "--target-fpr", "few"), "'few' is not a valid float"),
    ],
)
def test_bad_input(model: str, args: tuple[str, ...], message: str) -> None:
    done = run(*(model if one == "MODEL" else one for one in args))
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert Category(open_store(model)).complete() == [1]
