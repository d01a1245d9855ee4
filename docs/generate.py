"""Writes docs/reference: of the library, the commands and the parameters, from their docstrings and descriptions.

``python docs/generate.py`` writes it; ``--check`` only says whether it is up to date. ``make compile`` and ``make
check`` run them.
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import griffe

import vqi
from vqi_pipelines.commands.group import vqi as command
from vqi_pipelines.compiled import training_ir
from vqi_pipelines.ir import read_ir
from vqi_pipelines.parameter_schema import schema_text
from vqi_pipelines.parameters import describe_parameters

FOLDER = Path(__file__).parent / "reference"
WRITTEN = "Written by `make compile`: change {} instead.\n"
GROUPS = {"attributes": "Attribute", "parameters": "Argument", "returns": "Returns", "raises": "Raises"}
LONGEST = 110  # characters of a line of code
MARKUP = r"[*<\\]|\b_|_\b"  # an underscore between letters is none
_BAR = "\\|"  # in a table


def main() -> int:
    """Write the pages, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a page is out of date")
    check = parser.parse_args().check
    pages = {
        "python.md": library(),
        "commands.md": commands(),
        "parameters.md": parameters(),
        "parameters.schema.json": schema_text(),
    }
    old = [name for name, text in pages.items() if not _is(FOLDER / name, text)]
    if check and old:
        names = ", ".join(old)
        sys.stderr.write(f"docs/reference: {names}: out of date: run 'make compile' and commit the result\n")
        return 1
    FOLDER.mkdir(exist_ok=True)
    for name in old:
        (FOLDER / name).write_text(pages[name])
    return 0


def _is(file: Path, text: str) -> bool:
    return file.is_file() and file.read_text() == text


# -------------------------------------------------------------------------------------------------- the library


def library() -> str:
    """The face of the package: each name, its arguments, attributes and errors."""
    parts = [
        "# Reference: Python\n",
        WRITTEN.format("the docstrings"),
        "[The guide](../python.md) shows how they are used.\n",
    ]
    for name in ("load", "fit", "Model", "ExportedModel", "Result", "Failure", "VqiError"):
        parts += _described(getattr(vqi, name), f"vqi.{name}", "##")
    return "\n".join(parts)


def _described(thing: Any, name: str, level: str) -> Iterator[str]:
    yield f"{level} `{name}`\n"
    if not inspect.isclass(thing):
        yield f"```python\n{_signature(thing, name.rpartition('.')[2])}\n```\n"
    yield from _sections(inspect.cleandoc(thing.__doc__ or ""))
    if inspect.isclass(thing) and not issubclass(thing, Exception):
        bases = [base for base in thing.__mro__[1:] if base.__module__.startswith("vqi.")]
        for base in bases:
            yield from (
                text for text in _sections(inspect.cleandoc(base.__doc__ or "")) if text.startswith("| Attribute")
            )
        members = {key: value for one in (*reversed(bases), thing) for key, value in vars(one).items()}
        for key, value in members.items():
            if not key.startswith("_") and (inspect.isfunction(value) or isinstance(value, property)):
                yield from _described(value, f"{name.rpartition('.')[2]}.{key}", "###")


def _signature(function: Any, name: str) -> str:
    """As it is called: without ``self``, one argument in a line where there are many."""
    if isinstance(function, property) and function.fget:
        return f"{name}: {inspect.get_annotations(function.fget)['return']}"
    whole = inspect.signature(function)
    shown, keyword_only = [], False
    for one in whole.parameters.values():
        if one.kind is inspect.Parameter.KEYWORD_ONLY and not keyword_only:
            shown.append("*")
            keyword_only = True
        default = "" if one.default is inspect.Parameter.empty else f" = {_value(one.default)}"
        shown += [] if one.name == "self" else [f"{one.name}: {one.annotation}{default}"]
    line = f"{name}({', '.join(shown)}) -> {whole.return_annotation}"
    if len(line) <= LONGEST:
        return line
    return f"{name}(\n" + "".join(f"    {one},\n" for one in shown) + f") -> {whole.return_annotation}"


