"""Killed at random moments and started again: the same dataset in the end, and little fetched twice."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.benchmarks import sources
from tests.benchmarks.measure import table
from tests.file_server import serving
from tests.kills import kill_and_go_on
from tests.step_outputs import output_flags
from vqi.system.concurrency import BUDGET

KILLS = 20
IMAGES = int(1000 * sources.SCALE)
# The step, with every object that it asks for noted before.
NOTED = """
import os, sys
from vqi_components.dataset_download.__main__ import main
from vqi.store.s3 import S3Store
get_version = S3Store.get_version
def noted(store, version, path):
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(version.key + chr(10))
    get_version(store, version, path)
S3Store.get_version = noted
sys.exit(main(sys.argv[1:]))
"""


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        served = Path(scratch) / "served"
        served.mkdir()
        sources.write_images(served / "parts.tar", IMAGES)
        with serving(served) as server:
            source = f"archive:{server.url}/parts.tar"
            rows.append(_survive("archive:http://", Path(scratch), source, lambda: server.sent, {}))
    with tempfile.TemporaryDirectory() as scratch, sources.bucket(Path(scratch), IMAGES) as environment:
        notes = Path(scratch) / "notes"
        notes.touch()

        def asked() -> int:
            return notes.read_bytes().count(b"\n") * sources.OBJECT_BYTES

        settings = {**environment, "NOTES": str(notes)}
        rows.append(_survive("bucket:s3://", Path(scratch), "bucket:s3://bench/parts", asked, settings))
    heads = ["source", "kills", "begun from scratch", "fetched twice, per kill", "the same dataset"]
    table(f"Killed {KILLS} times at random moments, {IMAGES} images of 900 KB", heads, rows)


def _survive(
    name: str, scratch: Path, source: str, fetched: Callable[[], int], environment: dict[str, str]
) -> Sequence[object]:
    """One row. ``fetched``: bytes that were asked for so far."""
    digests = set()
    out = scratch / "out"

    def from_nothing() -> None:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()

    def after_round() -> None:
        digests.add(json.loads((out / "catalog").read_text())["digest"])

    command = [sys.executable, "-c", NOTED, "--source", source, *output_flags("dataset_download", out)]
    settings = {**os.environ, "VQI_STORE": str(out / "store"), "VQI_CACHE": str(out / "cache"), **environment}
    ended = kill_and_go_on(command, settings, KILLS, from_nothing, fetched, after_round)
    twice = ended.lost / ended.kills
    assert 0 <= twice <= BUDGET, f"{name}: {twice:.0f} bytes were fetched twice per kill"
    assert len(digests) == 1, digests
    return [name, ended.kills, ended.rounds, f"{twice / 1e6:.1f} MB", "yes"]
