"""The step publish scores a champion that was measured on other test images, through its own network."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vqi.artifacts.changes import CategoryChange, Changes
from vqi.artifacts.metrics import Metrics
from vqi.models import rescoring
from vqi.models.category import Category
from vqi.models.good_alone import good_parts
from vqi.models.model import Model
from vqi.models.rescoring import measured_now
from vqi.store.opening import open_store

STEPS = ("dataset_download", "preprocess", "ssl_finetune", "feature_extract", "pca_fit", "evaluate", "publish")


@pytest.fixture
def copied(chain: Any, tmp_path: Path) -> Any:
    """The chain with a store and photographs of its own."""
    made = type(chain)(tmp_path / "chain", tmp_path / "parts")
    shutil.copytree(chain.folder, made.folder)
    shutil.copytree(chain.source, made.source)
    return made


@pytest.fixture
def category(copied: Any) -> Category:
    return Category(open_store(str(copied.store)), "models/parts/bracket/")


def test_now_it_says_what_it_said_when_it_was_made(
    copied: Any, category: Category, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the packages that the container image of the step has."""
    for name in ("sklearn", "sklearn.metrics", "joblib", "narwhals", "click", "kfp"):
        monkeypatch.setitem(sys.modules, name, None)
    scored = Metrics.model_validate_json((copied.folder / "metrics.json").read_bytes()).scored
    assert scored is not None
    dataset = (copied.folder / "dataset").read_text()
    found = measured_now(category, 1, dataset, scored.images)
    assert found.images == scored.images
    assert "".join(map(str, found.labels)) == scored.labels
    assert list(found.scores) == pytest.approx(scored.scores, rel=1e-5)
    made = json.loads((copied.folder / "metrics.json").read_bytes())
    assert found.threshold == made["threshold"]
    assert (found.target, found.promised) == (0.05, made["guaranteed_fpr"])
    assert found.anew.startswith("with eager fp32, in ")
    assert found.trained is None, "the chain published it without a recipe"


