"""Allocators and OpenMP runtimes, preloaded into the two steps that run a network, each in its container.

Needs podman with the image vqi-torch (tests/containers/build), apt-get for the allocators and pip for Intel's OpenMP.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vqi_components.declare import TORCH_IMAGE

ROOT = Path(__file__).parents[2]
REPEATS = 2
JEMALLOC, TCMALLOC, OPENMP = "libjemalloc.so.2", "libtcmalloc_minimal.so.4", "libiomp5.so"
# What Intel recommends together with its OpenMP.
AFFINITY = {"KMP_AFFINITY": "granularity=fine,compact,1,0", "KMP_BLOCKTIME": "1"}
VARIANTS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "glibc": ((), {}),
    "jemalloc": ((JEMALLOC,), {}),
    "tcmalloc": ((TCMALLOC,), {}),
    "Intel OpenMP": ((OPENMP,), AFFINITY),
    "Intel OpenMP and jemalloc": ((OPENMP, JEMALLOC), AFFINITY),
}
# Prints the processor seconds of a command, which other load affects less, and its peak of memory in MB.
MEASURED = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(f"\\n{used.ru_utime + used.ru_stime} {used.ru_maxrss // 1024}")
"""
STEPS = {
    "feature_extract": "--images images --backbone backbone --parent parent --features out/f.safetensors",
    "ssl_finetune": "--images images --backbone out/b.safetensors --parent out/p.safetensors "
    "--training-log out/log.csv --method simsiam --epochs 1",
}


@dataclass(frozen=True)
class Cost:
    wall: float  # seconds
    processor: float  # seconds
    peak: int  # MB


def main() -> None:
    """Print a table: the median of the times, in turns, and the most memory."""
    if not shutil.which("podman"):
        print("preload: no podman here", file=sys.stderr)
        return
    told = subprocess.run([ROOT / "tests/containers/build", "env"], capture_output=True, text=True, check=True).stdout
    os.environ.update(pair.split("=", 1) for pair in told.split())
    print("\n### Preloaded libraries (steps in containers, 100 images to train and 200 to test; the start counts)\n")
    print("| step | library | wall s | processor s | of glibc's | peak MB |\n| --- | --- | ---: | ---: | ---: | ---: |")
    with prepared() as folder:
        for step in STEPS:
            costs: dict[str, list[Cost]] = {name: [] for name in VARIANTS}
            for _ in range(REPEATS):  # in turns, so that what disturbs one affects all
                for name in VARIANTS:
                    costs[name].append(measure(folder, step, name))
                    print(f"{step}, {name}: {costs[name][-1]}", file=sys.stderr, flush=True)
            plain = statistics.median(one.processor for one in costs["glibc"])
            for name, of_name in costs.items():
                print_row(step, name, of_name, plain)


def print_row(step: str, name: str, costs: list[Cost], plain: float) -> None:
    wall, processor = (statistics.median(getattr(one, kind) for one in costs) for kind in ("wall", "processor"))
    peak = max(one.peak for one in costs)
    print(f"| {step} | {name} | {wall:.1f} | {processor:.1f} | {processor / plain:.2f} | {peak} |", flush=True)


@contextmanager
def prepared() -> Iterator[Path]:
    """A folder with the libraries, and with what the steps read, from a run on the embedded dataset."""
    with tempfile.TemporaryDirectory(prefix="vqi-preload-") as name:
        folder = Path(name)
        fetch_libraries(folder / "libraries")
        vqi = Path(sys.executable).with_name("vqi")
        subprocess.run(
            [vqi, "run", "-p", 'categories=["mono"]', "-p", "limit_per_class=100"],
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        run = folder / "runs" / "latest" / "mono"
        for target, pattern in {
            "images": "preprocess/images",
            "backbone": "ssl-finetune/backbone*",
            "parent": "ssl-finetune/parent*",
        }.items():
            (found,) = run.glob(pattern)
            (shutil.copytree if found.is_dir() else shutil.copy)(found.resolve(), folder / target)
        folder.chmod(0o755)
        yield folder


def fetch_libraries(folder: Path) -> None:
    """Debian's allocators, and the OpenMP runtime of the package intel-openmp."""
    (folder / "packages").mkdir(parents=True)
    subprocess.run(
        ["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", "libjemalloc2", "libtcmalloc-minimal4"],
        cwd=folder / "packages",
        check=True,
    )
    for package in (folder / "packages").glob("*.deb"):
        subprocess.run(["dpkg-deb", "--extract", package, folder / "packages"], check=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "intel-openmp"]
    subprocess.run(command, cwd=folder / "packages", check=True)
    (wheel,) = (folder / "packages").glob("*.whl")
    shutil.unpack_archive(wheel, folder / "packages", "zip")
    for library in (JEMALLOC, TCMALLOC, OPENMP):
        found = next(path for path in (folder / "packages").rglob(library))
        shutil.copy(found, folder / library)


def measure(folder: Path, step: str, variant: str) -> Cost:
    """What a step costs in its container."""
    libraries, variables = VARIANTS[variant]
    shutil.rmtree(folder / "out", ignore_errors=True)
    (folder / "out").mkdir()
    (folder / "out").chmod(0o777)
    command = ["podman", "run", "--rm", "--pull", "never", "--network", "none", "--read-only", "--tmpfs", "/tmp"]
    command += ["--volume", f"{folder}:/work", "--workdir", "/work"]
    told = {**variables, "LD_PRELOAD": ":".join(f"/work/libraries/{name}" for name in libraries)}
    command += [flag for name, value in told.items() for flag in ("--env", f"{name}={value}")]
    command += [TORCH_IMAGE, "python", "-c", MEASURED]
    command += ["python", "-m", f"vqi_components.{step}", *STEPS[step].split()]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    wall = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{step} with {variant}: {(done.stdout + done.stderr)[-1500:]}")
    processor, peak = done.stdout.split()[-2:]
    return Cost(wall, float(processor), int(peak))
