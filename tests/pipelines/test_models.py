"""``vqi models``: what there is in a store, and which version is used."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.vqi.made import metrics
from tests.vqi.models.packages import package
from vqi.artifacts.metrics import Scored, write_metrics
from vqi.config import Publish
from vqi.models.category import RESERVED, Category
from vqi.models.champion import champion_of, whoami
from vqi.models.deciding import publish_and_decide
from vqi.models.manifest import MANIFEST
from vqi.models.registry import fetch_model, publish
from vqi.store.opening import open_store
from vqi_pipelines.commands.group import vqi


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The folder of a store with three versions of mono and one of poly."""
    store = open_store(str(tmp_path / "store"))
    for category, versions in (("mono", 3), ("poly", 1)):
        for number in range(1, versions + 1):
            files = package(tmp_path / category, number, category)
            figures = {"image_auroc": 0.9 + number / 100, "recall": 0.5, "test_images": 30, "category": category}
            write_metrics(files["metrics"], metrics(**figures))
            publish(store, **files)
    return tmp_path / "store"


def run(*args: object) -> Result:
    return CliRunner().invoke(vqi, ["models", *map(str, args)])


def said(*args: object) -> str:
    done = run(*args)
    assert done.exit_code == 0, done.output
    return done.stdout


def refused(*args: object) -> str:
    """The one line on stderr."""
    done = run(*args)
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_the_list(place: Path) -> None:
    said("promote", place / "models/parts/mono/v2")
    lines = said("list", place).splitlines()
    assert lines[0] == f"{place}/models/parts/mono"
    assert lines[1].split() == [
        "version", "state", "published", "(UTC)", "image", "AUROC", "false", "alarms", "recall", "test", "images", "size", "gate",
    ]  # fmt: skip
    assert [line.split()[0] for line in lines[2:5]] == ["v3", "v2", "v1"]
    assert "champion" in lines[3]
    assert "0.920" in lines[3]
    assert "champion" not in lines[2] + lines[4]
    assert lines[5] == f"{place}/models/parts/poly"
    found = json.loads(said("list", place, "--json"))
    assert [(one["category"], one["version"], one["champion"]) for one in found] == [
        ("mono", 1, False), ("mono", 2, True), ("mono", 3, False), ("poly", 1, False),
    ]  # fmt: skip
    assert {one["dataset"] for one in found} == {"parts"}
    assert found[1]["metrics"]["image_auroc"] == 0.92
    assert json.loads(said("list", place / "models/parts/mono", "--json")) == found[:3]
    assert json.loads(said("list", place / "models/parts", "--json")) == found


def test_the_list_shows_what_is_wrong(place: Path, tmp_path: Path) -> None:
    mono = place / "models/parts/mono"
    said("promote", mono / "v1")
    shutil.copytree(mono / "v2", mono / "v4")
    (mono / "v2" / MANIFEST).write_text("{")
    shutil.rmtree(mono / "v1")
    (mono / "v5").mkdir()
    (mono / "v5" / RESERVED).write_text("{}")
    lines = said("list", mono)
    assert "v1: the champion is gone: promote another version" in lines
    assert "v2/manifest.json" in lines
    assert "v4: " in lines
    assert "somebody copied it there" in lines
    assert "v5" in lines
    assert "incomplete" in lines
    by_version = {one["version"]: one for one in json.loads(said("list", mono, "--json"))}
    assert {number: bool(one["problem"]) for number, one in by_version.items()} == {
        1: True, 2: True, 3: False, 4: True, 5: False,
    }  # fmt: skip
    assert "the champion is v1, which is gone: promote another version" in refused("show", mono)
    said("promote", mono / "v3")
    assert json.loads(said("show", mono, "--json"))["version"] == 3


