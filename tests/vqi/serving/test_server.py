"""The server as clients meet it: those that are slow, those that do not read, and its end while they are served."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import requests

from tests.vqi.serving.made import Serving, photograph, small
from vqi.errors import VqiError
from vqi.serving import patience, server
from vqi.serving.keeping import Keeping
from vqi.serving.limits import Limits
from vqi.serving.line import Line

LARGE = 32 << 20  # bytes; more than all buffers on the way hold
WAIT = 60  # seconds; only what hangs takes so long


class Running:
    """A service of a made-up model behind a real server, in a thread."""

    def __init__(self, limits: Limits, *names: str, **options: Any) -> None:
        self.service = Serving(*names, limits=limits, **options)
        listener = server.listen("127.0.0.1", 0)
        self.address = listener.getsockname()
        self.url = server.address_of(listener)
        self.server = server.server_of(self.service.app, limits)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [listener]})
        self.thread.start()
        assert requests.get(f"{self.url}readyz", timeout=WAIT).status_code == 200

    def end(self) -> None:
        """As a signal does."""
        self.server.should_exit = True

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=WAIT)

    def listens(self) -> bool:
        try:
            self.connect().close()
        except ConnectionRefusedError:
            return False
        except ConnectionResetError:
            pass  # it ended at that moment
        return True


@contextmanager
def running(*names: str, token: str = "", keeping: Keeping | None = None, **limits: Any) -> Iterator[Running]:
    one = Running(small(**limits), *names, token=token, keeping=keeping)
    try:
        yield one
    finally:
        one.service.scorer.gate.set()
        one.end()
        one.thread.join(WAIT)
        assert not one.thread.is_alive()


def head(length: int, *more: str) -> bytes:
    lines = ["POST /score HTTP/1.1", "Host: x", f"Content-Length: {length}", *more]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()


def rest_of(connection: socket.socket) -> bytes:
    """What still comes until the server ends the connection."""
    found = b""
    try:
        while chunk := connection.recv(1 << 16):
            found += chunk
    except ConnectionResetError:
        pass  # it was ended without more
    return found


def until(connection: socket.socket, end: bytes) -> bytes:
    found = b""
    while not found.endswith(end):
        chunk = connection.recv(1)
        assert chunk, found
        found += chunk
    return found


def test_many_requests_on_one_connection() -> None:
    with running() as one, requests.Session() as session:
        for value in (50, 150, 60):
            answer = session.post(f"{one.url}score", data=photograph(value), timeout=WAIT)
            assert (answer.status_code, answer.json()["score"]) == (200, value)
        (connection,) = one.server.server_state.connections
        accepted = connection.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)  # else each answer waits 40 ms


@pytest.mark.parametrize("sent", [b"", b"POST /sco", head(100)[:-2]], ids=["nothing", "a part", "a header without end"])
def test_a_client_that_does_not_send_its_header_loses_the_connection(sent: bytes) -> None:
    with running(seconds=0.2) as one, one.connect() as slow:
        slow.sendall(sent)
        assert rest_of(slow) == b""
        assert requests.post(f"{one.url}score", data=photograph(), timeout=WAIT).status_code == 200


def test_a_second_header_is_not_waited_for_either() -> None:
    with running(seconds=0.2) as one, one.connect() as slow:
        body = photograph()
        slow.sendall(head(len(body)) + body + b"GET / HT")
        assert rest_of(slow).startswith(b"HTTP/1.1 200 OK")
        assert len(one.service.lines) == 1


def test_a_client_that_does_not_send_its_body_is_told() -> None:
    with running(seconds=0.2) as one, one.connect() as slow:
        slow.sendall(head(100) + b"half")
        said = rest_of(slow)
        assert said.startswith(b"HTTP/1.1 408")
        assert b"the body did not come within 0.2 s" in said
        assert one.service.lines[0]["reason"] == "slow"


def test_a_client_that_does_not_read_its_answer_loses_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vqi.serving.scoring.png_of", lambda _: bytes(LARGE))
    with running(seconds=0.5) as one, one.connect() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.service.scorer.gate.clear()
        body, lost = photograph(), threading.Event()
        deaf.sendall(head(len(body), "Accept: image/png") + body)
        one.service.scorer.entered.acquire()
        (protocol,) = (each for each in one.server.server_state.connections if each.client == deaf.getsockname())
        end = protocol.connection_lost
        protocol.connection_lost = lambda error: (end(error), lost.set())
        one.service.scorer.gate.set()
        assert lost.wait(WAIT)


def test_a_client_that_reads_a_large_answer_has_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vqi.serving.scoring.png_of", lambda _: bytes(LARGE))
    with running() as one:
        answer = requests.post(f"{one.url}score?format=png", data=photograph(), timeout=WAIT)
        assert len(answer.content) == LARGE


def test_a_body_that_is_too_large_is_refused_although_it_is_sent_to_the_end() -> None:
    with running() as one:
        answer = requests.post(f"{one.url}score", data=b"x" * 2_000_000, timeout=WAIT)
        assert (answer.status_code, answer.headers["connection"]) == (413, "close")


def test_a_body_without_a_length_is_bounded_too() -> None:
    with running() as one:
        answer = requests.post(f"{one.url}score", data=iter([b"x" * 1000] * 100), timeout=WAIT)
        assert answer.status_code == 413
        answer = requests.post(f"{one.url}score", data=iter([photograph()]), timeout=WAIT)
        assert answer.status_code == 200


def test_a_client_that_asks_first_is_told_before_it_sends() -> None:
    with running() as one, one.connect() as polite:
        polite.sendall(head(1 << 30, "Expect: 100-continue"))
        assert rest_of(polite).startswith(b"HTTP/1.1 413")


def test_a_client_that_goes_away_leaves_nothing_behind() -> None:
    with running() as one:
        for _ in range(5):
            with one.connect() as gone:
                gone.sendall(head(100, "Expect: 100-continue"))
                until(gone, b"100 Continue\r\n\r\n")
        with one.connect() as gone:
            body = photograph()
            gone.sendall(head(len(body)) + body)
            one.service.scorer.entered.acquire()
        assert requests.post(f"{one.url}score", data=photograph(), timeout=WAIT).status_code == 200
        assert requests.get(f"{one.url}readyz", timeout=WAIT).json()["queue"]["depth"] == 0


def test_idle_connections_keep_nobody_out() -> None:
    with running() as one:
        idle = [one.connect() for _ in range(300)]
        assert requests.post(f"{one.url}score", data=photograph(), timeout=WAIT).status_code == 200
        for connection in idle:
            connection.close()


@pytest.mark.parametrize("nonsense", [b"\x16\x03\x01\x02\x00", b"\r\n\r\n\r\n", b"x" * 200_000])
def test_what_is_not_http_is_refused(nonsense: bytes) -> None:
    with running(seconds=1.0) as one, one.connect() as other:
        with suppress(ConnectionError):  # it may not read all of that
            other.sendall(nonsense + b"\r\n\r\n")
        assert b"200 OK" not in rest_of(other)
        assert requests.get(f"{one.url}healthz", timeout=WAIT).status_code == 200


def test_at_its_end_what_was_accepted_is_answered_and_nothing_new_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_GRACE", WAIT / 2)  # on a busy machine, too
    with running(queue=8) as one:
        body = photograph()
        one.service.scorer.gate.clear()
        scoring, reading, coming = one.connect(), one.connect(), one.connect()
        scoring.sendall(head(len(body)) + body)
        one.service.scorer.entered.acquire()
        reading.sendall(head(len(body), "Expect: 100-continue"))
        until(reading, b"100 Continue\r\n\r\n")
        one.end()
        while one.listens():
            pass  # it does for a moment
        coming.sendall(head(len(body)) + body)  # on its way on a connection that was made before
        one.service.scorer.entered.acquire()
        reading.sendall(body)
        one.service.scorer.gate.set()
        for connection in (scoring, reading, coming):
            said = rest_of(connection)
            assert said.startswith(b"HTTP/1.1 200 OK")
            assert json.loads(said.partition(b"\r\n\r\n")[2])["score"] == 150
            connection.close()
        one.thread.join(WAIT)
        assert [line["status"] for line in one.service.lines] == [200] * 3


def test_a_port_that_is_taken_and_an_address_of_another_machine() -> None:
    expected = pytest.raises(VqiError, match=r"cannot listen at 127.0.0.1 port \d+: .*choose another --port")
    with server.listen("127.0.0.1", 0) as taken, expected:
        server.listen("127.0.0.1", taken.getsockname()[1])
    for host in ("192.0.2.1", "no such host"):
        with pytest.raises(VqiError, match=f"cannot listen at {host} port 0"):
            server.listen(host, 0)


def test_the_time_to_come_again_is_that_of_those_before() -> None:
    line = Line(8)
    line.depth, line._mean = 8, 1.4
    assert line.wait == 6
    line._mean = 1000
    assert line.wait == 60
    line._mean = 0
    assert line.wait == 1
    line.close()
