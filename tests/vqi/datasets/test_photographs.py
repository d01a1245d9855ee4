"""vqi.datasets.photographs: which photographs two datasets differ in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vqi.artifacts.changes import PhotographChanges
from vqi.config import DatasetDownload
from vqi.datasets.download import download
from vqi.datasets.photographs import PHOTOGRAPHS, changed_photographs, photographs_of
from vqi.digests import sha256_file
from vqi.store.opening import open_store


def test_what_is_new_removed_and_changed_by_folder() -> None:
    before = {"train/good/a.png": "1", "train/good/b.png": "2", "train/good/day/c.png": "3", "test/dent/d.png": "4"}
    now = {"train/good/a.png": "1", "train/good/b.png": "5", "train/good/day/e.png": "3", "test/good/f.png": "6"}
    assert changed_photographs(before, now) == {
        "test/dent": PhotographChanges(new=0, removed=1, changed=0),
        "test/good": PhotographChanges(new=1, removed=0, changed=0),
        "train/good": PhotographChanges(new=1, removed=1, changed=1),
    }
    assert changed_photographs(before, before) == {}


def test_a_dataset_says_what_it_has(tmp_path: Path, make_defect_dataset: Callable[..., Path]) -> None:
    parts = make_defect_dataset(tmp_path / "parts", ["bracket", "fabric"], train=3, good=1, defective=1, size=32)
    store = open_store(str(tmp_path / "store"))
    folder = download(DatasetDownload(source=f"folder:{parts}"), store).uri.rpartition("/store/")[2]
    found = photographs_of(store, folder)
    assert found is not None
    expected = {
        name: {path.relative_to(parts / name).as_posix(): sha256_file(path) for path in (parts / name).rglob("*.png")}
        for name in ("bracket", "fabric")
    }
    assert found.categories == expected
    store.delete(f"{folder}/{PHOTOGRAPHS}")
    assert photographs_of(store, folder) is None
    download(DatasetDownload(source=f"folder:{parts}"), store)
    assert photographs_of(store, folder) == found, "an earlier vqi made the dataset"


def test_a_damaged_record_is_said_and_nothing_is_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = open_store(str(tmp_path / "store"))
    store.put_bytes(f"datasets/parts@1/{PHOTOGRAPHS}", b"{")
    assert photographs_of(store, "datasets/parts@1") is None
    assert "parts@1/photographs.json: Invalid JSON" in capsys.readouterr().err
