"""How every step starts and ends: flags, exit codes, one line for what a user can fix."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vqi.config import PcaFit, Preprocess
from vqi.errors import UnavailableError
from vqi_components import step

OneError = Callable[[int], str]


def nothing(arguments: object) -> None:
    """A step that has nothing to do."""


def test_real_full_disk(one_error: OneError) -> None:
    def fill(arguments: PcaFit) -> None:
        Path("/dev/full").write_text("x" * 100_000)

    assert "the disk is full: free some space" in one_error(step.main("pca_fit", PcaFit, fill, []))


def test_an_unexpected_error_is_a_defect_with_its_traceback() -> None:
    def broken(arguments: PcaFit) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        step.main("pca_fit", PcaFit, broken, [])


@pytest.mark.parametrize("name", ["pca_fit", "evaluate", "feature_extract", "ssl_finetune", "publish", "summarize"])
def test_output_below_a_file(chain: Any, tmp_path: Path, one_error: OneError, name: str) -> None:
    """Read-only for everybody, including root."""
    (tmp_path / "file").write_text("")
    outputs = {
        "pca_fit": ["detector"], "evaluate": ["scores", "metrics", "report", "summary"],
        "feature_extract": ["features"], "ssl_finetune": ["backbone"], "publish": ["decision"], "summarize": ["table"],
    }[name]  # fmt: skip
    flags = {output: tmp_path / "file" / "below" / output for output in outputs}
    assert str(tmp_path / "file") in one_error(chain.run(name, **flags))


def test_the_environment_fills_no_gap(monkeypatch: pytest.MonkeyPatch, one_error: OneError) -> None:
    monkeypatch.setenv("VARIANCE", "0.5")
    monkeypatch.setenv("CATEGORY", "a")
    assert step.parse("pca_fit", PcaFit, []).variance == 0.99
    assert "category: Field required" in one_error(step.main("preprocess", Preprocess, nothing, []))


def test_the_message_is_left_for_kubernetes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, one_error: OneError
) -> None:
    log = tmp_path / "termination-log"
    monkeypatch.setenv("VQI_TERMINATION_LOG", str(log))
    one_error(step.main("pca_fit", PcaFit, nothing, ["--variance", "2"]))
    assert not log.exists(), "not created where Kubernetes did not create it"
    log.touch()
    message = one_error(step.main("pca_fit", PcaFit, nothing, ["--variance", "2"]))
    assert log.read_text() == message


def test_what_may_go_well_later_has_an_exit_code_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    """Argo tries it again, unlike bad input."""

    def gone(arguments: PcaFit) -> None:
        raise UnavailableError("the object store did not respond")

    assert step.main("pca_fit", PcaFit, gone, []) == step.UNAVAILABLE == 75
    assert capsys.readouterr().err == "error: the object store did not respond\n"


def test_several_problems_in_one_line(one_error: OneError) -> None:
    message = one_error(step.main("pca_fit", PcaFit, nothing, ["--variance", "2", "--folds", "x"]))
    assert "variance: " in message
    assert "folds: " in message


def run_module(*argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *argv]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})


def test_as_a_container_runs_it(chain: Any, tmp_path: Path) -> None:
    flags = [text for key, value in chain.flags("pca_fit").items() for text in (f"--{key}", str(value))]
    done = run_module("vqi_components.pca_fit", *flags, "--detector", str(tmp_path / "d"))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert (tmp_path / "d").read_bytes() == (chain.folder / "detector.safetensors").read_bytes()
    bad = run_module("vqi_components.pca_fit", *flags, "--variance", "7")
    assert bad.returncode == 2
    assert bad.stderr.strip().splitlines()[-1] == "error: variance: Input should be less than 1, got '7'"


def test_help_and_an_unknown_flag() -> None:
    helped = run_module("vqi_components.preprocess", "--help")
    assert helped.returncode == 0
    assert "pixels that images are resized to" in helped.stdout
    wrong = run_module("vqi_components.preprocess", "--image-sise", "3")
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr
    assert len([line for line in wrong.stderr.splitlines() if line.startswith("error: ")]) == 1, wrong.stderr


@pytest.mark.parametrize(
    ("name", "foreign"),
    [
        ("summarize", ["scipy", "sklearn", "minio", "obstore", "torch"]),
        ("publish", ["scipy", "sklearn", "minio", "obstore", "torch"]),
        ("dataset_download", ["scipy", "sklearn", "minio", "obstore", "torch"]),
        ("feature_extract", ["scipy", "sklearn", "minio", "torch"]),
        ("ssl_finetune", ["scipy", "sklearn", "minio", "torch"]),
    ],
)
def test_a_step_starts_without_what_it_may_not_need(name: str, foreign: list[str]) -> None:
    """What takes long to load is loaded only when it is used, after the flags were checked."""
    code = f"import sys, vqi_components.{name}.__main__; print([one for one in {foreign} if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
