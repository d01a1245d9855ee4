"""A sink that is a file on this machine: a line for each message."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import SplitResult

from vqi.sinks.interface import Credentials


class Sink:
    """See ``vqi.sinks.interface.Sink``."""

    def __init__(self, address: SplitResult, credentials: Credentials) -> None:
        self._path = Path(address.path)

    def send(self, identity: str, body: bytes) -> None:
        """Add a line."""
        with self._path.open("ab") as file:
            file.write(body + b"\n")

    def close(self) -> None:
        """Nothing is open."""
