"""images/compose.yaml run by Docker Compose, against podman's service instead of Docker's daemon.

All of it is in a network namespace of its own: bridges and name servers are podman's, and nothing leaves it. The store
replaces the image that the file names: the same program, on the base of the other substitutes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import find_weed
from tests.containers.conftest import containers, podman, served

pytestmark = pytest.mark.usefixtures("images")
STORE = "localhost/vqi-stand-in-seaweedfs:4.48"
SETTINGS = "engine: eager\nprecision: fp32\nimage_size: 64\ndetector: pca\n"
HEALTH_INTERVAL = 2  # seconds, as in compose.yaml for the store
STEPS = 10001  # the steps' user by default
# What the official image's wget does for the health check.
WGET = "#!/usr/bin/python3\nimport sys, urllib.request\nurllib.request.urlopen(sys.argv[-1], timeout=2)\n"


@dataclass(frozen=True)
class Project:
    """A Compose project and its folders."""

    command: list[str]
    name: str
    folder: Path
    environment: dict[str, str]

    def compose(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run Docker Compose."""
        return subprocess.run(
            [*self.command, "--project-name", self.name, *arguments], env={**self.environment, **settings},
            cwd=self.folder, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def volume(self, name: str) -> list[str]:
        """The project's volumes of that name."""
        return podman("volume", "ls", "--quiet", "--filter", f"name={self.name}_{name}").split()

    def run(self, service: str, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """``docker compose run SERVICE COMMAND``, with the container's exit code: podman always gives Compose 0."""
        name = f"{self.name}-{service}-run"
        try:
            done = self.compose("run", "--name", name, "-T", service, *command, **settings)
            if "unhealthy" in done.stderr:
                logs = ["podman", "logs", "--tail", "30", f"{self.name}-store-1"]
                done.stderr += subprocess.run(logs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
            told = podman("container", "inspect", "--format", "{{.State.ExitCode}}", name, check=False).strip()
        finally:
            podman("rm", "--force", "--volumes", "--time", "0", name, check=False)
        done.returncode = int(told) if told else done.returncode or 1
        return done


@pytest.fixture(scope="module")
def stand_in_store(images: None) -> Iterator[str]:
    """An image with SeaweedFS and what compose.yaml expects of the official one: its user, its /data and wget."""
    base = "docker.io/library/python:3.11-slim-bookworm"
    made = subprocess.run(["buildah", "from", "--pull-never", base], capture_output=True, text=True, check=True)
    container = made.stdout.strip()
    root = Path(
        subprocess.run(["buildah", "mount", container], capture_output=True, text=True, check=True).stdout.strip()
    )
    shutil.copy(find_weed(), root / "usr/bin/weed")
    (root / "usr/bin/wget").write_text(WGET)
    (root / "usr/bin/wget").chmod(0o755)
    (root / "data").mkdir()
    os.chown(root / "data", 1000, 1000)
    subprocess.run(["buildah", "commit", "--quiet", "--rm", container, STORE], check=True, capture_output=True)
    yield STORE
    podman("rmi", "--force", STORE, check=False)


def in_a_network_of_its_own(folder: Path) -> dict[str, str]:
    """The environment for podman with networks that have names, in ``folder``; health checks are run by the tests."""
    settings = folder / "containers.conf"
    kept = Path(os.environ["CONTAINERS_CONF"]).read_text().replace('netns = "host"', 'netns = "bridge"')
    networks = f'[network]\nnetwork_backend = "netavark"\nnetwork_config_dir = "{folder / "networks"}"\n'
    settings.write_text(kept + networks)
    return {**os.environ, "CONTAINERS_CONF": str(settings), "DISABLE_HC_SYSTEMD": "true"}


@contextmanager
def health_checked(container: str, environment: dict[str, str]) -> Iterator[None]:
    """Health checks as Docker's daemon runs them; podman leaves them to systemd, which is not available everywhere."""
    ended = threading.Event()

    def check() -> None:
        while not ended.wait(HEALTH_INTERVAL):
            subprocess.run(["podman", "healthcheck", "run", container], env=environment, capture_output=True)

    thread = threading.Thread(target=check)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.fixture(scope="module")
def project(
    compose: list[str], stand_in_store: str, tmp_path_factory: pytest.TempPathFactory,
    make_defect_dataset: Callable[..., Path],
) -> Iterator[Project]:  # fmt: skip
    """The project with photographs, a parameter file, and a folder for the output that the steps may write to."""
    folder = tmp_path_factory.mktemp("compose")
    make_defect_dataset(folder / "parts", ["bracket"], train=12, good=4, defective=3, size=64)
    (folder / "configs").mkdir()
    (folder / "configs" / "fast.yaml").write_text(f"source: folder:/data\n{SETTINGS}")
    (folder / "output").mkdir()
    os.chown(folder / "output", STEPS, 0)
    told = {
        "DATASET_DIR": str(folder / "parts"), "CONFIG_DIR": str(folder / "configs"), "CONFIG": "fast",
        "OUTPUT_DIR": str(folder / "output"), "SEAWEEDFS_IMAGE": stand_in_store,
    }  # fmt: skip
    # Against podman's service Compose creates the store again at every run, and SeaweedFS takes 15 s to end.
    (folder / "impatient.yaml").write_text("services: {store: {stop_grace_period: 1s}}\n")
    name = f"vqi-{os.getpid()}"
    environment = in_a_network_of_its_own(folder)
    apart = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec podman "$@"', "sh"]
    with served(folder, apart, environment) as address, health_checked(f"{name}-store-1", environment):
        command = [*compose, "--file", str(folder / "impatient.yaml")]
        project = Project(command, name, folder, {**environment, **told, "DOCKER_HOST": address})
        try:
            yield project
        finally:
            down = project.compose("--profile", "dev", "down", "--volumes", "--timeout", "5")
            assert down.returncode == 0, down.stderr
    assert not [one for one in containers() if one.startswith(name)]


def scores(runs: Path) -> bytes:
    (found,) = (runs / "latest" / "bracket").rglob("scores.csv")
    return found.read_bytes()


@pytest.fixture(scope="module")
def trained(project: Project) -> Path:
    """The run folders after ``docker compose run pipeline``."""
    done = project.run("pipeline")
    assert done.returncode == 0, done.stdout + done.stderr
    return project.folder / "output" / "runs"


def test_the_pipeline_runs_and_gives_the_scores_of_a_run_without_containers(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "fast.yaml").write_text(f"source: folder:{trained.parents[1] / 'parts'}\n{SETTINGS}")
    vqi = Path(sys.executable).with_name("vqi")
    # compose.yaml passes on no choice of the instruction sets to use
    chosen = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
    command = [vqi, "run", "--file", "fast.yaml"]
    done = subprocess.run(command, cwd=tmp_path, env=chosen, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert scores(trained) == scores(tmp_path / "runs")
    assert (trained / "latest" / "table.html").exists()
    assert (trained / "latest").stat().st_uid == STEPS


def test_what_the_store_was_given_stays(project: Project, trained: Path) -> None:
    photograph = next((project.folder / "parts" / "bracket" / "test").rglob("*.png"))
    inside = f"/data/{photograph.relative_to(project.folder / 'parts')}"
    stopped = project.compose("down", "--timeout", "1")  # SIGKILL: a store must survive that
    assert stopped.returncode == 0, stopped.stderr
    done = project.run("pipeline", "vqi", "predict", "s3://vqi/models/data/bracket", inside)
    assert done.returncode == 0, done.stdout + done.stderr
    header, row = done.stdout.strip().splitlines()
    assert header == "path,score,threshold,decision,p_value,boxes,map,error"
    assert row.startswith(inside)
    assert len(project.volume("keys")) == len(project.volume("store")) == 1


PROBE = """
import errno, json, os, pathlib, socket
from vqi.errors import VqiError
from vqi.store.opening import open_store
def attempt(action):
    try:
        action()
    except OSError as error:
        return errno.errorcode.get(error.errno, type(error).__name__)
    return "done"
def connect(port):
    return attempt(lambda: socket.create_connection(("store", port), 5).close())
def listed(secret):
    os.environ["AWS_SECRET_ACCESS_KEY"] = secret
    try:
        return len(list(open_store("s3://vqi").list())) > 0
    except VqiError as error:
        return str(error)
status = dict(line.split(":\\t", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines())
print(json.dumps({
    "uid": os.getuid(), "capabilities": {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd")}.pop(),
    "no_new_privileges": status["NoNewPrivs"], "first_process": pathlib.Path("/proc/1/comm").read_text().strip(),
    "root": attempt(lambda: pathlib.Path("/opt/vqi/new").write_text("x")),
    "data": attempt(lambda: pathlib.Path("/data/new").write_text("x")),
    "configs": attempt(lambda: pathlib.Path("/configs/new").write_text("x")),
    "keys": attempt(lambda: pathlib.Path("/keys/new").write_text("x")),
    "tmp": attempt(lambda: pathlib.Path("/tmp/new").write_text("x")),
    "ports": {port: connect(port) for port in (8333, 8888, 9333, 8080, 18888)},
    "with the key": listed(os.environ["AWS_SECRET_ACCESS_KEY"]), "with another": listed("x" * 40),
}))
"""


def test_a_container_of_the_project_has_no_more_than_it_needs(project: Project, trained: Path) -> None:
    done = project.run("pipeline", "python", "-c", PROBE)
    assert done.returncode == 0, done.stdout + done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert (seen["uid"], seen["capabilities"], seen["no_new_privileges"]) == (STEPS, "0" * 16, "1")
    assert seen["first_process"] == "tini"
    assert {seen[name] for name in ("root", "data", "configs", "keys")} == {"EROFS"}
    assert seen["tmp"] == "done"
    assert seen["with the key"] is True
    assert "SignatureDoesNotMatch" in seen["with another"] or "AWS_SECRET_ACCESS_KEY" in seen["with another"]
    assert seen["ports"] == {"8333": "done"} | dict.fromkeys(("8888", "9333", "8080", "18888"), "ECONNREFUSED")


def test_somebody_else_may_be_the_user_and_the_source_be_that_of_the_checkout(project: Project, tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.mkdir()
    os.chown(output, 1234, 1234)
    ask = "import os, vqi, vqi_pipelines; open('mine', 'x'); print(os.getuid(), vqi.__file__, vqi_pipelines.__file__)"
    done = project.run("dev", "python", "-c", ask, VQI_USER="1234:0", OUTPUT_DIR=str(output))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1234", "/source/src/vqi/__init__.py", "/source/src/vqi_pipelines/__init__.py"]
    assert (output / "mine").stat().st_uid == 1234


def test_an_output_that_the_steps_may_not_write_to_is_one_line(project: Project, tmp_path: Path) -> None:
    done = project.run("pipeline", OUTPUT_DIR=str(tmp_path))
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert "/output/runs: Permission denied: choose a folder" in line, line
