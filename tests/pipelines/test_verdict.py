"""``vqi verdict``: what operators say is kept, listed, taken back and counted; what is wrong is one clear line."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.vqi.made import metrics
from tests.vqi.models.packages import package
from tests.vqi.verdicts.made import photograph
from vqi.artifacts.metrics import write_metrics
from vqi.digests import sha256_bytes
from vqi.models import loading
from vqi.models.champion import whoami
from vqi.models.registry import publish
from vqi.store.folder import FolderStore
from vqi_pipelines.commands.group import vqi


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: a store with a model whose threshold is 1, and photographs that it scores with 2."""
    files = package(tmp_path / "packages", 1)
    write_metrics(files["metrics"], metrics(threshold=1.0, target_fpr=0.02, category="mono"))
    publish(FolderStore(tmp_path / "store"), **files)
    monkeypatch.chdir(tmp_path)
    for value in (1, 2):
        Path(f"p{value}.png").write_bytes(photograph(value))
    Path("text.png").write_text("no photograph")

    def load(uri: str) -> Any:
        assert uri.endswith("models/parts/mono/v1")
        return SimpleNamespace(score=lambda image: SimpleNamespace(score=2.0, threshold=1.0) if image.read() else None)

    monkeypatch.setattr(loading, "load", load)
    return tmp_path


MODEL = "store/models/parts/mono"


def run(*args: object) -> Result:
    return CliRunner().invoke(vqi, ["verdict", *map(str, args)])


def said(*args: object) -> str:
    done = run(*args)
    assert done.exit_code == 0, done.output
    return done.stdout


def refused(*args: object) -> list[str]:
    """The lines on stderr, all of them errors."""
    done = run(*args)
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_an_answer_and_what_is_said_of_it(place: Path) -> None:
    assert said(MODEL, "p1.png", "good") == f"p1.png: good, false alarm of v1, by {whoami()}\n"
    assert "kept before, nothing was written" in said(MODEL, "p1.png", "good")
    lines = said(f"{MODEL}/v1", "p1.png", "defect:scratch", "--by", "bob").splitlines()
    assert lines == [
        "p1.png: defect:scratch, true defect of v1, by bob",
        f"people disagree: good by {whoami()}, defect:scratch by bob; the last one counts, and it does not train",
    ]
    assert said(MODEL, "p2.png", "defect", "--score", "0.5", "--digest-only").startswith(
        "p2.png: defect, missed defect of v1"
    )
    listed = said(MODEL, "--list").splitlines()
    assert [line.split()[:2] for line in listed] == [
        ["photograph", "verdict"], ["p1.png", "defect:scratch"], ["p1.png", "good"], ["p2.png", "defect"],
    ]  # fmt: skip
    assert "people disagree" in listed[1]
    assert "missed defect" in listed[3]
    assert listed[3].split()[-2] == "digest"
    as_json = json.loads(said(MODEL, "--list", "--json"))
    assert [one["disagree"] for one in as_json] == [True, False]
    assert as_json[0]["standing"][-1]["photograph"] == f"{sha256_bytes(photograph(1))}.png"


def test_taken_back(place: Path) -> None:
    said(MODEL, "p1.png", "good")
    said(MODEL, "p1.png", "defect")
    assert f"good by {whoami()} counts now" in said(MODEL, "p1.png", "--take-back")
    digest = sha256_bytes(photograph(1))
    assert "nothing stands now" in said(MODEL, digest, "--take-back")
    (line,) = refused(MODEL, "p1.png", "--take-back")
    assert line == f"error: p1.png: no verdict by {whoami()} to take back: there is none at all"


def test_a_second_opinion_by_digest(place: Path) -> None:
    digest = sha256_bytes(photograph(1))
    (line,) = refused(MODEL, digest, "good")
    assert line == f"error: {digest}: no verdict on a photograph of that digest: name its file, which is then scored"
    said(MODEL, "p1.png", "good")
    done = json.loads(said(MODEL, digest, "good", "--by", "bob", "--json"))
    assert (done["verdict"]["score"], done["verdict"]["name"], done["new"]) == (2.0, "p1.png", True)


