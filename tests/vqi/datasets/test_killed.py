"""A download that is killed again and again: the same dataset in the end, and little fetched twice."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.benchmarks.sources_kills import NOTED
from tests.file_server import serving
from tests.kills import Survival, kill_and_go_on
from tests.step_outputs import output_flags
from tests.vqi.datasets.test_archive import packed
from vqi.datasets.shards import open_shard
from vqi.store.opening import open_store
from vqi.system.concurrency import AT_ONCE, BUDGET

KILLS = 4
Make = Callable[..., Path]


@pytest.fixture
def parts(tmp_path: Path, make_defect_dataset: Make) -> Path:
    return make_defect_dataset(tmp_path / "parts", ["nut"], train=40, good=4, defective=3, size=96)


def survive(
    out: Path, source: str, fetched: Callable[[], int], environment: Mapping[str, str] = MappingProxyType({})
) -> Survival:
    """Kills the step, and checks that the dataset is the same each time."""
    digests = set()

    def from_nothing() -> None:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()

    def after_round() -> None:
        catalog = json.loads((out / "catalog").read_text())
        digests.add(catalog["digest"])
        assert open_shard((out / "dataset").read_text(), "nut", out).path.is_file(), "as its sha256 says"

    command = [sys.executable, "-c", NOTED, "--source", source, *output_flags("dataset_download", out)]
    settings = {**os.environ, "VQI_STORE": str(out / "store"), "VQI_CACHE": str(out / "cache"), **environment}
    ended = kill_and_go_on(command, settings, KILLS, from_nothing, fetched, after_round)
    assert len(digests) == 1
    return ended


@pytest.mark.slow
def test_an_archive(tmp_path: Path, parts: Path) -> None:
    served = tmp_path / "served"
    served.mkdir()
    size = packed(parts, served / "parts.tar").stat().st_size
    with serving(served) as server:
        ended = survive(tmp_path / "out", f"archive:{server.url}/parts.tar", lambda: server.sent)
    assert (ended.kills, ended.needed) == (KILLS, size)
    assert 0 <= ended.lost <= KILLS * BUDGET


def test_a_bucket(tmp_path: Path, parts: Path, s3_environment: object) -> None:
    store = open_store(f"s3://vqi-killed/{tmp_path.name}")
    images = list(parts.rglob("*.png"))
    for path in images:
        store.put_file(path.relative_to(parts).as_posix(), path)
    notes = tmp_path / "notes"
    notes.touch()
    ended = survive(
        tmp_path / "out",
        f"bucket:{store.uri}",
        lambda: len(notes.read_text().splitlines()),
        {"NOTES": str(notes)},
    )
    assert (ended.kills, ended.needed) == (KILLS, len(images)), "every object is requested once"
    assert 0 <= ended.lost <= KILLS * AT_ONCE
