"""A sink that is a topic of an MQTT 3.1.1 broker: each message is published at QoS 1, which the broker acknowledges."""

from __future__ import annotations

import ssl
import threading
import uuid
from typing import Any
from urllib.parse import SplitResult, unquote

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from vqi.errors import VqiError
from vqi.sinks.interface import SECONDS, Credentials, UndeliveredError
from vqi.sinks.tls import tls_of

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_KEEP_ALIVE = 30  # seconds
_LONGEST_TOPIC = 65_535  # bytes


class Sink:
    """See ``vqi.sinks.interface.Sink``. Each connection is a client of its own: paho keeps no queue beside ours."""

    def __init__(self, address: SplitResult, credentials: Credentials) -> None:
        topic = unquote(address.path.removeprefix("/"))
        if not topic or set("+#\0") & set(topic) or address.fragment or address.query:
            raise VqiError(
                f"--sink {address.scheme}://{address.hostname}: expected a topic without + and #, such as "
                f"mqtt://host/line4/parts, got {topic or 'none'!r}"
            )
        if len(topic.encode()) > _LONGEST_TOPIC:
            raise VqiError("--sink: expected a topic of at most 65,535 bytes")
        self._topic, self._host = topic, address.hostname or ""
        self._port = address.port or _PORTS[address.scheme]
        self._credentials = credentials
        self._tls = tls_of(credentials) if address.scheme == "mqtts" else None
        self._connection: _Connection | None = None

    def send(self, identity: str, body: bytes) -> None:
        """Hand over a message; see ``vqi.sinks.interface.Sink``."""
        try:
            if self._connection is not None and self._connection.ended:  # while there was nothing to send
                self.close()
            if self._connection is None:
                self._connection = _Connection(self._host, self._port, self._credentials, self._tls)
            self._connection.publish(self._topic, body)
        except (OSError, ValueError, UndeliveredError) as error:
            self.close()
            if isinstance(error, UndeliveredError):
                raise
            raise UndeliveredError(f"no connection: {getattr(error, 'strerror', None) or error}") from error

    def close(self) -> None:
        """See ``vqi.sinks.interface.Sink``."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _Connection:
    """A connection to a broker, which was accepted.

    Raises:
        UndeliveredError: The broker refuses it, or does not answer.
        OSError: There is nobody.
    """

    def __init__(self, host: str, port: int, credentials: Credentials, tls: ssl.SSLContext | None) -> None:
        self._news = threading.Condition()
        self._accepted, self.ended = False, ""  # why it ended
        self._acknowledged: set[int] = set()
        self._client = client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"vqi-{uuid.uuid4().hex[:16]}", reconnect_on_failure=False
        )
        client.connect_timeout = SECONDS
        client.on_connect, client.on_disconnect, client.on_publish = (
            self._connected,
            self._disconnected,
            self._published,
        )
        if credentials.user:
            client.username_pw_set(credentials.user, credentials.password or None)
        if tls is not None:
            client.tls_set_context(tls)
        client.connect(host, port, _KEEP_ALIVE)
        client.loop_start()
        try:
            self._wait(lambda: self._accepted, "the broker does not answer")
        except UndeliveredError:
            self.close()
            raise

    def publish(self, topic: str, body: bytes) -> None:
        """Publish, and wait until the broker has it.

        Raises:
            UndeliveredError: It did not say so.
        """
        number = self._client.publish(topic, body, qos=1).mid
        self._wait(lambda: number in self._acknowledged, "the broker does not acknowledge")
        self._acknowledged.discard(number)

    def close(self) -> None:
        """End it."""
        self._client.disconnect()
        self._client.loop_stop()

    def _wait(self, done: Any, otherwise: str) -> None:
        with self._news:
            self._news.wait_for(lambda: done() or self.ended, SECONDS)
            if not done():
                raise UndeliveredError(self.ended or f"{otherwise} within {SECONDS:.0f} seconds")

    def _connected(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        self._tell(accepted=not reason.is_failure, ended=f"the broker refuses: {reason}" if reason.is_failure else "")

    def _disconnected(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        self._tell(ended=self.ended or f"the connection ended: {reason}")

    def _published(self, client: Any, data: Any, number: int, reason: Any, properties: Any) -> None:
        with self._news:
            self._acknowledged.add(number)
            self._news.notify_all()

    def _tell(self, *, accepted: bool = False, ended: str = "") -> None:
        with self._news:
            self._accepted, self.ended = self._accepted or accepted, ended
            self._news.notify_all()
