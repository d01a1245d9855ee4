"""What the commands share: how a known error is shown, and how parameters are given."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from vqi.errors import VqiError

Command = TypeVar("Command", bound=Callable[..., Any])


def known_errors(command: Command) -> Command:
    """Show a known error as one line on stderr, with exit code 2."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except VqiError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(2)

    return wrapped  # type: ignore[return-value]


def parameter_options(command: Command) -> Command:
    """The options ``-f`` and ``-p``, as ``files`` and ``assignments``: the same for every backend."""
    one = click.option(
        "-p", "--parameter", "assignments", multiple=True, metavar="NAME=VALUE", help="One parameter; repeatable."
    )
    file = click.option(
        "-f", "--file", "files", multiple=True, type=click.Path(path_type=Path), help="YAML parameter file; repeatable."
    )
    return file(one(command))
