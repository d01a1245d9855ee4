"""What a step in a container has and does not have, seen from inside."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.containers.conftest import containers, podman, said
from vqi_pipelines.local.containers import Containers
from vqi_pipelines.local.launch import Job

PROBE = """
import errno, json, os, pathlib, socket, sys
def attempt(action):
    try:
        action()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"
status = dict(line.split(":\\t", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines())
print(json.dumps({
    "uid": os.getuid(), "home": os.path.expanduser("~"), "cwd": os.getcwd(), "names": sorted(os.environ),
    "capabilities": [status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd")],
    "no_new_privileges": status["NoNewPrivs"],
    "first_process": pathlib.Path("/proc/1/comm").read_text().strip(),
    "processes": next(path.read_text().strip() for path in map(pathlib.Path, (
        "/sys/fs/cgroup/pids/pids.max", "/sys/fs/cgroup/pids.max")) if path.exists()),
    "interfaces": sorted(name for _, name in socket.if_nameindex()),
    "connect": attempt(lambda: socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)),
    "root": attempt(lambda: pathlib.Path("/opt/vqi/new").write_text("x")),
    "input": attempt(lambda: pathlib.Path(sys.argv[2]).write_text("x")),
    "work": attempt(lambda: pathlib.Path("new").write_text("x")),
    "outputs": attempt(lambda: pathlib.Path("../new").write_text("x")),
    "tmp": attempt(lambda: pathlib.Path("/tmp/new").write_text("x")),
}))
"""


def test_a_step_has_no_more_than_it_needs(launcher: Containers, new_job: Callable[..., Job], tmp_path: Path) -> None:
    given = tmp_path / "given.txt"
    given.write_text("untouched")
    given.chmod(0o666)
    with socket.create_server(("127.0.0.1", 0)) as server:
        secrets = {"AWS_SECRET_ACCESS_KEY": "SK", "VQI_STORE": "s3://bucket", "http_proxy": "http://127.0.0.1:1"}
        job = new_job(PROBE, str(server.getsockname()[1]), str(given), inputs=[given], environment=secrets)
        seen = said(job, asyncio.run(launcher.run(job)))
    assert seen["uid"] == 10001
    assert set(seen["capabilities"]) == {"0" * 16}
    assert seen["no_new_privileges"] == "1"
    assert seen["first_process"] == "tini"
    assert seen["interfaces"] == ["lo"]
    assert seen["processes"] == "4096"
    assert seen["connect"] == "ECONNREFUSED"
    assert (seen["root"], seen["input"]) == ("EROFS", "EROFS")
    assert (seen["work"], seen["outputs"], seen["tmp"]) == ("done", "done", "done")
    assert given.read_text() == "untouched"
    assert not secrets.keys() & set(seen["names"])
    assert seen["home"] == "/tmp"
    assert seen["cwd"] == str(job.folder / "work")
    assert not [name for name in containers() if "probe" in name]


def test_a_folder_below_the_home_of_root_is_reached(launcher: Containers, new_job: Callable[..., Job]) -> None:
    with tempfile.TemporaryDirectory(dir=Path.home()) as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "work").mkdir()
        job = replace(new_job("import os; open('new', 'x'); print(os.getuid())"), folder=folder)
        assert said(job, asyncio.run(launcher.run(job))) == 10001
        assert (folder / "work" / "new").exists()


def test_out_of_memory_is_said_with_the_limit(launcher: Containers, new_job: Callable[..., Job]) -> None:
    job = new_job("held = b'x' * (400 << 20)", resourceMemoryLimit="64Mi")
    ended = asyncio.run(launcher.run(job))
    assert ended.code == 128 + signal.SIGKILL
    assert ended.reason == (
        "out of memory at the step's limit of 64 MiB: raise the limit, or make the step use less memory"
    )
    enough = new_job("held = b'x' * (400 << 20); print(len(held))", resourceMemoryLimit="512Mi")
    assert said(enough, asyncio.run(launcher.run(enough))) == 400 << 20


def test_a_kill_that_memory_did_not_cause_is_not_called_so(launcher: Containers, new_job: Callable[..., Job]) -> None:
    ended = asyncio.run(launcher.run(new_job("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")))
    assert ended.code == 128 + signal.SIGKILL
    assert ended.reason.startswith("ended by signal SIGKILL")


THREADS = "import json; from vqi.system.processor import threads; print(json.dumps(threads()))"


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="a limit of one core is visible only with two")
def test_threads_follow_the_limit_of_processors(launcher: Containers, new_job: Callable[..., Job]) -> None:
    told = {"VQI_THREADS": "2", "OMP_NUM_THREADS": "2"}
    one = new_job(THREADS, environment=told, resourceCpuLimit="1")
    assert said(one, asyncio.run(launcher.run(one))) == 1
    one.log.unlink()
    free = new_job(THREADS, environment=told)
    assert said(free, asyncio.run(launcher.run(free))) == 2


SLEEP = """
import pathlib, sys, time
pathlib.Path("../outputs").mkdir(); pathlib.Path("../outputs/half").write_text("half")
print("asleep", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("hears", [True, False], ids=["ends when asked", "deaf to SIGTERM"])
def test_a_cancelled_step_is_gone_within_ten_seconds(
    launcher: Containers, new_job: Callable[..., Job], hears: bool
) -> None:
    code = SLEEP if hears else "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLEEP
    job = new_job(code)

    async def cancel() -> float:
        asleep = asyncio.Event()
        object.__setattr__(job, "on_line", lambda _: asleep.set())
        work = asyncio.ensure_future(launcher.run(job))
        await asyncio.wait_for(asleep.wait(), 60)
        began = time.monotonic()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        return time.monotonic() - began

    assert asyncio.run(cancel()) < (5 if hears else 10)
    assert not [name for name in containers() if "probe" in name]


RUNNER = """
import asyncio, sys
from pathlib import Path
from vqi_pipelines.local.containers import Containers
from vqi_components.declare import LIGHT_IMAGE
from vqi_pipelines.ir.graph import Container
from vqi_pipelines.local.launch import Job
launcher = Containers("podman")
launcher.check([LIGHT_IMAGE])
folder = Path(sys.argv[1])
command = ("python", "-c", sys.argv[2])
job = Job("bracket/orphan", Container(LIGHT_IMAGE, command, ()), command, folder, [], {}, {}, folder / "log", print)
asyncio.run(launcher.run(job))
"""


def test_a_killed_runner_leaves_no_container(images: None, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    sleeper = "import time; print('asleep', flush=True); time.sleep(600)"
    command = [sys.executable, "-u", "-c", RUNNER, str(tmp_path), sleeper]
    runner = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert runner.stdout is not None
    assert runner.stdout.readline() == "asleep\n"
    (name,) = [name for name in containers() if "orphan" in name]
    runner.kill()
    runner.wait()
    runner.stdout.close()
    try:
        assert json.loads(podman("wait", name)) in (143, 137)
    finally:
        podman("rm", "--force", name)


LARGE = """
import io, json, sys, zipfile
from pathlib import Path
from PIL import Image
from vqi.datasets.layout import Shard
from vqi.preparation.images import prepare
picture = io.BytesIO()
Image.new("RGB", (5000, 5000), (90, 120, 150)).save(picture, "PNG")
with zipfile.ZipFile("shard.zip", "w") as archive:
    for number in range(8):
        archive.writestr(f"train/good/{number}.png", picture.getvalue())
report = prepare(Shard(Path("shard.zip"), "0" * 64), Path("images"), "bracket", "64", 0.0, 100_000_000, threads=8)
print(json.dumps(report.images))
"""


def test_photographs_are_decoded_within_the_limit_of_memory(launcher: Containers, new_job: Callable[..., Job]) -> None:
    """Eight at the same time would be 1.6 GB: the limit has room for one."""
    job = new_job(LARGE, resourceMemoryLimit="600Mi")
    assert said(job, asyncio.run(launcher.run(job))) == 8


MEMORY = "import json; from vqi.system.processor import granted_memory; print(json.dumps(granted_memory()))"


def test_the_limit_of_memory_is_seen_inside(launcher: Containers, new_job: Callable[..., Job]) -> None:
    job = new_job(MEMORY, resourceMemoryLimit="256Mi")
    assert said(job, asyncio.run(launcher.run(job))) == 256 << 20