def test_show(place: Path) -> None:
    mono = place / "models/parts/mono"
    said("promote", mono / "v1", "--why", "the first one", "--by", "anna")
    said("promote", mono / "v3")
    text = said("show", mono)
    assert text.splitlines()[0] == f"{mono}/v3"
    assert "image AUROC" in text
    assert "0.930" in text
    history = text.partition("history of the champion\n")[2].splitlines()
    assert len(history) == 3
    assert "v1" in history[1]
    assert "anna" in history[1]
    assert "the first one" in history[1]
    assert whoami() in history[2]
    other = said("show", mono / "v1")
    assert other.splitlines()[1].split() == ["champion", "no"]
    found = json.loads(said("show", mono / "v1", "--json"))
    assert (found["version"], found["champion"], [one["version"] for one in found["history"]]) == (1, False, [1, 3])
    assert "history of" not in said("show", place / "models/parts/poly/v1")
    (mono / "v2" / "metrics.json").write_text("{")
    assert "problem" in said("show", mono / "v2")


def test_what_the_gate_said(place: Path, tmp_path: Path) -> None:
    mono = place / "models/parts/mono"
    for number, bad in ((8, 0.9), (9, 0.45)):
        files = package(tmp_path / "gated", number)
        scores = (*(0.4 + k / 250 for k in range(50)), *(bad + k / 250 for k in range(50)))
        scored = Scored(images="a" * 64, labels="0" * 50 + "1" * 50, scores=scores)
        write_metrics(files["metrics"], metrics(scored=scored, threshold=0.7))
        publish_and_decide(open_store(str(place)), **files, settings=Publish(gate="off" if number == 8 else "auto"))
    verdicts = {line.split()[0]: line.split()[-1] for line in said("list", mono).splitlines()[2:]}
    assert (verdicts["v5"], verdicts["v4"]) == ("rejected", "promoted")
    lines = [line.strip() for line in said("show", mono / "v5").splitlines()]
    assert "gate              rejected" in lines
    assert any("worse by more than the 0.01 that is allowed" in line for line in lines)
    found = json.loads(said("show", mono / "v5", "--json"))
    assert found["verdict"]["verdict"] == "rejected"
    assert "scored" not in found["metrics"], "which is long"
    compared = said("compare", mono, mono / "v5")
    assert f"against {mono}/v4 the gate would reject {mono}/v5:\n  image AUROC" in compared
    assert "the gate would hold" in said("compare", mono / "v1", mono / "v2")


def test_compare(place: Path) -> None:
    mono = place / "models/parts/mono"
    rows = {line.strip().split("  ")[0]: line for line in said("compare", mono / "v1", mono / "v3").splitlines()}
    assert rows["image AUROC"].split()[-3:] == ["0.910", "0.930", "+0.020"]
    assert rows["recall"].split()[-1] == "+0.000"
    assert rows["pixel AUROC"].split()[-2:] == ["–", "–"]
    assert rows["detector"].split()[-2:] == ["pca", "pca"]
    found = json.loads(said("compare", mono / "v1", mono / "v3", "--json"))
    assert [one["version"] for one in found] == [1, 3]
    (mono / "v1" / "metrics.json").write_text("{")
    assert "v1/metrics.json" in said("compare", mono / "v1", mono / "v3")


def test_promote_and_rollback(place: Path) -> None:
    mono = place / "models/parts/mono"
    assert said("promote", mono / "v1") == f"{mono}: v1 is the champion now; before: none\n"
    assert said("promote", mono / "v3", "--why", "better") == f"{mono}: v3 is the champion now; before: v1\n"
    assert said("promote", mono / "v3").startswith(f"{mono}: v3 is the champion already, since ")
    found: dict[str, Any] = json.loads(said("rollback", mono, "--json", "--by", "anna", "--why", "worse"))
    assert (found["before"], found["version"], found["by"], found["why"]) == (3, 1, "anna", "worse")
    assert "there was no champion before" in refused("rollback", mono)
    champion = champion_of(Category(open_store(str(mono))))
    assert champion is not None
    assert (champion.version, champion.number) == (1, 3)


