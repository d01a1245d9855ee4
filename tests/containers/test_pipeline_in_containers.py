"""The whole pipeline with every step in its container gives the scores of the steps as subprocesses."""

import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.containers.conftest import containers, podman
from vqi.store.opening import open_store
from vqi.system.processor import granted_cpus
from vqi_pipelines.compiled import training_ir
from vqi_pipelines.ir import read_ir
from vqi_pipelines.ir.graph import Pipeline
from vqi_pipelines.local import run_pipeline
from vqi_pipelines.local.containers import Containers
from vqi_pipelines.local.progress import PlainLines
from vqi_pipelines.parameters import check_parameters

pytestmark = pytest.mark.usefixtures("images")
FAST = {"engine": "eager", "precision": "fp32", "image_size": 64, "detector": "pca"}
STEPS = (
    "dataset_download", "preprocess", "ssl_finetune", "feature_extract", "pca_fit", "evaluate", "publish", "summarize",
)  # fmt: skip
SECONDS = 10  # from SIGTERM to the end
STEP_SECONDS = 200  # until a step is reached
# A thread per step, as in a container with limits: on some processors more threads compute other last digits.
ONE_THREAD = ("--parallelism", str(granted_cpus()))
ARBITRARY = 1234560000  # as OpenShift assigns them


def command(*flags: str) -> list[str]:
    told = [text for name, value in FAST.items() for text in ("-p", f"{name}={value}")]
    return [str(Path(sys.executable).with_name("vqi")), "run", "-p", "source=folder:parts", *told, *flags]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, make_defect_dataset: Callable[..., Path]) -> Path:
    """A folder with parts, in which the pipeline ran once as subprocesses."""
    folder = tmp_path_factory.mktemp("containers")
    make_defect_dataset(folder / "parts", ["bracket"], train=12, good=4, defective=3, size=64)
    done = subprocess.run(command(*ONE_THREAD), cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def scores(folder: Path) -> bytes:
    (found,) = (folder / "runs" / "latest" / "bracket").rglob("scores.csv")
    return found.read_bytes()


def runs(process: subprocess.Popen[str], step: str) -> bool:
    """Wait until a step runs in its container; False if the command ended first."""
    start = f"python\0-m\0vqi_components.{step}\0".encode()
    deadline = time.monotonic() + STEP_SECONDS
    while time.monotonic() < deadline:
        with os.scandir("/proc") as entries:
            if any(reads(Path(one.path, "cmdline")).startswith(start) for one in entries if one.name.isdecimal()):
                return True
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
        return False
    return False


def reads(path: Path) -> bytes:
    """The content of a file of /proc; empty if its process is gone."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def stop_in(step: str, folder: Path, flags: tuple[str, ...], environment: dict[str, str]) -> None:
    """Start the pipeline, end it with SIGTERM while ``step`` runs, and check what remains."""
    with subprocess.Popen(
        command(*flags), cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        reached = runs(process, step)
        began = time.monotonic()
        process.terminate()
        said, _ = process.communicate()
        seconds = time.monotonic() - began
    assert reached, f"{step} was not reached:\n{said}"
    assert seconds < SECONDS, f"{step} ended after {seconds:.1f} s"
    assert process.returncode not in (0, None), said
    assert not [name for name in containers() if name.startswith("vqi-")]
    latest = (folder / "runs" / "latest").resolve()
    kept = [entry.key for entry in open_store("s3://passing").list(latest.name)]
    task = step.replace("_", "-")
    assert not [key for key in kept if f"/{task}/" in key], "half artifacts"
    assert not list(latest.rglob(".partial"))


def test_ended_in_every_step_and_finished_through_an_object_store(
    trained: Path, tmp_path: Path, s3_environment: Any
) -> None:
    (tmp_path / "parts").symlink_to(trained / "parts")
    environment = {**os.environ, **s3_environment.environment}
    flags = ("--launcher", "podman", "--artifacts", "s3://passing", "--store", "s3://lasting", *ONE_THREAD)
    for step in STEPS:
        stop_in(step, tmp_path, flags, environment)
    done = subprocess.run(command(*flags), cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    passing = open_store("s3://passing")
    run_id = (tmp_path / "runs" / "latest").resolve().name
    record = (tmp_path / "runs" / "latest" / "table.csv").read_bytes()
    assert record == (trained / "runs" / "latest" / "table.csv").read_bytes()
    found = [entry.key for entry in passing.list() if entry.key.endswith("bracket/evaluate/scores/scores.csv")]
    assert {passing.get_bytes(key) for key in found} == {scores(trained)}, (run_id, found)


@pytest.fixture
def somebody(tmp_path: Path) -> Callable[[str], str]:
    """Gives an image an unknown user and a home folder that does not exist; returns its reference."""
    made = []

    def change(image: str) -> str:
        name = f"{image.partition(':')[0]}:somebody"
        told = subprocess.run(["buildah", "from", "--pull-never", image], capture_output=True, text=True, check=True)
        container = told.stdout.strip()
        config = ["--user", f"{ARBITRARY}:0", "--env", "HOME=/nonexistent", "--env", "USER-"]
        subprocess.run(["buildah", "config", *config, container], check=True)
        subprocess.run(["buildah", "commit", "--quiet", "--rm", container, name], check=True, capture_output=True)
        made.append(name)
        return name

    yield change
    podman("rmi", "--force", *made, check=False)


def changed(pipeline: Pipeline, change: Callable[[str], str]) -> Pipeline:
    """The pipeline with other images, and limits for every step."""
    steps = {name: part for name, part in pipeline.components.items() if part.container}
    names = {image: change(image) for image in sorted({part.container.image for part in steps.values()})}
    limits = {"resourceCpuLimit": "1", "resourceMemoryLimit": "2Gi"}
    return replace(
        pipeline,
        components={
            **pipeline.components,
            **{
                name: replace(
                    part, container=replace(part.container, image=names[part.container.image], resources=limits)
                )
                for name, part in steps.items()
            },
        },
    )


def test_as_somebody_without_a_home_and_with_limits(
    trained: Path, tmp_path: Path, somebody: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = changed(read_ir(training_ir()), somebody)
    parameters = check_parameters(pipeline, {"source": f"folder:{trained / 'parts'}", **FAST})
    output = io.StringIO()
    run = run_pipeline(
        pipeline, parameters, runs_dir=tmp_path / "runs", parallelism=1, use_cache=True, artifacts=None,
        environment={"VQI_STORE": f"file://{tmp_path / 'store'}"}, observer=PlainLines(output),
        launcher=Containers("podman"),
    )  # fmt: skip
    assert run.state == "done", output.getvalue()
    assert scores(tmp_path) == scores(trained)
    (model,) = (tmp_path / "store" / "models").glob("*/*/*/manifest.json")
    assert model.stat().st_uid == ARBITRARY
