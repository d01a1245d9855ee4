"""The step publish: a complete, versioned model package in the object store."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.components.conftest import RUN
from vqi.models.registry import fetch_model

OneError = Callable[[int], str]


def test_package_is_complete(chain: Any, tmp_path: Path) -> None:
    decision = json.loads((chain.folder / "decision").read_text())
    assert (decision["published"], decision["version"]) == (True, 1)
    assert decision["model"] == f"file://{chain.store}/models/parts/bracket/v1"
    manifest = fetch_model(decision["model"], tmp_path)
    assert (manifest.category, manifest.image_size) == ("bracket", 64)
    for name, made in (("detector.safetensors", "detector.safetensors"), ("report.html", "report.html")):
        assert (tmp_path / name).read_bytes() == (chain.folder / made).read_bytes()


def test_an_equal_model_is_not_published_again(chain: Any, tmp_path: Path) -> None:
    assert chain.run("publish", decision=tmp_path / "decision") == 0
    decision = json.loads((tmp_path / "decision").read_text())
    assert (decision["published"], decision["version"]) == (False, 1)


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


def test_the_row_of_the_table_is_left_in_the_store_at_the_end(chain: Any, tmp_path: Path, one_error: OneError) -> None:
    left = chain.store / "runs" / RUN / "summaries" / "bracket.json"
    content = json.loads(left.read_text())
    assert content["summary"] == json.loads((chain.folder / "summary").read_text())
    assert (content["category"], content["failure"]) == ("bracket", "")
    assert content["dataset"] == (chain.folder / "dataset").read_text()
    left.unlink()
    assert chain.run("publish", decision=tmp_path / "d", run="") == 0
    assert not left.exists(), "by hand, without a run"
    assert chain.run("publish", decision=tmp_path / "d") == 0
    assert json.loads(left.read_text()) == content, "though the model was there"
    assert "summary: Invalid JSON" in one_error(chain.run("publish", decision=tmp_path / "e", summary="{"))
