"""What a sink is, and what it is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import SplitResult

SECONDS = 10.0  # that the other side has, to accept a connection and to answer


class UndeliveredError(Exception):
    """The other side is away, or did not take a message: it is sent again."""


class RefusedMessageError(Exception):
    """The other side says that it will never take this message: it is not sent again."""


@dataclass(frozen=True)
class Credentials:
    """What the environment says; none of it is printed."""

    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    authority: str = ""  # file with the certificates that are trusted
    certificate: str = ""  # file with a certificate of one's own
    key: str = ""  # file with its key, where that is another one


# The variable of each.
VARIABLES: Mapping[str, str] = {
    "user": "VQI_SINK_USER",
    "password": "VQI_SINK_PASSWORD",
    "token": "VQI_SINK_TOKEN",
    "authority": "VQI_SINK_CA",
    "certificate": "VQI_SINK_CERT",
    "key": "VQI_SINK_KEY",
}


def credentials_in(environment: Mapping[str, str]) -> Credentials:
    """What the environment says."""
    return Credentials(**{name: environment.get(variable, "") for name, variable in VARIABLES.items()})


class Sink(Protocol):
    """One that takes messages; used by one thread, and made before anything is sent."""

    def __init__(self, address: SplitResult, credentials: Credentials) -> None:
        """Raises ``VqiError`` where that can be no address of such a sink; does not connect."""

    def send(self, identity: str, body: bytes) -> None:
        """Hand over a message: when this returns, the other side has it.

        Args:
            identity: By which the other side knows a message that it has already.
            body: JSON.

        Raises:
            UndeliveredError: It was not taken, or nobody knows; it is sent again.
            RefusedMessageError: It will never be.
        """

    def close(self) -> None:
        """End the connection, if there is one."""
