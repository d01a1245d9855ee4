"""Writes images/locks and locks: the packages of the container images and those of ``make install``, for Linux.

Each has its version and its sha256. images/locks are the images':

``python images/lock.py`` resolves pyproject.toml with uv; ``--check`` only says, without a network, whether the locks
belong to it. One resolution is behind all files, so that a package has one version in all images. The extra
``pipelines`` is not in it: no image compiles a pipeline (vqi-pipeline runs one that was compiled before), so the exact
pins of kfp (requests, urllib3) affect none. A package is in one file per layer of images/Dockerfile:

    light.txt      all that the light image needs
    elpv.txt       the photographs of the embedded dataset
    cuda.txt       the CUDA libraries that the package index's torch loads
    torch.txt      torch and torchvision of the package index
    torch-cpu.txt  the same, the CPU build; written where its index can be reached (--torch-index)
    network.txt    the rest of what the torch image needs
    pipeline.txt   what the pipeline image needs in addition: the other steps and the command ``vqi``
    serve.txt      all that serving exported files needs
    serve-torch.txt  what serving published models needs in addition to the torch image

locks are those of ``make install``, a resolution of its own with kfp, without what is in torch.txt and cuda.txt:

    pip.txt        pip, which installs the others, and what builds those that come without a wheel
    develop.txt    all the others
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ROOT / "images" / "locks"
DEVELOP = ROOT / "locks"
INPUTS = "inputs"  # next to the locks, not in them: a layer is rebuilt only when its own packages change
PYTHON = "3.11"  # of Debian 12
PLATFORM = "x86_64-manylinux_2_34"  # of glibc 2.36
EXTRAS = ("torch", "embedded", "command", "serve", "mqtt")  # of all images together
DEVELOP_EXTRAS = ("torch", "embedded", "larger", "onnx", "int8", "serve", "mqtt", "mlflow", "pipelines", "docs", "dev")
INSTALLERS = ("pip", "setuptools")
TORCH = ("torch", "torchvision")
# Triton compiles for GPUs; OpenVINO's telemetry reports over the network, and vqi.system.openvino hides it from it.
LEFT_OUT = frozenset({"triton", "openvino-telemetry"})
# What no step that runs a network imports: needed only by commands of its packages, or by the other steps.
NOT_OF_NETWORKS = frozenset({"click", "joblib", "narwhals", "scikit-learn"})
NOT_OF_SERVING = frozenset({"joblib", "narwhals", "scikit-learn"})  # they measure models

Blocks = dict[str, str]  # a package's name -> its lines in a lock


def main() -> int:
    """Write the locks, or check them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only check whether the locks are those of pyproject.toml")
    parser.add_argument("--torch-index", metavar="URL", help="write torch-cpu.txt from this index of CPU builds, too")
    flags = parser.parse_args()
    if flags.check:
        return check()
    with tempfile.TemporaryDirectory() as folder:
        whole = resolve(Path(folder), EXTRAS)
        layers = split(whole, Path(folder))
        if flags.torch_index:
            layers["torch-cpu.txt"] = cpu_builds(Path(folder), flags.torch_index, whole)
        tools = development(Path(folder))
    write(LOCKS, layers, inputs(EXTRAS))
    write(DEVELOP, tools, inputs(DEVELOP_EXTRAS))
    return 0


def write(folder: Path, locks: Mapping[str, Blocks], of: str) -> None:
    """Write the locks of a folder, and what they were made of."""
    folder.mkdir(exist_ok=True)
    for name, blocks in locks.items():
        text = "".join(blocks[package] for package in sorted(blocks))
        (folder / name).write_text(f"# Made by images/lock.py from pyproject.toml.\n{text}", encoding="utf-8")
        sys.stdout.write(f"{folder.relative_to(ROOT)}/{name}: {len(blocks)} packages\n")
    (folder / INPUTS).write_text(of + "\n", encoding="utf-8")


def check() -> int:
    """Whether the locks were made from the requirements that pyproject.toml has now."""
    stale = 0
    for folder, extras in ((LOCKS, EXTRAS), (DEVELOP, DEVELOP_EXTRAS)):
        made_of = folder / INPUTS
        if not made_of.is_file() or made_of.read_text(encoding="utf-8").strip() != inputs(extras):
            place = folder.relative_to(ROOT)
            sys.stderr.write(f"{place} does not belong to this pyproject.toml: run 'make lock' and commit the result\n")
            stale = 1
    return stale


