"""What the container images contain, what they do not, and what a change of the source rebuilds."""

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.containers.conftest import BUILD, ROOT, podman
from vqi import __version__
from vqi_components.declare import LIGHT_IMAGE, TORCH_IMAGE

pytestmark = pytest.mark.usefixtures("images")
PIPELINE_IMAGE = f"vqi-pipeline:{__version__}"
SERVE_IMAGE, SERVE_TORCH_IMAGE = f"vqi-serve:{__version__}", f"vqi-serve-torch:{__version__}"
ALL = pytest.mark.parametrize("image", [LIGHT_IMAGE, TORCH_IMAGE, PIPELINE_IMAGE, SERVE_IMAGE, SERVE_TORCH_IMAGE])
OF_COMMANDS = ("click", "rich", "watchfiles", "vqi_pipelines")
OF_SERVING = ("fastapi", "uvicorn", "prometheus_client")
PACKAGES = {
    PIPELINE_IMAGE: [*OF_COMMANDS, "sklearn", "torch"],
    SERVE_IMAGE: [*OF_COMMANDS, *OF_SERVING],
    SERVE_TORCH_IMAGE: [*OF_COMMANDS, *OF_SERVING, "torch"],
    LIGHT_IMAGE: ["sklearn"],
    TORCH_IMAGE: ["torch"],
}
LOOKED_FOR = ("kfp", "hera", "pip", "pytest", "elpv_dataset", *OF_COMMANDS, *OF_SERVING, "sklearn", "torch")
PROGRAMS = ("pip", "pip3", "gcc", "cc", "g++", "make", "ld", "curl", "wget")
INSIDE = """
import importlib.util, json, os, shutil, stat, sys
path = "/usr/bin:/bin:/opt/vqi/bin:/usr/local/bin"
setuid = []
for folder, _, files in os.walk("/usr"):
    for name in files:
        mode = os.lstat(os.path.join(folder, name)).st_mode
        if stat.S_ISREG(mode) and mode & 0o6000:
            setuid.append(name)
print(json.dumps({
    "packages": [name for name in sys.argv[1].split() if importlib.util.find_spec(name)],
    "programs": [name for name in sys.argv[2].split() if shutil.which(name, path=path)],
    "setuid": setuid,
}))
"""


def inspected(image: str) -> Any:
    (found,) = json.loads(podman("image", "inspect", image))
    return found


@ALL
def test_how_a_container_starts(image: str) -> None:
    config = inspected(image)["Config"]
    assert config["User"] == "10001:0"
    assert config["Entrypoint"] == ["/usr/bin/tini", "-g", "--"]
    assert {"HOME=/tmp", "USER=vqi"} <= set(config["Env"])
    labels = {name.rpartition(".")[2]: text for name, text in config["Labels"].items() if "opencontainers" in name}
    assert labels["title"] == image.partition(":")[0]
    assert labels["licenses"] == "Apache-2.0"
    assert re.fullmatch(r"\d+\.\d+\.\d+", labels["version"])
    assert re.fullmatch(r"[0-9a-f]{40}|unknown", labels["revision"])


@ALL
def test_nothing_that_no_step_needs(image: str) -> None:
    told = (" ".join(LOOKED_FOR), " ".join(PROGRAMS))
    seen = json.loads(podman("run", "--rm", "--network", "none", image, "python", "-c", INSIDE, *told))
    assert seen == {"packages": PACKAGES[image], "programs": [], "setuid": []}


def test_the_light_image_is_light() -> None:
    base = inspected("docker.io/library/python:3.11-slim-bookworm")["Size"]
    assert inspected(LIGHT_IMAGE)["Size"] - base < 250e6


def test_what_serves_is_light_too() -> None:
    base = inspected("docker.io/library/python:3.11-slim-bookworm")["Size"]
    assert inspected(SERVE_IMAGE)["Size"] - base < 350e6
    assert inspected(SERVE_TORCH_IMAGE)["Size"] - inspected(TORCH_IMAGE)["Size"] < 150e6


SERVED = """
import io, json, subprocess, time
import requests
from PIL import Image

server = subprocess.Popen(["vqi", "serve", "/model"], stdout=subprocess.DEVNULL)
address = "http://127.0.0.1:8000"
while server.poll() is None:
    try:
        ready = requests.get(f"{address}/readyz", timeout=60).json()
        break
    except requests.ConnectionError:
        time.sleep(0.1)
file = io.BytesIO()
Image.new("RGB", (50, 40), (200, 90, 40)).save(file, "PNG")
answer = requests.post(f"{address}/score", data=file.getvalue(), timeout=60).json()
server.terminate()
print(json.dumps([ready, answer["score"], server.wait(60)]))
"""


