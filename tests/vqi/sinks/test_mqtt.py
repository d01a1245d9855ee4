"""The sink for MQTT against a real broker, mosquitto: away, hanging, with a password, with TLS."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
import trustme
from paho.mqtt.enums import CallbackAPIVersion

from tests.conftest import free_ports
from tests.programs import program
from tests.vqi.sinks.receiver import WAIT, outbox_to
from vqi.sinks import mqtt
from vqi.sinks import outbox as outbox_module
from vqi.sinks.interface import Credentials, UndeliveredError
from vqi.sinks.outbox import Outbox
from vqi.sinks.registry import sink_at


def mosquitto(name: str = "mosquitto") -> str:
    """The broker, or a program that comes with it."""
    return program([name], "mosquitto", "nothing is sent to a broker", "/usr/sbin")


class Broker:
    """One on loopback, which keeps its sessions when it is started again."""

    def __init__(self, folder: Path, *settings: str) -> None:
        self._program, (self.port,), self._settings = mosquitto(), free_ports(1), folder / "conf"
        known = ["persistence true", f"persistence_location {folder}/", f"listener {self.port} 127.0.0.1"]
        user = [] if os.geteuid() else ["user root"]
        self._settings.write_text("\n".join([*user, *known, *settings, ""]))
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [self._program, "-v", "-c", self._settings], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        assert self.process.stderr is not None
        said = []
        for line in self.process.stderr:
            said.append(line)
            if line.rstrip().endswith("running"):
                break
        else:
            raise AssertionError("".join(said))
        self._reader = threading.Thread(target=self.process.stderr.read)  # so that it never waits for who reads
        self._reader.start()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        self.process.wait(WAIT)
        self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()


class Subscriber:
    """Keeps what is published, also while it is away."""

    def __init__(self, port: int, topic: str) -> None:
        self.taken: list[tuple[str, dict[str, Any]]] = []
        self._news, self._ready = threading.Condition(), threading.Event()
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id="line", clean_session=False)
        self.client.reconnect_delay_set(0.05, 0.05)
        self.client.on_connect = lambda *_: self.client.subscribe(topic, qos=1)
        self.client.on_subscribe = lambda *_: self._ready.set()
        self.client.on_message = self._note
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert self._ready.wait(WAIT)

    def until(self, count: int) -> list[Any]:
        """The paths of so many messages without doubles."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.paths()) >= count, WAIT)
            return self.paths()

    def paths(self) -> list[Any]:
        return list({one["id"]: one["path"] for _, one in self.taken}.values())

    def end(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def _note(self, client: Any, data: Any, message: Any) -> None:
        with self._news:
            self.taken.append((message.topic, json.loads(message.payload)))
            self._news.notify_all()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Callable[..., Broker]]:
    """Starts one."""
    started: list[Broker] = []

    def start(*settings: str) -> Broker:
        folder = tmp_path / "broker"
        folder.mkdir()
        started.append(Broker(folder, *settings))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(outbox_module, "LONGEST_PAUSE", 0.05)


def put(outbox: Outbox, *paths: int) -> None:
    for path in paths:
        outbox.put("bracket", 3, {"path": path}, identity=str(path))


def test_a_broker_that_hangs_and_one_that_is_gone(
    broker: Callable[..., Broker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "SECONDS", 0.5)
    made = broker("allow_anonymous true")
    subscriber = Subscriber(made.port, "line 4/#")
    with outbox_to(f"mqtt://127.0.0.1:{made.port}/line%204/parts", tmp_path) as outbox:
        put(outbox, 0, 1)
        assert subscriber.until(2) == [0, 1]
        made.process.send_signal(signal.SIGSTOP)
        put(outbox, 2, 3)
        failed = outbox.counts.failures
        while outbox.counts.failures == failed:  # after half a second, and again and again
            outbox._thread.join(0.01)
        made.process.send_signal(signal.SIGCONT)
        assert subscriber.until(4) == [0, 1, 2, 3]
        made.stop()
        put(outbox, 4, 5)
        made.start()
        assert subscriber.until(6) == [0, 1, 2, 3, 4, 5]
    assert {topic for topic, _ in subscriber.taken} == {"line 4/parts"}
    assert outbox.waits == 0
    subscriber.end()


def test_a_password(broker: Callable[..., Broker], tmp_path: Path) -> None:
    file = tmp_path / "passwords"
    subprocess.run([mosquitto("mosquitto_passwd"), "-b", "-c", file, "anna", "geheim"], check=True, capture_output=True)
    made = broker("allow_anonymous false", f"password_file {file}")
    address = f"mqtt://127.0.0.1:{made.port}/parts"
    for wrong in (Credentials(), Credentials(user="anna", password="offen")):
        with pytest.raises(UndeliveredError, match="the broker refuses: Not authorized") as found:
            sink_at(address, wrong).send("1", b"{}")
        assert "offen" not in str(found.value)
    sink = sink_at(address, Credentials(user="anna", password="geheim"))
    sink.send("1", b"{}")
    sink.close()


# paho leaves the socket of a handshake that failed to the garbage collector
@pytest.mark.filterwarnings("ignore:.*SSLSocket:pytest.PytestUnraisableExceptionWarning")
def test_tls(broker: Callable[..., Broker], tmp_path: Path) -> None:
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(str(tmp_path / "ca"))
    server.private_key_pem.write_to_path(str(tmp_path / "key"))
    server.cert_chain_pems[0].write_to_path(str(tmp_path / "cert"))
    made = broker("allow_anonymous true", f"certfile {tmp_path / 'cert'}", f"keyfile {tmp_path / 'key'}")
    address = f"mqtts://127.0.0.1:{made.port}/parts"
    with pytest.raises(UndeliveredError, match="certificate verify failed"):
        sink_at(address, Credentials()).send("1", b"{}")
    sink = sink_at(address, Credentials(authority=str(tmp_path / "ca")))
    sink.send("1", b"{}")
    sink.close()


def test_a_connection_that_ended_while_nothing_was_sent_is_made_anew(broker: Callable[..., Broker]) -> None:
    made = broker("allow_anonymous true")
    sink = sink_at(f"mqtt://127.0.0.1:{made.port}/parts", Credentials())
    sink.send("1", b"{}")
    connection = sink._connection  # type: ignore[attr-defined]
    made.stop()
    connection._wait(lambda: connection.ended, "the connection is still there")
    made.start()
    sink.send("2", b"{}")
    sink.close()
