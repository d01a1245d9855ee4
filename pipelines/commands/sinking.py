"""The options ``--sink`` and what belongs to it, and what sends the rows of ``vqi predict --watch`` there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from vqi_pipelines.commands.options import LocalPath

if TYPE_CHECKING:
    from vqi.models.rows import Row
    from vqi.sinks.outbox import Outbox

Command = TypeVar("Command", bound=Callable[..., Any])
_MOST = 10_000  # messages, each of some hundred bytes


@dataclass(frozen=True)
class SinkOptions:
    """Where rows are sent, and where they wait."""

    address: str  # '' for nowhere
    queue: Path | None
    most: int

    @contextmanager
    def opened(self) -> Iterator[Outbox | None]:
        """What sends them; None for nothing.

        Raises:
            VqiError: It is no address of a sink, or the queue cannot be used.
            OSError: The folder of the queue cannot be made.
        """
        if not self.address or self.queue is None:
            yield None
            return
        from vqi.sinks.interface import credentials_in
        from vqi.sinks.outbox import Outbox
        from vqi.sinks.registry import sink_at

        sink = sink_at(self.address, credentials_in(os.environ))
        with Outbox(self.address, sink, self.queue, self.most) as outbox:
            yield outbox


def sink_options(command: Command) -> Command:
    """The options of a sink, as ``sink``."""

    @wraps(command)
    def wrapped(*args: Any, sink: str, sink_queue: Path | None, sink_limit: int, **kwargs: Any) -> Any:
        if sink and sink_queue is None:
            raise click.UsageError(
                "--sink: name a folder with --sink-queue, where messages wait while the sink is away"
            )
        if sink_queue is not None and not sink:
            raise click.UsageError("--sink-queue: expected with --sink ADDRESS")
        return command(*args, sink=SinkOptions(sink, sink_queue, sink_limit), **kwargs)

    found: Any = wrapped
    for option in reversed(_SINK):
        found = option(found)
    return cast(Command, found)


_SINK = (
    click.option(
        "--sink",
        default="",
        metavar="ADDRESS",
        help="Also send each row as JSON, at least once: https://host/path (a POST), or mqtts://host/topic (mqtt:// "
        "without encryption). Logins are in the environment: VQI_SINK_USER and VQI_SINK_PASSWORD, VQI_SINK_TOKEN.",
    ),
    click.option(
        "--sink-queue",
        type=LocalPath(),
        metavar="FOLDER",
        help="Where messages wait while the sink is away; the next start sends what is left.",
    ),
    click.option(
        "--sink-limit",
        default=_MOST,
        show_default=True,
        type=click.IntRange(1),
        metavar="N",
        help="How many wait at most; then the oldest are lost.",
    ),
)


@dataclass(frozen=True)
class Sending:
    """What sends the rows of watched files."""

    outbox: Outbox
    model: str  # its name, for who reads the messages

    def put(self, version: int, row: Row, path: str) -> None:
        """Send a row. That of the same contents of a file, scored again because this process was killed, has one id."""
        identity = ""
        try:
            found = Path(path).stat()
        except OSError:  # gone since: nobody scores it again
            found = None
        if found is not None:
            identity = "|".join(
                map(str, (self.model, version, found.st_size, found.st_mtime_ns, Path(path).absolute()))
            )
        self.outbox.put(self.model, version, row, identity)
