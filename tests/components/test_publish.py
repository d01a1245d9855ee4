"""The step publish: a complete, versioned model package in the object store."""

import json
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.components.conftest import RUN
from vqi.models.registry import fetch_model
from vqi.sizes import square
from vqi.store.folder import FolderStore
from vqi.verdicts.book import Book
from vqi.verdicts.records import Scored, said_of, verdict_of

OneError = Callable[[int], str]


@pytest.fixture
def own(chain: Any, tmp_path: Path) -> Any:
    """The chain with a store of its own."""
    made = type(chain)(chain.folder, chain.source)
    made.store = tmp_path / "own store"
    shutil.copytree(chain.store, made.store)
    return made


def test_package_is_complete(chain: Any, tmp_path: Path) -> None:
    decision = json.loads((chain.folder / "decision").read_text())
    assert (decision["published"], decision["version"], decision["champion"]) == (True, 1, 1)
    assert (decision["verdict"], decision["reasons"]) == ("promoted", ["it is the first one"])
    assert decision["model"] == f"file://{chain.store}/models/parts/bracket/v1"
    manifest = fetch_model(decision["model"], tmp_path)
    assert (manifest.category, manifest.image_size) == ("bracket", square(64))
    for name, made in (("detector.safetensors", "detector.safetensors"), ("report.html", "report.html")):
        assert (tmp_path / name).read_bytes() == (chain.folder / made).read_bytes()


def test_an_equal_model_is_not_published_again(own: Any, tmp_path: Path) -> None:
    assert own.run("publish", decision=tmp_path / "decision") == 0
    decision = json.loads((tmp_path / "decision").read_text())
    assert (decision["published"], decision["version"], decision["verdict"]) == (False, 1, "unchanged")


def test_the_report_has_the_decision_at_its_top(chain: Any) -> None:
    report, decided = ((chain.folder / name).read_text() for name in ("report.html", "decided_report.html"))
    before, _, after = decided.partition('<p class="of-run">')
    told, _, after = after.partition("</p>\n")
    assert report.startswith(before + "<!-- of this run -->")
    assert "<h1>bracket</h1>" in before
    assert re.fullmatch(
        rf"<span>Model parts/bracket/v1</span><span>run {RUN}</span><span>\d+ \w+ \d{{4}}, \d\d:\d\d UTC</span>", told
    )
    conclusion, card, after = after.partition("""<section aria-label="The gate's decision">""")
    assert card
    assert "Can it be used?" in conclusion
    card, _, after = after.partition("</section>\n")
    assert report.replace("<!-- what operators say -->", "").endswith(after), "they said nothing"
    assert "v1 is used" in card
    assert "<li>it is the first one</li>" in card
    assert json.loads((chain.folder / "gate_metrics.json").read_text())["verdict"] == "promoted"


def test_budgets(own: Any, tmp_path: Path) -> None:
    """The same model with another report is another version, and the champion is timed beside it."""
    (tmp_path / "report.html").write_text(f"{(own.folder / 'report.html').read_text()}<p>another one</p>")
    flags = {"decision": tmp_path / "decision", "report": tmp_path / "report.html", "run": ""}
    bounds = {"max_megabytes": 1000, "max_milliseconds": 100_000}
    assert own.run("publish", **flags, **bounds, dataset=(own.folder / "dataset").read_text()) == 0
    decision = json.loads((tmp_path / "decision").read_text())
    assert (decision["version"], decision["champion"]) == (2, 2)
    size, time = decision["reasons"][-2:]
    assert re.fullmatch(r"the package has [0-9.]+ MB, 1000 MB are allowed", size)
    expected = r"[0-9.]+ ms per photograph with eager fp32, the champion [0-9.]+ ms in turns with it, "
    assert re.fullmatch(rf"{expected}100000 ms are allowed", time)
    assert 1 < float(time.partition(" ")[0]) < 60_000


def test_a_mirror_that_is_away_is_said_and_fails_nothing(
    own: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VQI_MLFLOW", "no address")
    assert own.run("publish", decision=tmp_path / "decision") == 0
    assert f"note: file://{own.store}/models/parts/bracket is not mirrored to MLflow: " in capsys.readouterr().err
    assert json.loads((tmp_path / "decision").read_text())["verdict"] == "unchanged"


def test_wrong_artifact(chain: Any, tmp_path: Path, one_error: OneError) -> None:
    flags = {"decision": tmp_path / "d", "detector": chain.folder / "features.safetensors", "run": ""}
    assert "expected format 'vqi.detector/7'" in one_error(chain.run("publish", **flags))
    assert not (tmp_path / "d").exists()


def test_store_is_not_set_or_of_another_kind(chain: Any, tmp_path: Path, one_error: OneError) -> None:
    other = type(chain)(chain.folder, chain.source)
    other.store = ""
    assert "VQI_STORE is not set" in one_error(other.run("publish", decision=tmp_path / "d"))
    other.store = "gs://bucket"
    assert "unknown kind of store 'gs://'" in one_error(other.run("publish", decision=tmp_path / "d"))


def test_the_row_of_the_table_is_left_in_the_store_at_the_end(own: Any, tmp_path: Path, one_error: OneError) -> None:
    left = own.store / "runs" / RUN / "summaries" / "bracket.json"
    content = json.loads(left.read_text())
    assert content["summary"] == json.loads((own.folder / "summary").read_text())
    assert (content["category"], content["failure"]) == ("bracket", "")
    assert content["decision"] == "v1 was promoted: it is the first one"
    assert content["dataset"] == (own.folder / "dataset").read_text()
    left.unlink()
    assert own.run("publish", decision=tmp_path / "d", run="") == 0
    assert not left.exists(), "by hand, without a run"
    assert own.run("publish", decision=tmp_path / "d") == 0
    again = "v1 is there already: an equal model is the champion"
    assert json.loads(left.read_text()) == content | {"decision": again}, "though the model was there"
    assert "summary: Invalid JSON" in one_error(own.run("publish", decision=tmp_path / "e", summary="{"))


def test_the_report_of_the_run_says_what_operators_say(own: Any, tmp_path: Path) -> None:
    of = Scored("0" * 64, "p17.png", 1, 2.0, 1.0)
    said = verdict_of(of, said_of("good"), "anna", datetime(2026, 5, 4, tzinfo=UTC))
    Book(FolderStore(own.store), "parts", "bracket").add([said])
    report = tmp_path / "report.html"
    assert own.run("publish", decision=tmp_path / "decision", decided_report=report) == 0
    assert "<h2>What operators say</h2>" in report.read_text()
    assert json.loads((tmp_path / "decision").read_text())["version"] == 1, "it is no other model by that"
    assert "What operators say" not in (own.folder / "decided_report.html").read_text(), "when nobody had said anything"


def test_the_report_links_to_pages_that_it_is_told(
    own: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_error: OneError
) -> None:
    monkeypatch.setenv("VQI_PAGE_LINKS", json.dumps({"All <runs>": "../../../index.html"}))
    report, folder = tmp_path / "report.html", tmp_path / "report"
    assert own.run("publish", decision=tmp_path / "d", decided_report=report, decided_report_folder=folder) == 0
    assert '<a href="../../../index.html">All &lt;runs&gt;</a>' in report.read_text()
    assert '<a href="../../../../index.html">' in (folder / "index.html").read_text(), "a folder further in"
    monkeypatch.setenv("VQI_PAGE_LINKS", "[1]")
    assert "VQI_PAGE_LINKS: expected a JSON mapping of texts" in one_error(own.run("publish", decision=tmp_path / "e"))
