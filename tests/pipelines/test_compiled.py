"""The compiled pipeline: what is checked in is what it compiles to."""

import subprocess
import sys
from pathlib import Path

from vqi_pipelines.compiled import training_ir
from vqi_pipelines.manifests import write_manifests

MANIFESTS = Path(__file__).parents[2] / "manifests"


def test_manifests_are_up_to_date(tmp_path: Path) -> None:
    written = {path.relative_to(tmp_path): path.read_text() for path in write_manifests(tmp_path)}
    golden = {path.relative_to(MANIFESTS): path.read_text() for path in MANIFESTS.rglob("*.yaml")}
    assert written == golden, "run 'make compile' and commit the result"


def test_compiling_twice_gives_the_same() -> None:
    assert training_ir() == training_ir()


def test_running_does_not_wait_for_the_libraries_of_clusters() -> None:
    code = "import sys, vqi_pipelines.compiled, vqi_pipelines.local; print('hera' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