@pytest.mark.parametrize("image", [SERVE_IMAGE, SERVE_TORCH_IMAGE])
def test_an_exported_file_is_served_in_a_restricted_container(image: str, tmp_path: Path) -> None:
    from tests.vqi.made_export import write  # it imports OpenVINO

    folder = write(tmp_path / "model").parent
    restricted = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "all", "--user", "12345:0", "--network", "none")
    said = podman("run", "--rm", *restricted, "--volume", f"{folder}:/model:ro", image, "python", "-c", SERVED)
    ready, score, code = json.loads(said)
    assert (ready["ready"], ready["models"]["bracket"]["version"], code) == (True, 3, 0)
    assert score == pytest.approx(110), "the mean of the pixels"


def test_the_torch_image_is_light_but_for_cuda() -> None:
    """What the CPU build of torch does not have: the libraries of CUDA, and torch's own that call them."""
    script = (
        "import pathlib; packages = pathlib.Path('/opt/vqi/lib/python3.11/site-packages');"
        "cuda = [*(packages / 'nvidia').rglob('*'), *(packages / 'torch/lib').glob('*cuda*')];"
        "print(sum(path.stat().st_size for path in cuda if path.is_file()))"
    )
    cuda = int(podman("run", "--rm", "--network", "none", TORCH_IMAGE, "python", "-c", script))
    base = inspected("docker.io/library/python:3.11-slim-bookworm")["Size"]
    assert cuda > 4e9
    assert inspected(TORCH_IMAGE)["Size"] - base - cuda < 1.4e9


def test_cuda_libraries_are_a_layer_of_their_own() -> None:
    script = (
        "import json, pathlib; packages = pathlib.Path('/opt/vqi/lib/python3.11/site-packages');"
        "print(json.dumps([(packages / name).is_dir() for name in ('nvidia', 'torch', 'vqi')]))"
    )
    layer = podman("history", "--no-trunc", "--format", "{{.CreatedBy}}", TORCH_IMAGE).splitlines()
    cuda, torch = (
        next(i for i, made in enumerate(layer) if f"install {name}.txt" in made) for name in ("cuda", "torch")
    )
    source = next(i for i, made in enumerate(layer) if "compileall" in made)
    assert source < torch < cuda  # newest first
    assert json.loads(podman("run", "--rm", TORCH_IMAGE, "python", "-c", script)) == [True, True, True]


def changed_build(copy: Path, line: str) -> float:
    """Build all images of a copy of the tree whose source has one more line; returns the seconds that it took."""
    with (copy / "src" / "vqi" / "errors.py").open("a") as file:
        file.write(f"\n{line}\n")
    began = time.monotonic()
    done = subprocess.run(
        [copy / "tests" / "containers" / "build"], env={**os.environ, "TAG": "changed"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return time.monotonic() - began


def test_a_change_of_the_source_builds_in_seconds(tmp_path: Path) -> None:
    for name in (".dockerignore", "pyproject.toml", "images", "src", "components", "pipelines", "manifests"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    (tmp_path / "tests" / "containers").mkdir(parents=True)
    shutil.copy(BUILD, tmp_path / "tests" / "containers" / "build")
    images = ("vqi", "vqi-torch", "vqi-pipeline", "vqi-serve", "vqi-serve-torch")
    try:
        seconds = changed_build(tmp_path, "CHANGED = True")
        for name in images:
            script = "from vqi.errors import CHANGED; print(CHANGED)"
            assert podman("run", "--rm", f"{name}:changed", "python", "-c", script) == "True\n"
            kept, changed = (inspected(f"{name}:{tag}")["RootFS"]["Layers"] for tag in (__version__, "changed"))
            shared = [layer for layer in changed if layer in kept]
            assert len(changed) - len(shared) <= 6, "source, steps, pipelines, folders, compiled pipeline, bytecode"
        if seconds >= 45:  # other work on the machine slows it down: the better of two
            seconds = min(seconds, changed_build(tmp_path, "CHANGED_AGAIN = True"))
    finally:
        podman("rmi", "--force", *(f"{name}:changed" for name in (*images, "vqi-tools")), check=False)
    print(f"\nall images, only source changed: {seconds:.1f} s")
    assert seconds < 45


def test_an_unknown_target_is_one_line() -> None:
    done = subprocess.run([BUILD, "lihgt"], capture_output=True, text=True)
    assert done.returncode == 2
    known = "light, torch, pipeline, serve or serve-torch"
    assert done.stderr.splitlines()[-1] == f"error: unknown target 'lihgt': expected {known}"
