"""Scratch folders: removed afterwards, and those of killed processes by the next one."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from vqi.system.scratch import prefix, scratch_folder

WAIT = """
import sys
from vqi.system.scratch import scratch_folder
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
        with scratch_folder():
            assert (left / "shard").exists(), "it is in use"
        process.kill()
        process.wait()
    assert left.exists()
    with scratch_folder():
        assert not left.exists()


def test_another_machines_stays(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = temporary / f"{prefix()}theirs"
    theirs.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr("platform.node", lambda: "another")
        with scratch_folder():
            assert theirs.exists()
    with scratch_folder():
        assert not theirs.exists()


def test_a_link_leads_nowhere(temporary: Path) -> None:
    elsewhere = temporary / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    (temporary / f"{prefix()}link").symlink_to(elsewhere)
    (temporary / f"{prefix()}dangling").symlink_to(temporary / "nothing")
    with scratch_folder():
        assert (elsewhere / "kept").exists()
    assert not (temporary / "nothing").exists()
