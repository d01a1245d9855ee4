"""The container images, built on a stand-in base: required where CI=true, skipped with a reason elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipelines.containers import Containers
from pipelines.graph import Container
from pipelines.launch import Ended, Job

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "tests" / "containers" / "build"
PROGRAMS = ("buildah", "podman", "runc", "debootstrap")


def missing() -> str:
    """Why no image can be built here; empty where they can."""
    absent = [program for program in PROGRAMS if not shutil.which(program)]
    if absent:
        return f"no {absent[0]} here: apt-get install {' '.join(PROGRAMS)}"
    return "" if os.getuid() == 0 else "the stand-in base is built by root only"


def podman(*arguments: str, check: bool = True) -> str:
    """What podman prints."""
    done = subprocess.run(["podman", *arguments], capture_output=True, text=True, timeout=280)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def images() -> Iterator[None]:
    """The images vqi:latest and vqi-torch:latest of this tree, in a storage of their own that podman is pointed at."""
    required = os.environ.get("CI") == "true"
    if reason := missing():
        (pytest.fail if required else pytest.skip)(reason)
    told = subprocess.run([BUILD, "env"], capture_output=True, text=True, check=True).stdout.split()
    with pytest.MonkeyPatch.context() as patch:
        for name, _, value in (pair.partition("=") for pair in told):
            patch.setenv(name, value)
        there = Path(os.environ["CONTAINERS_STORAGE_CONF"]).exists() and podman("images", "--quiet", "vqi-torch")
        if not required and not there:
            pytest.skip(f"the images are built where CI=true, or once {BUILD.relative_to(ROOT)} has built them here")
        done = subprocess.run([BUILD, "light", "torch"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        yield


@pytest.fixture
def new_job(tmp_path: Path) -> Callable[..., Job]:
    """``new_job(code, image=, inputs=, environment=, **resources)``: a step that runs Python code in a container."""

    def make(
        code: str,
        *arguments: str,
        image: str = "vqi:latest",
        inputs: list[Path] | None = None,
        environment: Mapping[str, str] | None = None,
        **resources: Any,
    ) -> Job:
        folder = tmp_path / "job"
        (folder / "work").mkdir(parents=True, exist_ok=True)
        command = ("python", "-c", code, *arguments)
        return Job(
            "bracket/probe", Container(image, command, (), (), resources), command, folder, inputs or [], {},
            environment or {}, tmp_path / "log.txt", lambda _: None,
        )  # fmt: skip

    return make


@pytest.fixture
def launcher(images: None) -> Containers:
    """The launcher of podman, which has checked both images."""
    launcher = Containers("podman")
    launcher.check(["vqi:latest", "vqi-torch:latest"])
    return launcher


def said(job: Job, ended: Ended) -> Any:
    """The JSON that a step printed."""
    text = job.log.read_text()
    assert ended.code == 0, (ended, text)
    return json.loads(text.splitlines()[-1])


def containers() -> list[str]:
    """The names of all containers, running or not."""
    return podman("ps", "--all", "--format", "{{.Names}}").split()