def test_a_table_and_the_summary(place: Path) -> None:
    Path("rows.csv").write_text("path,score,threshold,verdict\np1.png,2,1.0,good\np2.png,0.5,1.0,good\n")
    assert said(MODEL, "--from", "rows.csv") == "rows.csv: 2 verdicts kept; 0 were known; 0 rows have none\n"
    lines = said("store", "--summary").splitlines()
    assert lines[1].split()[:9] == ["parts/mono", "v1", "2", "1", "0", "0", "1", "0", "0"]
    assert "50.0 % [1.3, 98.7 %] (1 of 2)" in lines[1]
    assert lines[1].endswith("2.0 %     2")
    assert "2.0 % [0.1, 10.6 %] (1 of 50)" in said(MODEL, "--summary", "--scored", "50").splitlines()[1]
    (only,) = json.loads(said(MODEL, "--summary", "--json"))
    assert only["false_alarm_rate"]["hits"] == 1


def test_what_models_show_says_of_it(place: Path) -> None:
    def shown(model: str) -> list[str]:
        done = CliRunner().invoke(vqi, ["models", "show", model])
        assert done.exit_code == 0, done.output
        return [line.strip() for line in done.stdout.splitlines()]

    assert not [line for line in shown(MODEL) if "operators" in line]
    Path("rows.csv").write_text("path,score,verdict\np1.png,2,good\np2.png,2,unclear\n")
    said(MODEL, "--from", "rows.csv")
    lines = shown(MODEL)
    at = next(number for number, line in enumerate(lines) if line.startswith("operators"))
    assert lines[at].split(maxsplit=1)[1] == "2 answered: 1 false alarm, 1 unclear"
    assert lines[at + 1] == (
        "of the alarms 100.0 % [2.5, 100.0 %] (1 of 1) were false; 2.0 % of good parts are promised, which holds from "
        "2 scored good parts on"
    )
    Path("store/verdicts/parts/mono/imports/x.jsonl").write_text("{}\n")
    assert any("x.jsonl, line 1: " in line for line in shown(MODEL))
    Path("store/models/parts/mono").rename("elsewhere")  # not in a store
    assert shown("elsewhere/v1")


def test_the_bad_rows_of_a_table(place: Path) -> None:
    rows = "".join(f"p{number}.png,2,good\n" for number in range(1, 31))
    Path("rows.csv").write_text("path,score,verdict\n" + rows)
    lines = [line for line in refused(MODEL, "--from", "rows.csv") if line.startswith("error: ")]
    assert lines[0].startswith("error: line 4: cannot read p3.png: No such file")
    assert len(lines) == 22
    assert lines[-2:] == [
        "error: ... and 8 more",
        "error: rows.csv: 28 of 30 rows cannot be taken, so nothing was written",
    ]
    assert not Path("store/verdicts").exists()


REFUSED = {
    ("text.png", "good", "--score", "2"): "text.png: not an image of a known format",
    ("nowhere.png", "good"): "cannot read nowhere.png: No such file",
    ("p1.png", "goood"): "unknown verdict 'goood': did you mean 'good'?",
    ("p1.png", "good", "--score", "2", "--by", ""): None,
    ("p1.png", "good", "--score", "2", "--by", "a\nb"): "p1.png: by: expected printable characters",
    ("p1.png", "good", "--score", "nan"): "p1.png: score: Input should be a finite number, got nan",
    ("--from", "nowhere.csv"): "nowhere.csv: No such file",
}


@pytest.mark.parametrize("arguments", REFUSED)
def test_what_is_wrong_is_one_line(place: Path, arguments: tuple[str, ...]) -> None:
    expected = REFUSED[arguments]
    if expected is None:  # nobody named: the user of the command
        assert whoami() in said(MODEL, *arguments)
        return
    lines = refused(MODEL, *arguments)
    assert len(lines) == 1
    assert expected in lines[0]
    assert not Path("store/verdicts").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("p1.png",),
        ("p1.png", "good", "--list"),
        ("p1.png", "good", "--take-back"),
        ("--take-back",),
        ("--list", "--summary"),
        ("--list", "--scored", "3"),
    ],
)
def test_wrong_usage(place: Path, arguments: tuple[str, ...]) -> None:
    done = run(MODEL, *arguments)
    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1].startswith("Error: ")


def test_no_model_there(place: Path) -> None:
    (line,) = refused("store/models/parts/mon", "p1.png", "good")
    assert "did you mean" in line
