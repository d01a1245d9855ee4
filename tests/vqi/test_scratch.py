"""Scratch folders: gone afterwards, and those of killed processes gone with the next one."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from vqi.scratch import NEW_SECONDS, PREFIX, scratch_folder

WAIT = """
import sys
from vqi.scratch import scratch_folder
with scratch_folder() as folder:
    (folder / "shard").write_bytes(b"x")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def make_old(folder: Path) -> None:
    long_ago = folder.stat().st_mtime - NEW_SECONDS - 1
    os.utime(folder, (long_ago, long_ago))


def test_gone_afterwards(temporary: Path) -> None:
    with scratch_folder() as folder:
        (folder / "shard").touch()
        assert folder.parent == temporary
    assert not list(temporary.iterdir())


def test_of_a_living_process_and_of_a_killed_one() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WAIT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        left = Path(process.stdout.readline().strip())
        make_old(left)
        with scratch_folder():
            assert (left / "shard").exists(), "it is in use"
        process.kill()
        process.wait()
    assert left.exists()
    with scratch_folder():
        assert not left.exists()


def test_one_that_is_only_being_made_stays(temporary: Path) -> None:
    begun = temporary / f"{PREFIX}begun"
    begun.mkdir()
    with scratch_folder():
        assert begun.exists()


def test_what_is_not_ours_stays(temporary: Path) -> None:
    elsewhere = temporary / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    link = temporary / f"{PREFIX}link"
    link.symlink_to(elsewhere)
    long_ago = link.lstat().st_mtime - NEW_SECONDS - 1
    os.utime(link, (long_ago, long_ago), follow_symlinks=False)
    with scratch_folder():
        assert (elsewhere / "kept").exists()
