"""What a shell asks at each TAB: click's answers, and those that it has not. Imported only then."""

from __future__ import annotations

import os
from pathlib import Path

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    split_arg_string,
)

VARIABLE = "_VQI_COMPLETE"
_LONGEST = 60  # characters of a meaning beside a name

# Unlike click's, these know that a value may follow '=' and ':': no space is put behind them, and bash, for which each
# part is a word of its own, gets the part.
_BASH = """\
%(complete_func)s() {
    local type value
    COMPREPLY=()
    while IFS=, read -r type value; do
        if [[ $type == file ]]; then
            compopt -o default
        else
            COMPREPLY+=("$value")
            [[ $value != *[=:] ]] || compopt -o nospace
        fi
    done < <(env COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_BREAKS="$COMP_WORDBREAKS" %(complete_var)s=bash_complete "${1/#\\~/$HOME}")
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""  # noqa: E501 - one command
_ZSH = """\
%(complete_func)s() {
    local -a whole open lines
    local type value meaning
    lines=("${(@f)$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) %(complete_var)s=zsh_complete ${~words[1]})}")
    for type value meaning in $lines; do
        [[ $meaning == _ ]] && meaning=""
        if [[ $type == file ]]; then
            compset -P '*[=:]'
            _files
        elif [[ $value == *[=:] ]]; then
            open+=("${value//:/\\\\:}${meaning:+:$meaning}")
        else
            whole+=("${value//:/\\\\:}${meaning:+:$meaning}")
        fi
    done
    (( $#open )) && _describe -V value open -U -S ''
    (( $#whole )) && _describe -V value whole -U
}
compdef %(complete_func)s %(prog_name)s
"""  # noqa: E501 - one command


class _Completing(ShellComplete):
    """A value that has no words of its own is completed as a path: photographs, models, runs."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        """See ``click.shell_completion.ShellComplete``."""
        found = super().get_completions(args, incomplete)
        if found or not args or incomplete.startswith("-"):
            return found
        return [CompletionItem(incomplete, type="file")]


class Bash(_Completing, BashComplete):
    """For bash, which replaces only what stands behind the last of its word breaks."""

    source_template = _BASH
    _behind = 0

    def get_completion_args(self) -> tuple[list[str], str]:
        """The whole words before the cursor, and the one that it is in."""
        line = os.environ["COMP_LINE"]
        words = split_arg_string(line)[1:]
        incomplete = words.pop() if words and not line[-1].isspace() else ""
        breaks = "".join(set(os.environ["COMP_BREAKS"]) & set("=:"))
        self._behind = max((incomplete.rfind(one) + 1 for one in breaks), default=0)
        return words, incomplete

    def format_completion(self, item: CompletionItem[str]) -> str:
        """One line: its type and what is new of it."""
        return f"{item.type},{item.value[self._behind :]}"


class Zsh(_Completing, ZshComplete):
    """For zsh."""

    source_template = _ZSH

    def format_completion(self, item: CompletionItem[str]) -> str:
        """Three lines: its type, itself, its meaning."""
        return f"{item.type}\n{item.value}\n{item.help or '_'}"


class Fish(_Completing, FishComplete):
    """For fish."""


SHELLS: dict[str, type[ShellComplete]] = {"bash": Bash, "zsh": Zsh, "fish": Fish}


def register() -> None:
    """Let click answer with these."""
    for name, one in SHELLS.items():
        add_completion_class(one, name)


def script(shell: str, command: click.Command) -> str:
    """What a shell has to run so that it asks."""
    return SHELLS[shell](command, {}, "vqi", VARIABLE).source()


def parameter(context: click.Context, incomplete: str) -> list[CompletionItem[str]]:
    """``name=`` of the training pipeline's parameters; behind it, the values that have names."""
    from vqi_pipelines.parameter_schema import parameter_fields, words

    of_files = any(one.name == "file" for one in context.command.params)
    if of_files and (context.params.get("file") or context.args):  # click leaves it in args before a bare -p
        return []  # those of another pipeline
    fields = parameter_fields()
    name, separator, _ = incomplete.partition("=")
    if not separator:
        return [
            CompletionItem(f"{one}=", help=_short(field.description or ""))
            for one, field in fields.items()
            if one.startswith(name)
        ]
    found = [f"{name}={word}" for word in words(name)] if name in fields else []
    return [CompletionItem(one) for one in found if one.startswith(incomplete)]


def run(context: click.Context, incomplete: str) -> list[CompletionItem[str]]:
    """The names of runs, the newest first, and ``latest``."""
    from vqi.errors import VqiError
    from vqi_pipelines.local.folders import LATEST
    from vqi_pipelines.local.run_record import RUN_FILE
    from vqi_pipelines.runs.listing import folders_in

    asked = context.find_root().params | context.params
    try:
        folders = folders_in(Path(asked.get("runs_dir") or "runs"))
    except VqiError:  # there are none, which is no reason to write into somebody's command line
        return []
    names = [LATEST, *(one.name for one in folders if (one / RUN_FILE).is_file())]
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _short(meaning: str) -> str:
    first = meaning.partition(";")[0].partition(":")[0].replace(",", "")
    return first if len(first) <= _LONGEST else f"{first[:_LONGEST].rpartition(' ')[0]} ..."
