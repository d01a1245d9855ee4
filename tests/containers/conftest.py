"""The container images, built on a substitute base: required if CI=true, otherwise skipped with a reason."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from vqi_components.declare import LIGHT_IMAGE, TORCH_IMAGE
from vqi_pipelines.ir.graph import Container
from vqi_pipelines.local.containers import Containers
from vqi_pipelines.local.launch import Ended, Job

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "tests" / "containers" / "build"
BUILD_COMPOSE = ROOT / "tests" / "containers" / "build_compose"
COMPOSE_VERSION = "v2.40.3"
PROGRAMS = ("buildah", "podman", "runc", "debootstrap", "ip")
PACKAGES = "buildah podman runc debootstrap netavark aardvark-dns iproute2 iptables"


def missing() -> str:
    """Why no image can be built here; empty if they can."""
    absent = [program for program in PROGRAMS if not shutil.which(program)]
    if absent:
        return f"no {absent[0]} here: apt-get install {PACKAGES}"
    return "" if os.getuid() == 0 else "only root can build the substitute base"


def podman(*arguments: str, check: bool = True) -> str:
    """What podman prints."""
    done = subprocess.run(["podman", *arguments], capture_output=True, text=True)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout


def find_compose() -> str | None:
    """Docker Compose: ``$DOCKER_COMPOSE``, ``docker-compose`` on the path, or one that was built before."""
    built = (
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vqi" / f"docker-compose-{COMPOSE_VERSION}"
    )
    for found in (
        os.environ.get("DOCKER_COMPOSE"),
        shutil.which("docker-compose"),
        str(built) if built.exists() else None,
    ):
        if found:
            return found
    return None


@pytest.fixture(scope="session")
def compose() -> list[str]:
    """The command that reads images/compose.yaml; required if CI=true."""
    found = find_compose()
    if found is None:
        lacking = f"no docker-compose: put it on the path, set DOCKER_COMPOSE, or build it with {BUILD_COMPOSE}"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(lacking)
    return [found, "--file", str(ROOT / "images" / "compose.yaml")]


@pytest.fixture(scope="session")
def images() -> Iterator[None]:
    """The images of this tree, in a storage of their own that podman is configured to use."""
    required = os.environ.get("CI") == "true"
    if reason := missing():
        (pytest.fail if required else pytest.skip)(reason)
    told = subprocess.run([BUILD, "env"], capture_output=True, text=True, check=True).stdout.split()
    with pytest.MonkeyPatch.context() as patch:
        for name, _, value in (pair.partition("=") for pair in told):
            patch.setenv(name, value)
        there = Path(os.environ["CONTAINERS_STORAGE_CONF"]).exists() and podman("images", "--quiet", "vqi-torch")
        if not required and not there:
            pytest.skip(f"the images are built if CI=true, or after {BUILD.relative_to(ROOT)} has built them here")
        done = subprocess.run([BUILD], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        yield


@pytest.fixture
def new_job(tmp_path: Path) -> Callable[..., Job]:
    """``new_job(code, image=, inputs=, environment=, **resources)``: a step that runs Python code in a container."""

    def make(
        code: str,
        *arguments: str,
        image: str = LIGHT_IMAGE,
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
    launcher.check([LIGHT_IMAGE, TORCH_IMAGE])
    return launcher


def said(job: Job, ended: Ended) -> Any:
    """The JSON that a step printed, on a line of its own; the log has its warnings, too."""
    text = job.log.read_text()
    assert ended.code == 0, (ended, text)
    for line in reversed(text.splitlines()):
        with suppress(json.JSONDecodeError):
            return json.loads(line)
    pytest.fail(f"no line of JSON in the log:\n{text}")


def containers() -> list[str]:
    """The names of all containers, running or not."""
    return podman("ps", "--all", "--format", "{{.Names}}").split()


@contextmanager
def served(folder: Path, command: list[str], environment: dict[str, str]) -> Iterator[str]:
    """podman's service, which has the API of Docker's daemon; yields its address, for DOCKER_HOST."""
    address = folder / "podman.sock"
    with (folder / "service.log").open("wb") as log:
        service = subprocess.Popen(
            [*command, "system", "service", "--time=0", f"unix://{address}"], env=environment, stderr=log
        )
    try:
        wait_until_served(address, service)
        yield f"unix://{address}"
    finally:
        service.terminate()
        service.wait(300)


def wait_until_served(address: Path, service: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX) as client:
            if not client.connect_ex(str(address)):
                return
        try:
            service.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
        break
    pytest.fail(f"podman's service did not respond at {address}: {(address.parent / 'service.log').read_text()}")
