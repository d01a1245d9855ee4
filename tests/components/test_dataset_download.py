"""The step dataset_download: a source becomes one shard per category in the object store."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.step_outputs import output_files
from vqi.artifacts.files import read_json
from vqi_components.dataset_download.__main__ import main

OneError = Callable[[int], str]


def outputs(folder: Path) -> dict[str, Path]:
    return output_files("dataset_download", folder)


def test_writes_catalog_uri_and_categories(chain: Any) -> None:
    catalog = read_json(chain.folder / "catalog.json")
    uri = (chain.folder / "dataset").read_text()
    assert uri.startswith(f"file://{chain.store}/datasets/parts@{catalog['digest'][:12]}")
    assert json.loads((chain.folder / "categories").read_text()) == ["bracket", "fabric"]
    assert catalog["categories"]["bracket"]["files"]["train/good"] == 12


def test_same_input_same_bytes(chain: Any, tmp_path: Path) -> None:
    assert chain.run("dataset_download", **outputs(tmp_path)) == 0
    for written, first in (("catalog", "catalog.json"), ("dataset", "dataset"), ("categories", "categories")):
        assert (tmp_path / written).read_bytes() == (chain.folder / first).read_bytes()


def test_only_some_categories(chain: Any, tmp_path: Path) -> None:
    assert chain.run("dataset_download", only_categories='["fabric"]', **outputs(tmp_path)) == 0
    assert json.loads((tmp_path / "categories").read_text()) == ["fabric"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"source": "elpw"}, "unknown dataset source 'elpw': did you mean 'elpv'?"),
        ({"source": "folder:/nowhere/at/all"}, "/nowhere/at/all"),
        ({"source": ""}, "source"),
        ({"only_categories": '["brackett"]'}, "unknown category 'brackett': did you mean 'bracket'?"),
        ({"only_categories": "bracket"}, "only_categories"),
        ({"retrain_if": "drift"}, "retrain_if: Input should be 'changed', 'drifted' or 'always', got 'drift'"),
        ({"epochs": "3"}, "method 'pretrained' does not train"),
    ],
)
def test_bad_input(chain: Any, tmp_path: Path, one_error: OneError, changed: dict[str, object], message: str) -> None:
    assert message in one_error(chain.run("dataset_download", **{**outputs(tmp_path), **changed}))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("flags", "accepted"),
    [
        (["--accept-license"], True),
        (["--accept-license", "--source", "mpdd"], True),
        (["--accept-license", "true"], True),
        (["--accept-license", "false"], False),
        ([], False),
    ],
)
def test_consent(
    flags: list[str],
    accepted: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    one_error: OneError,
) -> None:
    """Both cases end with exit code 2 here: one asks for consent, the other for the archive."""
    monkeypatch.delenv("USER_CONSENT", raising=False)
    monkeypatch.setenv("VQI_STORE", str(tmp_path / "store"))
    argv = ["--source", "mpdd", *flags]
    argv += [part for name, path in outputs(tmp_path).items() for part in (f"--{name}", str(path))]
    message = one_error(main(argv))
    assert ("download its archive by hand" in message) == accepted
    assert ("set USER_CONSENT=y" in message) != accepted
    assert not list(tmp_path.iterdir())


def test_store_is_not_set(chain: Any, tmp_path: Path, one_error: OneError) -> None:
    chain_without_store = type(chain)(chain.folder, chain.source)
    chain_without_store.store = ""
    assert "VQI_STORE is not set" in one_error(chain_without_store.run("dataset_download", **outputs(tmp_path)))


def test_a_category_whose_model_would_be_made_again_is_not_trained(chain: Any, tmp_path: Path) -> None:
    """The recipe is that of the run which made it; its row is left for the table."""
    shutil.copytree(chain.store, tmp_path / "store")
    here = type(chain)(chain.folder, chain.source)
    here.store = tmp_path / "store"
    (tmp_path / "out").mkdir()
    recipe = (chain.folder / "recipe").read_text()
    assert here.run("publish", recipe=recipe, decision=tmp_path / "decision") == 0
    made = outputs(tmp_path / "out")
    assert here.run("dataset_download", **made, run="run/2") == 0
    assert json.loads((tmp_path / "out" / "categories").read_text()) == ["fabric"]
    assert (tmp_path / "out" / "recipe").read_text() == recipe
    changes = {one["category"]: one for one in read_json(tmp_path / "out" / "changes")["categories"]}
    assert (changes["bracket"]["trained"], changes["fabric"]["trained"]) == (False, True)
    left = json.loads((tmp_path / "store" / "runs" / "run%2F2" / "summaries" / "bracket.json").read_text())
    assert left["summary"] == changes["bracket"]["row"] == json.loads((chain.folder / "summary").read_text())
    assert left["dataset"] == (tmp_path / "out" / "dataset").read_text()
    assert not (tmp_path / "store" / "runs" / "run%2F2" / "summaries" / "fabric.json").exists()
    for flags in ({"retrain_if": "always"}, {"target_fpr": 0.1}):
        shutil.rmtree(tmp_path / "out")
        assert here.run("dataset_download", **made, **flags) == 0
        assert json.loads((tmp_path / "out" / "categories").read_text()) == ["bracket", "fabric"]
