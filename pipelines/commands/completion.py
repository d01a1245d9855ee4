"""``vqi completion``: the shell completes commands, options, parameters and paths."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from vqi.errors import VqiError

SHELLS = ("bash", "zsh", "fish")
_MARK = "# vqi completion"
_WRITTEN = f"{_MARK}: written by 'vqi completion --install'\n"
# Where the package bash-completion is, which reads the files of a folder when they are needed.
_LOADERS = (
    "/usr/share/bash-completion/bash_completion",
    "/usr/local/share/bash-completion/bash_completion",
    "/opt/homebrew/etc/profile.d/bash_completion.sh",
    "/usr/local/etc/profile.d/bash_completion.sh",
)


@click.command()
@click.argument("shell", required=False, type=click.Choice(SHELLS))
@click.option("--install", is_flag=True, help="Write it where the shell reads it, and say where that is.")
@click.pass_context
def completion(context: click.Context, shell: str | None, install: bool) -> None:
    """Print what makes a SHELL complete 'vqi': commands, options, parameters with their values, paths. Without SHELL,
    for the one that runs this command.

    \b
    For the shell that you are in:
      source <(vqi completion)             bash, zsh
      vqi completion fish | source         fish
    For all that start later:
      vqi completion --install
    """
    from vqi_pipelines.commands.completing import script

    name = shell or _shell_in_use()
    text = script(name, context.find_root().command)
    if not install:
        click.echo(text, nl=False)
        return
    place = _place(name)
    click.echo(f"{'wrote' if _write(place, f'{_WRITTEN}{text}') else 'is up to date:'} {place}")
    if line := _line(name, place):
        file = _startup_file(name)
        click.echo(f"{'added a line to' if _add_line(file, line) else 'is up to date:'} {file}")
    click.echo(f"new shells complete 'vqi'; this one after: source {shlex.quote(str(place))}")


def _shell_in_use() -> str:
    """The shell that started this process; where something else did, the user's own."""
    parent = Path(f"/proc/{os.getppid()}/comm")
    program = parent.read_text(encoding="utf-8").strip() if parent.exists() else ""
    for name in (program, Path(os.environ.get("SHELL", "")).name):
        if name in SHELLS:
            return name
    raise VqiError(f"which shell is it? expected {', '.join(SHELLS)}: name one, such as 'vqi completion bash'")


def _place(shell: str) -> Path:
    """The file from which a shell of this user completes ``vqi``."""
    home = Path.home()
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    if shell == "bash":
        own = os.environ.get("BASH_COMPLETION_USER_DIR", "").partition(":")[0]
        return Path(own or data / "bash-completion") / "completions" / "vqi"
    if shell == "zsh":
        return data / "vqi" / "completion.zsh"
    return Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "fish" / "completions" / "vqi.fish"


def _line(shell: str, place: Path) -> str:
    """What the shell's startup file needs, so that the file is read; '' where the shell finds it."""
    file = shlex.quote(str(place))
    if shell == "bash" and not any(Path(one).exists() for one in _LOADERS):
        return f"[ ! -f {file} ] || . {file} {_MARK}"
    if shell == "zsh":
        return f"[[ ! -f {file} ]] || {{ (( $+functions[compdef] )) || {{ autoload -Uz compinit && compinit }}; source {file} }} {_MARK}"  # noqa: E501 - one command
    return ""


def _startup_file(shell: str) -> Path:
    folder = os.environ.get("ZDOTDIR", "") if shell == "zsh" else ""
    return Path(folder or Path.home()) / f".{shell}rc"


def _write(file: Path, text: str) -> bool:
    """Whether a file had to be written.

    Raises:
        VqiError: There is a file that somebody else wrote.
    """
    from vqi.system.atomic import write_text

    if file.exists():
        there = file.read_text(encoding="utf-8", errors="replace")
        if there == text:
            return False
        if _MARK not in there:
            raise VqiError(f"{file}: expected none, or one that 'vqi completion' wrote: move it away first")
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, text)
    return True


def _add_line(file: Path, line: str) -> bool:
    """Whether a line had to be added to a startup file; what is in it stays as it is."""
    there = file.read_bytes() if file.exists() else b""
    if line.encode() in there.splitlines():
        return False
    with file.open("ab") as out:
        out.write((b"" if not there or there.endswith(b"\n") else b"\n") + line.encode() + b"\n")
    return True
