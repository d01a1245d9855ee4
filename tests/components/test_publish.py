"""The step publish: a complete, versioned model package in the object store."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
    flags = {"decision": tmp_path / "d", "detector": chain.folder / "features.safetensors"}
    assert "expected format 'vqi.detector/3'" in one_error(chain.run("publish", **flags))
    assert not (tmp_path / "d").exists()


def test_store_is_not_set_or_of_another_kind(chain: Any, tmp_path: Path, one_error: OneError) -> None:
    other = type(chain)(chain.folder, chain.source)
    other.store = ""
    assert "VQI_STORE is not set" in one_error(other.run("publish", decision=tmp_path / "d"))
    other.store = "gs://bucket"
    assert "unknown kind of store 'gs://'" in one_error(other.run("publish", decision=tmp_path / "d"))
