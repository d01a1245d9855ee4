"""Rows to a sink, at least once and in order: they wait on the disk, and a thread sends them. Nobody else waits for it.

A message is the row as JSON, with ``id``, ``time``, ``model`` and ``version``.
"""

from __future__ import annotations

import json
import random
import sqlite3
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from vqi.digests import sha256_bytes
from vqi.formatting import count
from vqi.progress import message
from vqi.redaction import shown_line
from vqi.sinks.interface import RefusedMessageError, Sink
from vqi.sinks.registry import shown_address
from vqi.sinks.waiting import Message, Waiting

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0  # seconds, at most, before a message is sent again
GRACE = 5.0  # seconds at the end, for what waits
_DIGITS = 32  # of an id


@dataclass
class Counts:
    """What became of messages since this process began."""

    delivered: int = 0
    refused: int = 0  # by the other side, for good
    dropped: int = 0  # because the queue was full, or could not be written
    failures: int = 0  # attempts that failed


class Outbox:
    """What waits for a sink, and the thread that sends it.

    Args:
        address: Of the sink, for people.
        sink: It.
        folder: For the queue, whose name is of the address, so that a restart finds it.
        most: Messages that wait; the oldest make room.

    Raises:
        VqiError: Another process uses the queue, or it is no queue.
        OSError: The folder cannot be made.
    """

    def __init__(self, address: str, sink: Sink, folder: Path, most: int) -> None:
        self.name = shown_address(address)
        self.counts = Counts()
        self._sink = sink
        path = folder / f"{sha256_bytes(address.encode())[:_DIGITS]}.queue"
        self._waiting = Waiting(path, most)
        self._news = threading.Condition()
        self._ending = threading.Event()
        self._away = self._full = False  # as the last thing that was said of it
        # a daemon: a process ends whatever the other side does, and what was not sent waits for the next one
        self._thread = threading.Thread(target=self._send_all, name=f"sink {self.name}", daemon=True)

    def __enter__(self) -> Outbox:
        if left := self._waiting.count:
            message(f"sink {self.name}: {count(left, 'message')} left by an earlier run")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Send what waits, as far as that takes no longer than ``GRACE`` seconds."""
        with self._news:
            self._ending.set()
            self._news.notify()
        self._thread.join(GRACE)
        if lost := self.counts.dropped:
            message(f"warning: sink {self.name}: {count(lost, 'message')} lost: its queue took no more")
        if left := self._waiting.count:
            message(f"sink {self.name}: {count(left, 'message')} left for the next start with this --sink-queue")
        if not self._thread.is_alive():
            self._sink.close()
            self._waiting.close()

    @property
    def waits(self) -> int:
        """How many messages wait."""
        return self._waiting.count

    def put(self, model: str, version: int, row: Mapping[str, object], identity: str = "") -> None:
        """Let a row wait for the sink. Takes as long as a write to the disk's cache; never raises for what a disk does.

        Args:
            model: That scored.
            version: Of it.
            row: A value for JSON.
            identity: What tells it from all other rows, and is the same when it is put again; '' for one that is not.
        """
        made = sha256_bytes(identity.encode("utf-8", "surrogateescape"))[:_DIGITS] if identity else uuid.uuid4().hex
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        content = {"id": made, "time": now, "model": model, "version": version, **row}
        try:
            dropped, why = self._waiting.put(made, json.dumps(content).encode()), "its queue is full"
        except sqlite3.Error as error:
            dropped, why = 1, f"its queue cannot be written: {error}"
        self.counts.dropped += dropped
        if dropped and not self._full:
            message(f"warning: sink {self.name}: {why}: messages are lost, the oldest first")
        self._full = dropped > 0
        with self._news:
            self._news.notify()

    def _send_all(self) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                waits = self._waiting.first()
                if waits is None:
                    if self._ended():
                        return
                    continue
                self._send(waits)
                pause = FIRST_PAUSE
            except Exception as error:  # whatever a sink raises: this thread has to go on
                self._fail(error)
                # full jitter: those who lost the same server do not come back at the same moment
                if self._ending.wait(random.uniform(0, pause)):  # noqa: S311 - no secret
                    return
                pause = min(2 * pause, LONGEST_PAUSE)

    def _ended(self) -> bool:
        """Wait for something to send; whether there will be nothing more."""
        with self._news:
            self._news.wait_for(lambda: self._waiting.count or self._ending.is_set())
            return not self._waiting.count

    def _send(self, waits: Message) -> None:
        try:
            self._sink.send(waits.identity, waits.body)
            self.counts.delivered += 1
        except RefusedMessageError as error:
            self.counts.refused += 1
            message(f"warning: sink {self.name}: message {waits.identity} is refused: {shown_line(str(error))}")
        self._waiting.done(waits)
        if self._away:
            self._away = False
            message(f"sink {self.name}: it is there again; {count(self._waiting.count, 'message')} left to send")

    def _fail(self, error: Exception) -> None:
        self.counts.failures += 1
        if not self._away:
            self._away = True
            why = shown_line(str(error) or type(error).__name__)
            message(f"warning: sink {self.name}: {why}; messages wait, and are sent again")