def _value(default: object) -> str:
    return json.dumps(default) if isinstance(default, str) else repr(default)


def _sections(docstring: str) -> Iterator[str]:
    """Text, and a table for each list of arguments, attributes or errors."""
    for section in griffe.Docstring(docstring).parse("google", warnings=False):
        kind = section.kind.value
        if kind == "text":
            yield f"{_code(section.value)}\n"
        elif kind in GROUPS:
            rows = [(getattr(one, "name", "") or str(one.annotation or ""), one.description) for one in section.value]
            lines = [f"| {name and f'`{name}`'} | {_cell(said)} |" for name, said in rows]
            yield "\n".join([f"| {GROUPS[kind]} | |", "| --- | --- |", *lines, ""])
        else:
            raise SystemExit(f"docs/generate.py: a section of kind {kind} is not expected: {docstring[:80]}")


def _code(text: str) -> str:
    return text.replace("``", "`")


def _cell(text: str) -> str:
    return _prose(_code(text)).replace("|", _BAR)


# ------------------------------------------------------------------------------------------------- the commands


def commands() -> str:
    """Every command: how it is used, what it does, its options."""
    parts = ["# Reference: commands\n", WRITTEN.format("the commands' help"), "Each says the same with `--help`.\n"]
    top = click.Context(command, info_name="vqi", **command.context_settings)
    for context in _contexts(top):
        parts += [f"## `{context.command_path}`\n", *_command(context)]
    return "\n".join(parts)


def _contexts(context: click.Context) -> Iterator[click.Context]:
    yield context
    if isinstance(context.command, click.Group):
        for name, found in sorted(context.command.commands.items()):
            yield from _contexts(click.Context(found, info_name=name, parent=context))


def _command(context: click.Context) -> Iterator[str]:
    usage = " ".join(context.command.collect_usage_pieces(context))
    yield f"```text\n{context.command_path} {usage}\n```\n"
    for paragraph in inspect.cleandoc(context.command.help or "").split("\n\n"):
        is_laid_out = paragraph.startswith("\b\n")
        yield f"```text\n{paragraph[2:]}\n```\n" if is_laid_out else f"{_prose(paragraph)}\n"
    options = [one for one in context.command.get_params(context) if isinstance(one, click.Option)]
    records = [record for one in options if (record := one.get_help_record(context))]
    rows = [f"| `{names.replace('|', _BAR)}` | {_cell(said)} |" for names, said in records]
    yield "\n".join(["| option | |", "| --- | --- |", *rows, ""])
    if isinstance(context.command, click.Group):
        found = sorted(context.command.commands.items())
        links = [(f"{context.command_path} {name}", one.get_short_help_str(limit=200)) for name, one in found]
        rows = [f"| [`{name}`](#{name.replace(' ', '-')}) | {_cell(said)} |" for name, said in links]
        yield "\n".join(["| command | |", "| --- | --- |", *rows, ""])


def _prose(text: str) -> str:
    """A text in one line, in which what Markdown would read is written as it stands; what is in backticks is code."""
    parts = " ".join(text.split()).split("`")
    return "`".join(one if place % 2 else re.sub(MARKUP, r"\\\g<0>", one) for place, one in enumerate(parts))


# ----------------------------------------------------------------------------------------------- the parameters


def parameters() -> str:
    """The parameters of the training pipeline."""
    head = (
        "`vqi run -p NAME=VALUE`, a parameter file (`-f`), `vqi submit`, the chart's `parameters` and `vqi.fit` take "
        "them; `vqi parameters` lists the same. [parameters.schema.json](parameters.schema.json) is a JSON schema of a "
        "parameter file ([for an editor](../editors.md)).\n"
    )
    lines = [
        "# Reference: parameters\n",
        WRITTEN.format("`src/vqi/config.py`"),
        head,
        "| parameter | default | |",
        "| --- | --- | --- |",
    ]
    for name, default, said in describe_parameters(read_ir(training_ir())):
        lines.append(f"| `{name}` | `{json.dumps(default)}` | {_cell(said)} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main())
