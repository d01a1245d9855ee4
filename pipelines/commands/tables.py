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
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo(f"  {'  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))}".rstrip())


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
