"""``vqi completion``: in a real bash, and what the shells are answered; what is written where."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.pipelines.made_runs import made_run
from tests.programs import program
from vqi_pipelines.commands import completion
from vqi_pipelines.commands.completing import SHELLS, register, script
from vqi_pipelines.commands.group import vqi

register()
VARIABLES = ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "BASH_COMPLETION_USER_DIR", "ZDOTDIR")
PLACES = {
    "bash": ".local/share/bash-completion/completions/vqi",
    "zsh": ".local/share/vqi/completion.zsh",
    "fish": ".config/fish/completions/vqi.fish",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of a user whose bash has no package that reads completions."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(completion, "_LOADERS", ())
    return tmp_path


def answers(line: str, shell: str = "zsh") -> list[str]:
    """What is answered to a TAB at the end of a line."""
    given = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1), "_VQI_COMPLETE": f"{shell}_complete"}
    given |= {"COMP_LINE": line, "COMP_BREAKS": " =:"}
    done = CliRunner().invoke(vqi, env=given, prog_name="vqi")
    assert done.exit_code == 0, done.output
    return done.output.splitlines()


def test_a_real_bash_completes_a_parameter_and_its_value(home: Path) -> None:
    bash = program(["bash"], "bash", "nothing is completed")
    installed = CliRunner().invoke(vqi, ["completion", "bash", "--install"])
    assert installed.exit_code == 0, installed.output
    (home / "bin").mkdir()
    (home / "bin" / "vqi").write_text(
        f'#!{sys.executable}\nfrom vqi_pipelines.cli import main\nmain()\n'
    )  # fmt: skip
    (home / "bin" / "vqi").chmod(0o755)
    terminal, inside = pty.openpty()
    environment = {"HOME": str(home), "PATH": f"{home}/bin:{os.environ['PATH']}", "TERM": "dumb", "LC_ALL": "C.UTF-8"}
    command = [bash, "--rcfile", str(home / ".bashrc"), "-i"]
    with subprocess.Popen(command, stdin=inside, stdout=inside, stderr=inside, env=environment, cwd=home) as running:
        os.close(inside)
        os.write(terminal, b"~/bin/vqi run -p detec\t")
        seen = b""
        while b"detector=" not in seen:
            seen += os.read(terminal, 1024)
        os.write(terminal, b"ens\t")
        while b"detector=ensemble " not in seen:
            seen += os.read(terminal, 1024)
        running.kill()
    os.close(terminal)


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("vqi mod", "models"),
        ("vqi models pro", "promote"),
        ("vqi run -p target", "target_fpr="),
        ("vqi run -p precision=b", "precision=bf16"),
        ("vqi run -p with_verdicts=t", "with_verdicts=true"),
        ("vqi run -p source=fol", "source=folder:"),
        ("vqi submit argo -p gat", "gate="),
        ("vqi train photos -p detec", "detector="),
        ("vqi predict --eng", "--engine"),
        ("vqi predict --engine op", "openvino"),
    ],
)
def test_what_has_words_is_completed_by_them(line: str, answer: str) -> None:
    found = answers(line)
    assert found[:2] == ["plain", answer]
    assert len(found) == 3


@pytest.mark.parametrize(
    "line", ["vqi predict sto", "vqi step runs/la", "vqi run -f par", "vqi run -p weights=/data", "vqi run fil"]
)
def test_all_else_is_a_path(line: str) -> None:
    assert answers(line) == ["file", line.split()[-1], "_"]


def test_the_parameters_of_another_pipeline_are_not_ours() -> None:
    assert answers("vqi run mine.py -p tar") == ["file", "tar", "_"]
    assert answers("vqi run -p nothing=") == ["file", "nothing=", "_"]


def test_bash_gets_what_is_behind_its_word_breaks() -> None:
    assert answers("vqi run -p scaling=r", "bash") == ["plain,raw"]
    assert answers("vqi run -p source=folder:/da", "bash") == ["file,/da"]
    assert "plain,aggregate=" in answers("vqi run -p ", "bash")


def test_a_name_is_completed_without_what_takes_long_to_import() -> None:
    environment = os.environ | {"COMP_LINE": "vqi run -p ag", "COMP_BREAKS": "=", "_VQI_COMPLETE": "bash_complete"}
    code = "import sys; sys.argv = ['vqi']\nfrom vqi_pipelines.cli import main\nmain()"
    command = [sys.executable, "-X", "importtime", "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "plain,aggregate=\n"
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert {"click", "pydantic"} <= imported
    assert not imported & {"numpy", "scipy", "PIL", "yaml", "kfp", "torch", "rich"}


@pytest.mark.parametrize("shell", SHELLS)
def test_it_is_installed_once(shell: str, home: Path) -> None:
    startup = home / f".{shell}rc"
    startup.write_text("# mine, without a line end")
    first, second = (CliRunner().invoke(vqi, ["completion", shell, "--install"]) for _ in range(2))
    assert (first.exit_code, second.exit_code) == (0, 0), first.output + second.output
    place = home / PLACES[shell]
    assert f"wrote {place}\n" in first.output
    assert f"is up to date: {place}\n" in second.output
    assert place.read_text().endswith(script(shell, vqi))
    assert (f"added a line to {startup}\n" in first.output) == (shell != "fish")
    lines = startup.read_text().splitlines()
    assert lines[0] == "# mine, without a line end"
    assert len(lines) == (1 if shell == "fish" else 2)
    assert all(str(place) in line and line.endswith("# vqi completion") for line in lines[1:])


def test_a_bash_that_reads_the_folder_itself_needs_no_line(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion, "_LOADERS", (str(home),))
    assert CliRunner().invoke(vqi, ["completion", "bash", "--install"]).exit_code == 0
    assert not (home / ".bashrc").exists()


def test_what_somebody_else_wrote_stays(home: Path) -> None:
    place = home / PLACES["fish"]
    place.parent.mkdir(parents=True)
    place.write_text("complete -c vqi\n")
    done = CliRunner().invoke(vqi, ["completion", "fish", "--install"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {place}: expected none")
    assert place.read_text() == "complete -c vqi\n"


def test_an_older_one_is_replaced(home: Path) -> None:
    place = home / PLACES["fish"]
    place.parent.mkdir(parents=True)
    place.write_text("# vqi completion: of an earlier release\n")
    assert CliRunner().invoke(vqi, ["completion", "fish", "--install"]).exit_code == 0
    assert place.read_text().endswith(script("fish", vqi))


def test_the_shell_is_that_of_the_user_where_no_shell_started_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getppid", lambda: os.getpid())  # Python
    monkeypatch.setenv("SHELL", "/usr/bin/zsh")
    assert CliRunner().invoke(vqi, ["completion"], prog_name="vqi").output == script("zsh", vqi)
    monkeypatch.setenv("SHELL", "/bin/dash")
    done = CliRunner().invoke(vqi, ["completion"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "which shell is it? expected bash, zsh, fish" in done.stderr


def test_runs_are_completed_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert answers("vqi compare 2") == ["file", "2", "_"], "there are none"
    made_run(tmp_path / "runs", "20241201-100000-training")
    made_run(tmp_path / "elsewhere", "20241202-100000-training")
    assert values("vqi compare ") == ["latest", "20241201-100000-training"]
    assert values("vqi compare latest 20") == ["20241201-100000-training"]
    assert values("vqi runs note l") == ["latest"]
    assert values("vqi runs tag 2") == ["20241201-100000-training"]
    assert values("vqi compare --runs-dir elsewhere 2") == ["20241202-100000-training"]


def values(line: str) -> list[str]:
    return answers(line)[1::3]
