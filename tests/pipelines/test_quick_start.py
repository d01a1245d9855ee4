"""What a run imports before its first step, and the steps that run each time: a package that is slow to import makes the
same command again slow, when nothing changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What `vqi run` does in its own process until the end of the run, except for walking the graph, which needs only what is
# imported by then. The page of all runs comes later.
RUN = """
import sys
from vqi_pipelines import local
from vqi_pipelines.commands.group import vqi
from vqi_pipelines.local.state import DONE, RunState
def run_pipeline(pipeline, parameters, *, runs_dir, observer, **settings):
    run = RunState("run", runs_dir, pipeline.name, parameters, observer, state=DONE)
    observer.begin(run)
    observer.end(run)
    sys.exit()
local.run_pipeline = run_pipeline
try:
    vqi(["run", *sys.argv[1:]])
except SystemExit as end:
    assert not end.code
"""
STEP = "import sys, vqi_components.{}.__main__"
CLUSTERS = {"kfp", "hera", "kubernetes", "google.protobuf"}
NETWORK = {"torch", "torchvision", "timm", "openvino"}
WEB = {"requests", "urllib3", "minio", "obstore", "tenacity"}
PAGES = {"jinja2", "rich"}
NUMBERS = {"scipy", "sklearn"}
SLOW = CLUSTERS | NETWORK | WEB | PAGES | NUMBERS


def imported(code: str, *arguments: str, **environment: str) -> set[str]:
    """The modules that a process has imported after ``code``."""
    command = [sys.executable, "-c", f"{code}\nprint()\nprint(*sys.modules)", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})
    assert done.returncode == 0, done.stdout + done.stderr
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("source", ["elpv", "folder:{}/parts"])
def test_a_run_imports_nothing_slow_before_its_first_step(source: str, tmp_path: Path) -> None:
    compiled = {"VQI_COMPILED_PIPELINE": str(ROOT / "manifests" / "local" / "training.yaml")}
    places = ["--runs-dir", str(tmp_path / "runs"), "--store", str(tmp_path / "store")]
    for number in range(3):
        (good := tmp_path / "parts" / "bracket" / "train" / "good").mkdir(parents=True, exist_ok=True)
        (good / f"{number}.png").touch()
    found = imported(RUN, "-p", f"source={source.format(tmp_path)}", *places, **compiled)
    assert "vqi_pipelines.results" in found
    assert ("vqi.datasets.plan" in found) == source.startswith("folder")
    assert not found & {*SLOW, "numpy", "PIL", "vqi.datasets.archive"}


@pytest.mark.parametrize("step", ["dataset_download", "publish"])
def test_a_step_that_runs_each_time_imports_nothing_slow(step: str) -> None:
    found = imported(STEP.format(step))
    assert f"vqi_components.{step}.__main__" in found
    assert not found & SLOW