def test_a_test_photograph_was_added(
    copied: Any, category: Category, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    test = copied.source / "bracket" / "test" / "good"
    shutil.copy(copied.source / "bracket" / "train" / "good" / "000.png", test / "added.png")
    (test / "broken.png").write_bytes(b"no image")
    images = -1 + len([*(copied.source / "bracket" / "test").rglob("*.png")])
    for name in STEPS[:-1]:
        assert copied.run(name, **({"variance": 0.9} if name == "pca_fit" else {})) == 0, name
    for number in range(2):
        capsys.readouterr()
        assert copied.run("publish") == 0
        found = json.loads((copied.folder / "decision").read_text())
        assert found["version"] == 2
        if number == 0:
            assert found["reasons"][0] == "against v1"
            assert (
                f"the champion was scored anew on the same {images} test images (with eager fp32, in "
                in found["reasons"][-2]
            )
            assert found["reasons"][-1] == "it is not known whether the champion was trained on some of them"
            said = capsys.readouterr().err
            assert "unreadable image test/good/broken.png: " in said
            assert f"score v1: {images + 1}/{images + 1}" in said
    kept = [one.key for one in category.store.list(category.key("v1/scored/"))]
    assert len(kept) == 1

    def again(*_: object) -> None:
        raise AssertionError("it is scored again")

    monkeypatch.setattr(rescoring, "_score", again)
    images_digest = Path(kept[0]).stem
    dataset = (copied.folder / "dataset").read_text()
    assert len(measured_now(category, 1, dataset, images_digest).scores) == images
    category.store.put_bytes(kept[0], b"{")
    with pytest.raises(AssertionError, match="it is scored again"):
        measured_now(category, 1, dataset, images_digest)


def test_a_photograph_that_trained_the_champion_and_tests_now_is_left_out(copied: Any, category: Category) -> None:
    assert copied.run("publish", recipe=(copied.folder / "recipe").read_text()) == 0
    parts = copied.source / "bracket"
    for name in ("000.png", "001.png"):
        shutil.move(parts / "train" / "good" / name, parts / "test" / "good" / f"moved-{name}")
    for name in STEPS[:-1]:
        assert copied.run(name) == 0, name
    assert copied.run("publish") == 0
    reasons = json.loads((copied.folder / "decision").read_text())["reasons"]
    images = len([*(parts / "test").rglob("*.png")])
    assert f"the champion was scored anew on the same {images - 2} test images (" in reasons[-2]
    assert reasons[-1] == "left out: 2 test images that the champion was trained on"
    (kept,) = category.store.list(category.key("v1/scored/"))
    assert json.loads(category.store.get_bytes(kept.key))["trained"].count("1") == 2


def test_a_damaged_champion_is_held(copied: Any, category: Category) -> None:
    shutil.copy(
        copied.source / "bracket" / "train" / "good" / "000.png",
        copied.source / "bracket" / "test" / "good" / "added.png",
    )
    for name in STEPS[:-1]:
        assert copied.run(name, **({"variance": 0.9} if name == "pca_fit" else {})) == 0, name
    category.store.put_bytes(category.key("v1/detector.safetensors"), b"damaged")
    assert copied.run("publish") == 0
    found = json.loads((copied.folder / "decision").read_text())
    assert (found["verdict"], found["champion"]) == ("held", 1)
    assert "v1 cannot be scored on these test images: " in found["reasons"][0]
    assert "detector.safetensors: not the file that the manifest names" in found["reasons"][0]


def test_good_photographs_that_are_new_are_scored_by_the_champion_and_nothing_else(
    copied: Any, category: Category
) -> None:
    """Without test images: those that trained it are not asked for, and one that cannot be read is left out."""
    assert copied.run("publish", recipe=(copied.folder / "recipe").read_text()) == 0
    parts = copied.source / "bracket"
    shutil.rmtree(parts / "test")
    shutil.rmtree(parts / "ground_truth", ignore_errors=True)
    for number in range(20):
        pixels = np.random.default_rng(number).integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(parts / "train" / "good" / f"new-{number}.png")
    (parts / "train" / "good" / "broken.png").write_bytes(b"no image")
    for name in STEPS[:-1]:
        assert copied.run(name) == 0, name
    new, old = (Metrics.model_validate_json(path.read_bytes()) for path in (
        copied.folder / "metrics.json", copied.store / "models" / "parts" / "bracket" / "v1" / "metrics.json"
    ))  # fmt: skip
    found = good_parts(category, 1, new, old, (copied.folder / "dataset").read_text())
    assert int(found.added.sum()) == 20
    assert found.drift is not None
    assert found.drift.parts == 20
    assert found.drift.higher == 1.0, "noise is unlike any part"
    paths = [str(parts / "train" / "good" / f"new-{number}.png") for number in range(20)]
    champion = Model(category.uri_of(1))
    expected = [champion.score(path).score for path in paths]
    assert sorted(found.old[found.added]) == pytest.approx(sorted(expected))
    assert copied.run("publish") == 0
    decision = json.loads((copied.folder / "decision").read_text())
    assert (decision["verdict"], decision["champion"]) == ("held", 1)
    assert any(
        "20 new good parts are not as good ones should be: 20 flagged by v1" in one for one in decision["reasons"]
    )
    assert "drift" not in decision, "a parameter stays small"
    assert len(json.loads((copied.folder / "gate_metrics.json").read_text())["drift"]["p_values"]) == 20
    assert "Histogram of the p-values of new good parts" in (copied.folder / "decided_report.html").read_text()


def test_of_many_photographs_the_same_ones_are_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rescoring, "MOST", 3)
    names = [f"{number:016x}" for number in range(9)]
    assert rescoring.some_of(names[::-1]) == rescoring.some_of([*names, names[0]]) == {*names[:3]}


def test_a_run_looks_at_new_good_photographs_before_it_trains(copied: Any, category: Category) -> None:
    """Other good parts train nothing; noise does, as does anything new where no drift is asked for."""
    assert copied.run("publish", recipe=(copied.folder / "recipe").read_text()) == 0
    parts = copied.source / "bracket"
    for path in sorted((parts / "test" / "good").iterdir()):
        shutil.move(path, parts / "train" / "good" / f"new-{path.name}")

    def found(retrain_if: str) -> CategoryChange:
        assert copied.run("dataset_download", retrain_if=retrain_if) == 0
        changes = Changes.model_validate_json((copied.folder / "changes.json").read_bytes())
        return next(one for one in changes.categories if one.category == "bracket")

    assert found("changed").trained
    usual = found("drifted")
    assert usual.drift is not None
    assert (usual.trained, usual.drift.drifted, usual.version) == (False, False, 1)
    assert json.loads((copied.folder / "categories").read_text()) == ["fabric"]
    for path in (parts / "train" / "good").glob("new-*"):
        path.unlink()
    for number in range(20):
        pixels = np.random.default_rng(number).integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(parts / "train" / "good" / f"noise-{number}.png")
    odd = found("drifted")
    assert odd.drift is not None
    assert (odd.trained, odd.drift.drifted) == (True, True)
    assert (odd.drift.parts, odd.drift.flagged) == (20, 20)
