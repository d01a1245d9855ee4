"""What ``vqi predict`` does with each photograph: its row, its picture, what the terminal shows, the exit code."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click

from vqi.errors import VqiError
from vqi.models.inputs import Found, find_images
from vqi.models.pictures import write_picture
from vqi.models.reading import Failure
from vqi.models.result import Result
from vqi.models.rows import Row, row_of
from vqi.models.scorer import Scorer
from vqi.progress import BAR_SECONDS
from vqi_pipelines.commands.rows import Rows
from vqi_pipelines.commands.sinking import Sending

STANDARD = "-"  # standard input
FLAGGED, NOT_READ = 1, 3  # exit codes of its own, besides those of all commands

_MOST_FAILURES = 20  # that are named on the terminal; all of them are in the output


def named(names: Sequence[str]) -> Iterator[Found]:
    """The images that are named, on the command line or on standard input.

    Raises:
        VqiError: Standard input is closed.
    """
    for name in names:
        if name == STANDARD:
            yield from find_images(_lines())
        else:
            yield from find_images([name], patterns=True)


def _lines() -> Iterator[str]:
    """The names on standard input, one per line, whatever bytes they are of."""
    if sys.stdin is None:
        raise VqiError("standard input is closed: name the images, or give their names there")
    for line in sys.stdin.buffer:
        if name := line.rstrip(b"\r\n"):
            yield os.fsdecode(name)


class Run:
    """Scores photographs and writes their rows; counts what the exit code says.

    Args:
        model: What scores.
        rows: What is written.
        maps: Folder for a picture of each photograph; None for none.
        pictures: How many are there from before.
        progress: What a terminal shows meanwhile.
        sending: What sends the rows on; None for nothing.
    """

    def __init__(
        self,
        model: Scorer,
        rows: Rows,
        maps: Path | None,
        pictures: int,
        progress: Progress,
        sending: Sending | None = None,
    ) -> None:
        self._model, self._rows, self._maps, self._pictures = model, rows, maps, pictures
        self._progress, self._sending = progress, sending
        self.scored = self.flagged = self.failed = 0

    def score(self, images: Iterable[Found], *, ahead: bool) -> None:
        """Write a row for each, as soon as it is scored."""
        for one in self._model.score_many(images, keep=self._maps is not None, ahead=ahead):
            row = self._failure(one) if isinstance(one, Failure) else self._row(one)
            self._rows.write(row)
            if self._sending is not None:
                self._sending.put(self._model.version, row, one.name)
            self._progress.show(self.scored, self.flagged, self.failed)

    def exit_code(self, *, fail_on_anomaly: bool) -> int:
        """What the command ends with, after it said how many errors it did not name."""
        self._progress.clear()
        if self.failed > _MOST_FAILURES:
            click.echo(f"error: ... and {self.failed - _MOST_FAILURES} more: see the output", err=True)
        if self.failed:
            return NOT_READ
        return FLAGGED if fail_on_anomaly and self.flagged else 0

    def _row(self, one: Result) -> Row:
        self.scored += 1
        self.flagged += one.flagged
        if self._maps is None:
            return row_of(one)
        self._pictures += 1
        return row_of(one, str(self._maps / write_picture(self._maps, self._pictures, one)))

    def _failure(self, one: Failure) -> Row:
        self.failed += 1
        if self.failed <= _MOST_FAILURES:
            self._progress.clear()
            click.echo(f"error: {one.error}", err=True)
        return row_of(one)


class Progress:
    """How many photographs are done, on one line of a terminal that does not show the rows."""

    def __init__(self, *, quiet: bool) -> None:
        self._on, self._began, self._said = sys.stderr.isatty() and not quiet, time.monotonic(), 0.0

    def show(self, scored: int, flagged: int, failed: int) -> None:
        """Draw the line anew, ten times a second at most."""
        now = time.monotonic()
        if self._on and now - self._said >= BAR_SECONDS:
            self._said = now
            rate = (scored + failed) / (now - self._began)
            unread = f", {failed} not read" if failed else ""
            click.echo(f"\r\x1b[Kscored {scored}, {flagged} flagged{unread}, {rate:.1f}/s", nl=False, err=True)

    def clear(self) -> None:
        """Take the line away, for others to write there."""
        if self._on and self._said:
            click.echo("\r\x1b[K", nl=False, err=True)
