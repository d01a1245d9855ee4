"""``vqi run --launcher docker`` with Docker's own client, against podman's service instead of its daemon."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.containers.conftest import containers, served

pytestmark = [
    pytest.mark.skipif(not shutil.which("docker"), reason="no docker client here"),
]
SOURCE = ("-p", "source=folder:parts")
FAST = ("-p", "engine=eager", "-p", "precision=fp32", "-p", "image_size=64", "-p", "detector=pca", *SOURCE)
VQI = Path(sys.executable).with_name("vqi")


@pytest.fixture(scope="module")
def environment(images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which docker uses podman's service, with a configuration of its own."""
    folder = tmp_path_factory.mktemp("docker")
    with served(folder, ["podman"], dict(os.environ)) as address:
        yield {**os.environ, "DOCKER_HOST": address, "DOCKER_CONFIG": str(folder)}


@pytest.fixture
def parts(tmp_path: Path, make_defect_dataset: Callable[..., Path]) -> Path:
    """A folder with photographs in ``parts``."""
    make_defect_dataset(tmp_path / "parts", ["bracket"], train=12, good=4, defective=3, size=64)
    return tmp_path


def scores(folder: Path) -> bytes:
    (found,) = (folder / "runs" / "latest" / "bracket").rglob("scores.csv")
    return found.read_bytes()


def run(folder: Path, environment: dict[str, str], *flags: str) -> subprocess.CompletedProcess[str]:
    command = [VQI, "run", *FAST, *flags]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_the_pipeline_gives_the_scores_of_a_run_as_subprocesses(environment: dict[str, str], parts: Path) -> None:
    expected = run(parts, dict(os.environ))
    assert expected.returncode == 0, expected.stdout + expected.stderr
    reference = scores(parts)
    shutil.rmtree(parts / "store")
    done = run(parts, environment, "--launcher", "docker")
    assert done.returncode == 0, done.stdout + done.stderr
    assert scores(parts) == reference
    assert not [name for name in containers() if name.startswith("vqi-")]


def test_sigterm_ends_it_within_ten_seconds(environment: dict[str, str], parts: Path) -> None:
    command = [VQI, "run", *FAST, "--launcher", "docker"]
    with subprocess.Popen(
        command, cwd=parts, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        deadline = time.monotonic() + 200
        while not [name for name in containers() if name.startswith("vqi-bracket")]:
            assert time.monotonic() < deadline
            with pytest.raises(subprocess.TimeoutExpired):  # it must not end before
                process.wait(0.1)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate()
    assert time.monotonic() - began < 10
    assert process.returncode not in (0, None), said
    assert not [name for name in containers() if name.startswith("vqi-")]


def test_a_daemon_that_does_not_run_is_one_line(parts: Path) -> None:
    absent = {**os.environ, "DOCKER_HOST": f"unix://{parts / 'no.sock'}"}
    done = run(parts, absent, "--launcher", "docker")
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: launcher 'docker': docker did not respond (")
    assert line.endswith("start its service, such as 'systemctl start docker', or use another --launcher")


def test_an_image_that_is_not_there_is_one_line(environment: dict[str, str], parts: Path) -> None:
    ask = (
        "from vqi_pipelines.local.containers import Containers\nfrom vqi.errors import VqiError\n"
        "try:\n    Containers('docker').check(['vqi:no-such-tag'])\nexcept VqiError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", ask], env=environment, capture_output=True, text=True)
    assert done.stdout == (
        "container image 'vqi:no-such-tag' is not on this machine: 'make images ENGINE=docker' builds it, "
        "'docker pull vqi:no-such-tag' fetches it from a registry\n"
    ), done.stderr