def inputs(names: Iterable[str]) -> str:
    """The digest of everything in the project that a resolution with some extras depends on."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    asked = [project["dependencies"], *(extras[name] for name in (*names, "openvino", "weights")), PYTHON, PLATFORM]
    given = json.dumps([asked, sorted(LEFT_OUT), sorted(NOT_OF_NETWORKS), sorted(NOT_OF_SERVING)])
    return "sha256:" + hashlib.sha256(given.encode()).hexdigest()


def split(whole: Blocks, folder: Path) -> dict[str, Blocks]:
    """The packages by file."""
    light = resolve(folder, (), whole)
    network = without(resolve(folder, ("torch", "weights"), whole), NOT_OF_NETWORKS)
    cuda = {name for name in network if name.startswith("nvidia-")}
    elpv = {"elpv-dataset"}
    command = resolve(folder, ("torch", "weights", "command"), whole)
    of_files = resolve(folder, ("openvino", "command", "serve", "mqtt"), whole)
    of_models = resolve(folder, ("torch", "weights", "command", "serve", "mqtt"), whole)
    return {
        "light.txt": light,
        "elpv.txt": only(whole, elpv),
        "cuda.txt": only(network, cuda),
        "torch.txt": only(network, TORCH),
        "network.txt": without(network, {*cuda, *TORCH}),
        "pipeline.txt": without(command, network),
        "serve.txt": without(of_files, NOT_OF_SERVING),
        "serve-torch.txt": without(of_models, {*network, *NOT_OF_SERVING}),
    }


def development(folder: Path) -> dict[str, Blocks]:
    """The packages of ``make install`` by file; torch and its libraries are those of the images."""
    whole = resolve(folder, DEVELOP_EXTRAS)
    cuda = {name for name in whole if name.startswith("nvidia-")}
    wanted = folder / "installers.in"
    wanted.write_text("".join(f"{name}\n" for name in INSTALLERS), encoding="utf-8")
    installers = compile_locked([str(wanted), "--allow-unsafe"])
    return {"pip.txt": installers, "develop.txt": without(whole, {*TORCH, *cuda, *installers})}


def only(blocks: Blocks, names: Iterable[str]) -> Blocks:
    """The packages named."""
    return {name: blocks[name] for name in names}


def without(blocks: Blocks, names: Iterable[str]) -> Blocks:
    """The packages not named."""
    return {name: text for name, text in blocks.items() if name not in set(names)}


def resolve(folder: Path, extras: Iterable[str], constraints: Mapping[str, str] | None = None) -> Blocks:
    """The project's requirements with some extras, in the versions of ``constraints`` if given."""
    flags = [flag for extra in extras for flag in ("--extra", extra)]
    if constraints is not None:
        versions = folder / "constraints.txt"
        versions.write_text("".join(text.partition(" ")[0] + "\n" for text in constraints.values()), encoding="utf-8")
        flags += ["--constraint", str(versions)]
    return compile_locked([str(ROOT / "pyproject.toml"), *flags])


def cpu_builds(folder: Path, index: str, whole: Blocks) -> Blocks:
    """The CPU builds of torch and torchvision in the same versions."""
    wanted = folder / "torch-cpu.in"
    versions = [whole[name].partition(" ")[0] for name in TORCH]
    wanted.write_text("".join(f"{version}+cpu\n" for version in versions), encoding="utf-8")
    return compile_locked([str(wanted), "--no-deps", "--index", index, "--index-strategy", "unsafe-best-match"])


def compile_locked(arguments: Iterable[str]) -> Blocks:
    """What ``uv pip compile`` finds, one block of lines per package."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--generate-hashes"]
    command += ["--python-version", PYTHON, "--python-platform", PLATFORM, "--no-header", "--no-annotate", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(f"error: the packages cannot be resolved: {done.stderr.strip()}")
    blocks = re.findall(r"^[a-z0-9].*(?:\n {4}--hash.*)*\n", done.stdout, flags=re.MULTILINE)
    named = {re.split(r"[=@ \[]", block, maxsplit=1)[0]: block for block in blocks}
    return without(named, LEFT_OUT)


if __name__ == "__main__":
    sys.exit(main())
