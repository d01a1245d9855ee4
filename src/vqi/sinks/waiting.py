"""The messages that wait for a sink, in a file: bounded, in order, and there again after the process was killed.

An SQLite database with a write-ahead log. What was put survives the end of this process, however it ends; the last
messages may not survive that of the machine, as the disk is not made to write each one at once.
"""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import NamedTuple

from vqi.errors import VqiError

_FORMAT = 1  # of the file, as its user_version


class Message(NamedTuple):
    """One that waits."""

    number: int  # rises by one with each message of a queue, and is never used again
    identity: str
    body: bytes


class Waiting:
    """A queue of at most ``most`` messages. Thread-safe; no method waits for a network.

    Args:
        path: Its file; its folder is made.
        most: When it is full, the oldest message makes room.

    Raises:
        VqiError: Another process uses it, or it is no such queue.
        OSError: Its folder cannot be made.
    """

    def __init__(self, path: Path, most: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._most, self._lock = most, threading.Lock()
        try:
            self._database = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise VqiError(f"{path}: the queue of a sink cannot be opened: {error}") from error
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._database.close()
            busy = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
            why = (
                "another process uses it: name another folder"
                if busy
                else f"{error}: remove it, or name another folder"
            )
            raise VqiError(f"{path}: the queue of a sink: {why} with --sink-queue") from error

    def _prepare(self) -> None:
        run = self._database.execute
        run("PRAGMA locking_mode=EXCLUSIVE")  # held until this process ends
        run("PRAGMA journal_mode=WAL")
        run("PRAGMA synchronous=NORMAL")
        run("BEGIN IMMEDIATE")
        if run("PRAGMA user_version").fetchone()[0] not in (0, _FORMAT):
            raise sqlite3.DatabaseError("it is of another version of vqi")
        run(
            "CREATE TABLE IF NOT EXISTS messages"
            " (number INTEGER PRIMARY KEY AUTOINCREMENT, identity TEXT NOT NULL UNIQUE, body BLOB NOT NULL)"
        )
        run(f"PRAGMA user_version={_FORMAT}")
        run("COMMIT")
        self.count: int = run("SELECT COUNT(*) FROM messages").fetchone()[0]

    def put(self, identity: str, body: bytes) -> int:
        """Add a message at the end, unless one of that identity waits already.

        Returns:
            How many of the oldest ones had to make room.

        Raises:
            sqlite3.Error: It cannot be written, for example because the disk is full.
        """
        with self._lock:
            with self._database:
                run = self._database.execute
                run("BEGIN IMMEDIATE")
                added = run("INSERT OR IGNORE INTO messages (identity, body) VALUES (?, ?)", (identity, body)).rowcount
                beyond = max(0, self.count + added - self._most)
                oldest = "SELECT number FROM messages ORDER BY number LIMIT ?"
                run(f"DELETE FROM messages WHERE number IN ({oldest})", (beyond,))  # noqa: S608 - no text from outside
            self.count += added - beyond
            return beyond

    def first(self) -> Message | None:
        """The oldest message; None where none waits.

        Raises:
            sqlite3.Error: It cannot be read.
        """
        with self._lock:
            row = self._database.execute(
                "SELECT number, identity, body FROM messages ORDER BY number LIMIT 1"
            ).fetchone()
        return Message(*row) if row else None

    def done(self, message: Message) -> None:
        """Forget a message; nothing where it made room meanwhile.

        Raises:
            sqlite3.Error: It cannot be written.
        """
        with self._lock:
            self.count -= self._database.execute("DELETE FROM messages WHERE number = ?", (message.number,)).rowcount

    def close(self) -> None:
        """Close the file; what waits stays in it."""
        with self._lock:
            self._database.close()
