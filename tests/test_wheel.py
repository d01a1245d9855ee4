"""The package as users install it: sdist, wheel, and environments with some of its extras, made without a network.

The wheel is installed into a fresh environment with links to those installed packages that the
base requirements and the chosen extras need: what else is installed here is not visible there.
"""

import ast
import json
import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import Distribution, PathDistribution, distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image

from images.lock import LEFT_OUT
from tests.step_outputs import output_flags
from tests.vqi.made_export import write, write_onnx
from vqi.errors import not_installed
from vqi_pipelines.commands.group import vqi

ROOT = Path(__file__).parents[1]
FOLDERS = {"src/vqi": "vqi", "components": "vqi_components", "pipelines": "vqi_pipelines"}  # -> name when imported
# What is run for each command where the extra `command` alone is installed, and the extra that it then asks for.
NEEDS = {
    "run": (["run"], "pipelines"),
    "train": (["train", "nowhere"], ""),
    "runs note": (["runs", "--runs-dir", "nowhere", "note", "latest", "text"], ""),
    "runs tag": (["runs", "--runs-dir", "nowhere", "tag", "latest", "keep"], ""),
    "compare": (["compare", "--runs-dir", "nowhere", "latest", "latest"], ""),
    "gc": (["gc", "--runs-dir", "nowhere"], ""),
    "check": (["check", "nowhere"], ""),
    "step": (["step", "nowhere"], ""),  # the command alone: what it runs may need more
    "parameters": (["parameters"], "pipelines"),
    "compile": (["compile"], "pipelines"),
    "layers": (["layers", "resnet18"], "torch"),
    "predict": (["predict", "store/models/elpv/mono", "."], "torch"),
    "export": (["export", "store/models/elpv/mono", "--to", "openvino", "-o", "file"], "torch"),
    "serve": (["serve", "store/models/elpv/mono"], "serve"),
    "models list": (["models", "list", "nowhere"], ""),
    "models show": (["models", "show", "nowhere"], ""),
    "models compare": (["models", "compare", "nowhere", "nowhere"], ""),
    "models promote": (["models", "promote", "nowhere"], ""),
    "models rollback": (["models", "rollback", "nowhere"], ""),
    "models threshold": (["models", "threshold", "nowhere"], ""),
    "models prune": (["models", "prune", "nowhere", "--keep", "1"], ""),
    "models gc": (["models", "gc", "nowhere"], ""),
    "models page": (["models", "page", "nowhere"], ""),
    "models save": (["models", "save", "nowhere", "folder"], ""),
    "models mirror": (["models", "mirror", "nowhere", "--mlflow", "http://localhost:1"], ""),
    "verdict": (["verdict", "nowhere", "--list"], ""),
    "threshold": (["threshold", "nowhere"], ""),
    "submit argo": (["submit", "argo"], "pipelines"),
    "submit kubeflow": (["submit", "kubeflow", "--host", "http://localhost:1"], "pipelines"),
}
TORCH_STEPS = {
    "ssl_finetune": ["images", "backbone", "parent", "training-log"],
    "feature_extract": ["images", "backbone", "parent", "features"],
}


