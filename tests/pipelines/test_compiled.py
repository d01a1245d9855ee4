"""The compiled pipeline: the files in the repository are what it compiles to."""

import subprocess
import sys
from pathlib import Path

import pytest

from vqi_pipelines import compiled
from vqi_pipelines.compiled import training_ir
from vqi_pipelines.manifests import write_manifests
from vqi_pipelines.sources import modules_of

MANIFESTS = Path(__file__).parents[2] / "manifests"


def test_manifests_are_up_to_date(tmp_path: Path) -> None:
    written = {path.relative_to(tmp_path): path.read_text() for path in write_manifests(tmp_path)}
    golden = {path.relative_to(MANIFESTS): path.read_text() for path in MANIFESTS.rglob("*.yaml")}
    assert written == golden, "run 'make compile' and commit the result"


def test_compiling_twice_gives_the_same() -> None:
    assert training_ir() == training_ir()


def test_what_was_compiled_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled_times = []

    def compile_it() -> str:
        compiled_times.append(1)
        return f"name: training # {len(compiled_times)}\n"

    monkeypatch.setattr(compiled, "training_ir", compile_it)
    first = compiled.kept_training_ir(tmp_path)
    assert compiled.kept_training_ir(tmp_path) == first
    assert len(compiled_times) == 1
    (kept,) = tmp_path.iterdir()
    for damage in (b"", b"# 00\n", kept.read_bytes()[:-3], kept.read_bytes() + b"x", b"\xff"):
        kept.write_bytes(damage)
        assert compiled.kept_training_ir(tmp_path) != first, damage
        first = compiled.kept_training_ir(tmp_path)
        assert list(tmp_path.iterdir()) == [kept]
    assert len(compiled_times) == 6
    monkeypatch.setattr(compiled, "packages_digest", lambda: "other")
    assert compiled.kept_training_ir(tmp_path) != first
    assert len(list(tmp_path.iterdir())) == 2


IMPORTED = """
import sys, vqi_pipelines.compiled
assert vqi_pipelines.compiled.training_ir()
print(*sys.modules)
import vqi_pipelines.local
print(*sys.modules)
import vqi_pipelines.manifests
print(*sys.modules)
"""


@pytest.fixture(scope="module")
def imported() -> list[set[str]]:
    """The modules of a process that compiled, then of one that could run, then of one that could write manifests."""
    done = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True)
    return [set(line.split()) for line in done.stdout.splitlines()]


def test_all_that_decides_what_is_compiled_is_in_its_key(imported: list[set[str]]) -> None:
    """The project's modules that compiling imports in a process are those read from the sources."""
    ours = {name for name in imported[0] if name.startswith("vqi")}
    assert "vqi_pipelines.training" in ours
    assert ours <= set(modules_of(["vqi_pipelines.compiled", "vqi_pipelines.training"]))


def test_running_does_not_wait_for_the_libraries_of_clusters(imported: list[set[str]]) -> None:
    assert "vqi_pipelines.local" in imported[1]
    assert "hera" not in imported[1]


def test_compiling_needs_no_torch(imported: list[set[str]]) -> None:
    assert "vqi_pipelines.manifests" in imported[2]
    assert not {"torch", "torchvision", "timm"} & imported[2]


def test_a_cache_that_cannot_be_written_to_is_no_reason_to_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VQI_COMPILED_PIPELINE", raising=False)
    monkeypatch.setattr(compiled, "training_ir", lambda: "compiled")
    (tmp_path / "file").touch()
    monkeypatch.setenv("VQI_CACHE", str(tmp_path / "file" / "cache"))
    assert compiled.pipeline_to_run() == "compiled"
    assert compiled.kept_training_ir(tmp_path / "file") == "compiled"
