"""The gate and models of real photographs: what is planted to be worse is refused, what is better is promoted."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import vqi
from tests.cells import copy_elpv
from vqi.artifacts.decision import Decision
from vqi.config import Publish
from vqi.models.deciding import publish_and_decide
from vqi.models.manifest import FILES
from vqi.network.embedded import EMBEDDED
from vqi.store.interface import Store
from vqi.store.opening import open_store

LITE0 = "timm/tf_efficientnet_lite0"
Run = Callable[..., Decision]


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of both kinds: 100 good ones to train, 100 good and 100 defective ones to test."""
    folder = tmp_path_factory.mktemp("cells")
    copy_elpv(folder, ["mono", "poly"], train=100, good=100, defective=100)
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return open_store(f"file://{tmp_path_factory.mktemp('planted')}/store")


def decided(store: Store, train: Path, cells: Path, folder: Path, **settings: object) -> Decision:
    """What becomes of a model of the photographs in ``train``; the cells for the test are always the same ones."""
    shutil.copytree(train, folder / "cells" / "mono" / "train" / "good")
    shutil.copytree(cells / "mono" / "test", folder / "cells" / "mono" / "test")
    fixed = {"detector": "pca", "image_size": 64, "engine": "eager", "precision": "fp32"}
    made = vqi.fit(folder / "cells", **fixed, **settings)  # type: ignore[arg-type]
    made.save(folder / "model")
    files = dict(
        zip(("backbone", "detector", "metrics", "report"), (folder / "model" / name for name in FILES), strict=True)
    )
    return publish_and_decide(store, **files, settings=Publish())


@pytest.fixture(scope="module")
def champion(store: Store, cells: Path, tmp_path_factory: pytest.TempPathFactory) -> Decision:
    """A better one in the place of the first, whose network has random weights."""
    train, folder = cells / "mono" / "train" / "good", tmp_path_factory.mktemp("models")
    assert decided(store, train, cells, folder / "random", weights="random").verdict == "promoted"
    return decided(store, train, cells, folder / "pretrained")


@pytest.mark.slow
def test_an_improvement_is_promoted(champion: Decision) -> None:
    assert (champion.verdict, champion.version, champion.champion) == ("promoted", 2, 2), champion.reasons


@pytest.mark.slow
def test_an_equal_one_is_unchanged(champion: Decision, store: Store, cells: Path, tmp_path: Path) -> None:
    found = decided(store, cells / "mono" / "train" / "good", cells, tmp_path)
    assert (found.verdict, found.champion) == ("unchanged", champion.champion)


@pytest.mark.slow
def test_half_of_the_photographs_are_of_defective_parts(
    champion: Decision, store: Store, cells: Path, tmp_path: Path
) -> None:
    good, others = sorted((cells / "mono" / "train" / "good").iterdir())[:50], tmp_path / "others"
    copy_elpv(others, ["mono"], train=1, good=0, defective=150)
    tested = {path.name for path in (cells / "mono" / "test" / "defective").iterdir()}
    bad = [path for path in sorted((others / "mono" / "test" / "defective").iterdir()) if path.name not in tested]
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for path in [*good, *bad]:
        shutil.copy(path, mixed)
    assert len(list(mixed.iterdir())) == 100
    check_refused(decided(store, mixed, cells, tmp_path), champion)


@pytest.mark.slow
def test_photographs_of_another_category(champion: Decision, store: Store, cells: Path, tmp_path: Path) -> None:
    check_refused(decided(store, cells / "poly" / "train" / "good", cells, tmp_path), champion)


@pytest.mark.slow
def test_a_wrong_normalisation(
    champion: Decision, store: Store, cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for pixels that were not divided by 255."""
    wrong = dataclasses.replace(EMBEDDED[LITE0], mean=(0.0, 0.0, 0.0), std=(1 / 255, 1 / 255, 1 / 255))
    monkeypatch.setitem(EMBEDDED, LITE0, wrong)
    check_refused(decided(store, cells / "mono" / "train" / "good", cells, tmp_path), champion)


def check_refused(found: Decision, champion: Decision) -> None:
    assert (found.verdict, found.champion) == ("rejected", champion.champion), found.reasons