def hatch(*args: str | Path, cwd: Path) -> None:
    subprocess.run([sys.executable, "-m", "hatchling", "build", *args], cwd=cwd, check=True, capture_output=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that an unpacked sdist makes, as ``pip install <sdist>`` does."""
    folder = tmp_path_factory.mktemp("dist")
    hatch("-t", "sdist", "-d", folder, cwd=ROOT)
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as file:
        if hasattr(tarfile, "data_filter"):  # Debian 12's Python is older
            file.extraction_filter = tarfile.data_filter
        file.extractall(folder / "unpacked")  # noqa: S202 - it was made just now
    (source,) = (folder / "unpacked").iterdir()
    hatch("-t", "wheel", "-d", folder, cwd=source)
    (made,) = folder.glob("*.whl")
    return made


def content(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as file:
        return {name for name in file.namelist() if not name.partition("/")[0].endswith(".dist-info")}


def of_the_tree() -> set[str]:
    """The files that belong in a wheel, by their names there."""
    return {
        f"{name}/{path.relative_to(ROOT / folder)}"
        for folder, name in FOLDERS.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def requirements(of: Distribution, extras: Iterable[str]) -> Iterator[Requirement]:
    for requirement in map(Requirement, of.requires or []):
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": e}) for e in ("", *extras)):
            yield requirement


def needed(of: Distribution, extras: Iterable[str], found: dict[str, Distribution]) -> dict[str, Distribution]:
    """The installed packages that a package with these extras needs, and what they need in turn."""
    for requirement in requirements(of, extras):
        name = canonicalize_name(requirement.name)
        if name not in LEFT_OUT and (name not in found or requirement.extras):
            found[name] = distribution(name)
            needed(found[name], requirement.extras, found)
    return found


def link(packages: Iterable[Distribution], site: Path) -> None:
    """Put packages into an environment: a link per package folder; per file where a folder is shared by several."""
    files = {Path(file): package for package in packages for file in package.files or [] if ".." not in file.parts}
    whole = {file.parts[0] for file in files if Path(file.parts[0], "__init__.py") in files}
    for file, package in files.items():
        name = Path(file.parts[0]) if file.parts[0] in whole else file
        target = site / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            target.symlink_to(Path(str(package.locate_file(name))))


Environment = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Environment]:
    """``installed("command")("vqi", "--help")`` runs a program of an environment that has the wheel with this extra."""
    made: dict[tuple[str, ...], Environment] = {}

    def environment(*extras: str) -> Environment:
        if extras not in made:
            made[extras] = install(wheel, extras, tmp_path_factory.mktemp("environment"))
        return made[extras]

    return environment


def install(wheel: Path, extras: tuple[str, ...], folder: Path) -> Environment:
    venv.create(folder, with_pip=False, symlinks=True)
    (site,) = (folder / "lib").glob("python3*/site-packages")
    metadata = PathDistribution(zipfile.Path(wheel, f"{'-'.join(wheel.name.split('-')[:2])}.dist-info/"))
    link(needed(metadata, extras, {}).values(), site)
    pip = [sys.executable, "-m", "uv", "pip", "install", "--python", str(folder / "bin" / "python")]
    subprocess.run([*pip, "--quiet", "--no-deps", "--offline", "--no-config", str(wheel)], check=True)
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VQI_"))}

    def run(program: str, *args: str, cwd: Path = folder, **more: str) -> "subprocess.CompletedProcess[str]":
        command = [str(folder / "bin" / program), *args]
        return subprocess.run(command, cwd=cwd, env=outside | more, capture_output=True, text=True, check=False)

    where = run("python", "-c", "import vqi, vqi_components, vqi_pipelines as p; print(vqi.__file__, p.__file__)")
    assert where.stdout.count(str(site)) == 2, where
    return run


def says_what_to_install(done: "subprocess.CompletedProcess[str]", extra: str) -> None:
    """One line that names the extra, exit code 2."""
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert re.fullmatch(rf"error: .+ pip install 'vqi\[{extra}\]'\n", done.stderr), done.stderr


def test_a_wheel_holds_our_three_packages_and_all_of_their_files(wheel: Path, tmp_path: Path) -> None:
    assert {name.partition("/")[0] for name in content(wheel)} == set(FOLDERS.values())
    assert content(wheel) == of_the_tree()
    hatch("-t", "wheel", "-d", tmp_path, cwd=ROOT)
    (of_repository,) = tmp_path.glob("*.whl")
    assert content(of_repository) == content(wheel)


def test_what_is_not_python_is_there(wheel: Path) -> None:
    kinds = {Path(name).suffix for name in content(wheel)}
    assert kinds >= {".json", ".j2", ".yaml", ".typed", ".html", ".css", ".js", ".svg"}


def test_without_extras_the_command_says_what_it_needs(installed: Callable[..., Environment]) -> None:
    says_what_to_install(installed()("vqi"), "command")
    says_what_to_install(installed()("vqi", "run", "--help"), "command")


@pytest.mark.parametrize("step", TORCH_STEPS)
def test_without_extras_a_step_that_runs_a_network_says_what_it_needs(
    step: str, installed: Callable[..., Environment], tmp_path: Path
) -> None:
    flags = [part for name in TORCH_STEPS[step] for part in (f"--{name}", str(tmp_path / name))]
    says_what_to_install(installed()("python", "-m", f"vqi_components.{step}", *flags), "torch")


def test_without_extras_the_other_steps_work(installed: Callable[..., Environment], tmp_path: Path) -> None:
    done = installed()("python", "-m", "vqi_components.summarize", "--help")
    assert done.returncode == 0, done
    assert "--table-page" in done.stdout
    flags = output_flags("dataset_download", tmp_path)
    says_what_to_install(
        installed()("python", "-m", "vqi_components.dataset_download", *flags, VQI_STORE=tmp_path.as_uri()), "embedded"
    )


def commands() -> list[str]:
    """All commands by name, those of a group after its name."""
    found = []
    for name, command in vqi.commands.items():
        found += [f"{name} {inner}" for inner in getattr(command, "commands", {})] or [name]
    found.remove("doctor")  # which finds that, see below
    found.remove("completion")  # which needs nothing else
    return found


# Each in a process of its own, which is forked from one that has loaded what needs no extra.
FORKED = """
import json, os, sys, tempfile
import numpy, PIL.Image, pydantic
import vqi.config, vqi.models.overview, vqi_pipelines.ir
from vqi_pipelines.cli import main

ended = []
for arguments in json.loads(sys.argv[1]):
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as error:
        process = os.fork()
        if not process:
            os.dup2(out.fileno(), 1)
            os.dup2(error.fileno(), 2)
            sys.argv = ["vqi", *arguments]
            sys.exit(main())
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        said = [os.pread(file.fileno(), 1 << 20, 0).decode() for file in (out, error)]
        ended.append([arguments, code, *said])
print(json.dumps(ended))
"""


@pytest.fixture(scope="module")
def ended(installed: Callable[..., Environment]) -> dict[str, "subprocess.CompletedProcess[str]"]:
    """What became of each command of ``NEEDS`` with click alone."""
    done = installed("command")("python", "-c", FORKED, json.dumps([args for args, _ in NEEDS.values()]))
    assert done.returncode == 0, done
    return {
        name: subprocess.CompletedProcess(*of_one) for name, of_one in zip(NEEDS, json.loads(done.stdout), strict=True)
    }


@pytest.mark.parametrize("command", commands())
def test_with_click_alone_each_command_says_what_it_needs(
    command: str, ended: dict[str, "subprocess.CompletedProcess[str]"]
) -> None:
    (_, extra), done = NEEDS[command], ended[command]
    if extra:
        says_what_to_install(done, extra)
    else:
        assert (done.returncode, done.stdout) == (2, "")
        assert re.fullmatch(r"error: .*nowhere.*\n", done.stderr), done.stderr


def test_with_click_alone_doctor_finds_what_is_missing(installed: Callable[..., Environment]) -> None:
    done = installed("command")("vqi", "doctor", "--quick")
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.endswith("\n\nweights, engines: does not work\n")
    assert "torch is not installed: pip install 'vqi[torch]'" in done.stdout


def test_with_openvino_alone_an_exported_file_is_scored(installed: Callable[..., Environment], tmp_path: Path) -> None:
    file = str(write(tmp_path / "file"))
    Image.new("RGB", (12, 8), (9, 9, 9)).save(tmp_path / "a.png")
    arguments = ["predict", file, "a.png", "--maps", "maps"]
    says_what_to_install(installed("command")("vqi", *arguments, cwd=tmp_path), "openvino")
    done = installed("command", "openvino")("vqi", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1] == "a.png,9.0,100.0,0,0.25,,maps/000001-a.png,"


def test_with_onnx_runtime_alone_an_exported_file_is_scored(
    installed: Callable[..., Environment], tmp_path: Path
) -> None:
    file = str(write_onnx(tmp_path / "file"))
    Image.new("RGB", (12, 8), (9, 9, 9)).save(tmp_path / "a.png")
    says_what_to_install(installed("command")("vqi", "predict", file, "a.png", cwd=tmp_path), "onnx")
    done = installed("command", "onnx")("vqi", "predict", file, "a.png", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1] == "a.png,9.0,100.0,0,0.25,,,"


def test_with_click_alone_each_command_has_help(installed: Callable[..., Environment]) -> None:
    done = installed("command")("vqi", "--help")
    assert done.returncode == 0, done
    assert {name.split()[0] for name in commands()} <= set(done.stdout.split())


def test_with_click_alone_a_shell_completes(installed: Callable[..., Environment]) -> None:
    done = installed("command")("vqi", "completion", "bash")
    assert (done.returncode, done.stdout.count("complete -o nosort -F _vqi_completion vqi\n")) == (0, 1), done
    given = {"_VQI_COMPLETE": "bash_complete", "COMP_LINE": "vqi run -p detector=ens", "COMP_BREAKS": "="}
    assert installed("command")("vqi", **given).stdout == "plain,ensemble\n"
    schema = installed("command")("vqi", "parameters", "--schema")
    assert schema.stdout == (ROOT / "docs" / "reference" / "parameters.schema.json").read_text()


@pytest.mark.slow
def test_with_the_extra_pipelines_it_compiles_what_the_repository_has(
    installed: Callable[..., Environment], tmp_path: Path
) -> None:
    done = installed("pipelines")("vqi", "compile", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    written = {path.relative_to(tmp_path): path.read_text() for path in (tmp_path / "manifests").rglob("*.yaml")}
    assert len(written) >= 4
    assert written == {path: (ROOT / path).read_text() for path in written}


@pytest.mark.slow
def test_a_run_says_which_extra_its_steps_need(
    installed: Callable[..., Environment], make_defect_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    make_defect_dataset(tmp_path / "parts", ["bracket"], size=32)
    done = installed("pipelines")("vqi", "run", "-p", "source=folder:parts", cwd=tmp_path)
    assert done.returncode == 2, done
    told = re.findall(r"error: the step ssl_finetune needs .+ pip install 'vqi\[torch\]'$", done.stdout, re.MULTILINE)
    assert told, done.stdout


def imported() -> set[str]:
    """The top-level names, not ours and not Python's, that our modules import anywhere."""
    found = set()
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_bytes())):
                if isinstance(node, ast.Import):
                    found |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    found.add(node.module.partition(".")[0])
    return found - set(FOLDERS.values()) - sys.stdlib_module_names


def test_every_package_that_is_imported_is_required_or_named_by_an_extra() -> None:
    """What no extra brings must always be installed, as a requirement or as one of a requirement's own."""
    base = set(needed(distribution("vqi"), (), {}))
    packages = packages_distributions()
    for name in imported():
        always = {canonicalize_name(package) for package in packages[name]} & base
        assert bool(always) != bool(not_installed(name)), name