def test_prune(place: Path) -> None:
    mono = place / "models/parts/mono"
    said("promote", mono / "v1")
    lines = said("prune", mono, "--keep", "1", "--dry-run").splitlines()
    assert lines[0].startswith("would remove v2 (")
    assert lines[1:] == ["kept v1: the champion", "kept v3: one of the newest 1"]
    assert (mono / "v2" / MANIFEST).exists()
    found = json.loads(said("prune", mono, "--keep", "1", "--json"))
    assert [one["model"] for one in found["removed"]] == [f"file://{mono}/v2"]
    assert [one["why"] for one in found["kept"]] == ["the champion", "one of the newest 1"]
    assert not (mono / "v2" / MANIFEST).exists()
    assert run("prune", mono, "--keep", "0").exit_code == 2
    assert run("prune", mono).exit_code == 2


def test_gc_and_save(place: Path, tmp_path: Path) -> None:
    store = open_store(str(place))
    for key, size in ((f"datasets/old@0123456789ab/{name}", 2_000_000) for name in ("a.zip", "b.zip")):
        store.put_bytes(key, bytes(size))
    month = time.time() - 30 * 24 * 3600
    network = next(place.glob("models/parts/backbones/*.safetensors"))
    for path in (*place.glob("datasets/*/*"), network):
        os.utime(path, (month, month))
    store.put_bytes("datasets/young@0123456789ab/a.zip", b"")
    told = "dataset datasets/old@0123456789ab/ (4.0 MB)"
    assert said("gc", place, "--older-than", 60).startswith("in all: 0, 0.0 MB; kept: ")
    assert said("gc", place, "--dry-run").splitlines() == [
        f"would remove {told}",
        "in all: 1, 4.0 MB; kept: 2 ('--json' says why)",
    ]
    found = json.loads(said("gc", place, "--dry-run", "--json"))
    assert (found["dry_run"], found["bytes"], len(found["removed"])) == (True, 4_000_000, 1)
    assert {"key": network.relative_to(place).as_posix(), "why": "a version has it"} in found["kept"]
    assert f"removed {told}" in said("gc", place)
    assert [one.key for one in store.list("datasets/")] == ["datasets/young@0123456789ab/a.zip"]
    assert "expected a whole store" in refused("gc", place / "models/parts")
    assert said("save", place / "models/parts/mono/v2", tmp_path / "saved") == f"{tmp_path}/saved\n"
    assert fetch_model(str(tmp_path / "saved"), tmp_path / "fetched").version == 2
    assert "there is something already" in refused("save", place / "models/parts/mono", tmp_path / "saved")


def test_the_page(place: Path, tmp_path: Path) -> None:
    file = place / "models/parts/models.html"
    assert said("page", place) == f"{file}\n"
    assert all(name in file.read_text() for name in ("mono", "poly", "v3", "mono/v2/report.html"))
    assert said("page", place / "models/parts", "--output", tmp_path / "x.html") == f"{tmp_path}/x.html\n"
    assert "report.html" not in (tmp_path / "x.html").read_text()
    publish(open_store(str(place)), **package(tmp_path / "more", 1, dataset="others"))
    assert "expected one dataset, got " in refused("page", place, "--output", tmp_path / "y.html")
    assert said("page", place).count("models.html") == 2


def test_names_that_are_none(place: Path, tmp_path: Path) -> None:
    parts = place / "models/parts"
    assert f"did you mean '{parts}/mono'?" in refused("show", parts / "moon")
    assert f"did you mean '{parts}/mono/v1'?" in refused("promote", parts / "moon/v1")
    assert f"did you mean '{parts}/mono'?" in refused("rollback", parts / "moon")
    assert f"did you mean '{parts}/mono'?" in refused("prune", parts / "moon", "--keep", "1")
    assert "expected a version to promote, such as" in refused("promote", parts / "mono")
    assert "no models in " in refused("list", tmp_path / "nowhere")
    assert "no model at" in refused("compare", parts / "mono/v1", "nowhere")
