"""A download that is killed again and again: the same dataset in the end, and little fetched twice."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.file_server import serving
from tests.kills import kill_and_go_on
from tests.vqi.datasets.test_archive import packed
from vqi.concurrency import BUDGET
from vqi.store import open_store

KILLS = 4
Make = Callable[..., Path]


@pytest.fixture
def parts(tmp_path: Path, make_defect_dataset: Make) -> Path:
    return make_defect_dataset(tmp_path / "parts", ["nut"], train=40, good=4, defective=3, size=96)


def survive(out: Path, source: str, **environment: str) -> tuple[set[str], list[tuple[int, int]]]:
    """The digests at the end of each round, and its kills with what ``fetched`` counts."""
    digests: set[str] = set()
    rounds: list[tuple[int, int]] = []

    def from_nothing() -> None:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()

    def after_round(kills: int) -> None:
        digests.add(json.loads((out / "catalog").read_text())["digest"])
        rounds.append((kills, sum(1 for path in (out / "store").rglob("*.zip") if path.parent.name != ".sha256")))

    command = [sys.executable, "-m", "components.dataset_download", "--source", source]
    command += [part for flag in ("catalog", "dataset", "categories") for part in (f"--{flag}", str(out / flag))]
    settings = {**os.environ, "VQI_STORE": str(out / "store"), "VQI_CACHE": str(out / "cache"), **environment}
    assert kill_and_go_on(command, settings, KILLS, from_nothing, after_round).kills == KILLS
    return digests, rounds


def test_an_archive(tmp_path: Path, parts: Path) -> None:
    served = tmp_path / "served"
    served.mkdir()
    size = packed(parts, served / "parts.tar").stat().st_size
    with serving(served) as server:
        digests, rounds = survive(tmp_path / "out", f"archive:{server.url}/parts.tar")
        assert server.sent <= len(rounds) * size + KILLS * BUDGET
    assert len(digests) == 1
    assert {shards for _, shards in rounds} == {1}


def test_a_bucket(tmp_path: Path, parts: Path, seaweedfs: object, s3_environment: object) -> None:
    store = open_store(f"s3://vqi-killed/{tmp_path.name}")
    for path in parts.rglob("*.png"):
        store.put_file(path.relative_to(parts).as_posix(), path)
    digests, rounds = survive(tmp_path / "out", f"bucket:{store.uri}")
    assert len(digests) == 1
    assert {shards for _, shards in rounds} == {1}
