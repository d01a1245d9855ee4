"""What several commands print: rows, JSON, places and times."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from datetime import datetime


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows with their cells below each other."""
    from vqi.formatting import columns

    for line in columns(rows):
        click.echo(f"  {line}")


def print_json(content: Any) -> None:
    """Print a JSON value for programs."""
    click.echo(json.dumps(content, indent=2, ensure_ascii=False))


def place(uri: str) -> str:
    """A uri as people type it."""
    return shown(uri.removeprefix("file://"))


def shown(text: str) -> str:
    """A text as one line without secrets."""
    from vqi.redaction import shown_line

    return shown_line(text)


def time_of(moment: datetime | None) -> str:
    """A time to the minute, in UTC."""
    from datetime import UTC

    return "not known" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"


def megabytes(size: int) -> str:
    """A number of bytes for people."""
    return f"{size / 1e6:.1f} MB"
