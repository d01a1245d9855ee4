"""Rows to a sink: in order, at least once, whatever the other side and this process do; and nobody waits for it."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from tests.vqi.sinks.receiver import WAIT, outbox_to, receiving
from vqi.errors import VqiError
from vqi.sinks import outbox as module
from vqi.sinks.interface import RefusedMessageError, UndeliveredError
from vqi.sinks.outbox import Outbox
from vqi.sinks.waiting import Waiting


class Scripted:
    """A sink that does with each attempt what a list says, then takes everything; it can be held."""

    def __init__(self, *script: Exception) -> None:
        self.script, self.taken = list(script), []
        self.gate, self.entered, self.closed = threading.Event(), threading.Semaphore(0), threading.Event()
        self.gate.set()

    def send(self, identity: str, body: bytes) -> None:
        self.entered.release()
        self.gate.wait(WAIT)
        if self.script:
            raise self.script.pop(0)
        self.taken.append(identity)

    def close(self) -> None:
        self.closed.set()


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses without length."""
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.0)


def put(outbox: Outbox, *paths: object) -> None:
    for path in paths:
        outbox.put("bracket", 3, {"path": str(path)}, identity=str(path))


def test_a_message_is_the_row_with_what_tells_it_apart(tmp_path: Path) -> None:
    with receiving() as receiver:
        with outbox_to(receiver.url, tmp_path) as outbox:
            outbox.put("bracket", 3, {"path": "a.png", "score": 0.5})
            outbox.put("bracket", 3, {"path": "a.png", "score": 0.5})
            receiver.until(lambda: len(receiver.taken) == 2)
        first, second = receiver.taken
    assert {name: first[name] for name in ("model", "version", "path", "score")} == {
        "model": "bracket", "version": 3, "path": "a.png", "score": 0.5,
    }  # fmt: skip
    assert first["id"] != second["id"], "two rows without an identity are two"
    assert receiver.asked[0]["Idempotency-Key"] == first["id"]
    assert first["time"].endswith("+00:00")


def test_the_other_side_fails_and_comes_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with receiving() as receiver, outbox_to(receiver.url, tmp_path) as outbox:
        receiver.status = 503
        put(outbox, *range(5))
        receiver.until(lambda: len(receiver.asked) >= 3)
        receiver.status = 200
        receiver.until(lambda: len(receiver.taken) == 5)
    assert receiver.paths() == ["0", "1", "2", "3", "4"]
    assert outbox.counts.delivered == 5
    assert outbox.counts.failures >= 3
    said = capsys.readouterr().err
    assert said.count("it answers 503; messages wait") == 1, "once, not with each attempt"
    assert "it is there again" in said


def test_a_side_that_hangs_holds_up_nobody(tmp_path: Path) -> None:
    sink = Scripted()
    sink.gate.clear()
    with Outbox("https://host", sink, tmp_path, 1000) as outbox:
        put(outbox, 0)
        assert sink.entered.acquire(timeout=WAIT)
        put(outbox, *range(1, 500))  # returns although nothing is taken
        assert (outbox.waits, sink.taken) == (500, [])
        sink.gate.set()
    assert len(sink.taken) == 500


def test_what_is_left_is_sent_by_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE", 1e9)  # the first attempt fails, the next one is after the end
    with outbox_to("http://127.0.0.1:1/rows?key=secret", tmp_path) as outbox:
        put(outbox, 0, 1)
    said = capsys.readouterr().err
    assert "sink http://127.0.0.1:1/rows: 2 messages left for the next start" in said
    assert "secret" not in said
    sink = Scripted()
    sink.gate.clear()
    with Outbox("http://127.0.0.1:1/rows?key=secret", sink, tmp_path, 1000) as again:
        put(again, 1, 2)  # one of them waits already: a row that was scored twice
        sink.gate.set()
    assert len(sink.taken) == 3
    assert sink.closed.is_set()
    assert "2 messages left by an earlier run" in capsys.readouterr().err


def test_the_oldest_make_room(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sink = Scripted()
    sink.gate.clear()
    with Outbox("https://host", sink, tmp_path, 3) as outbox:
        put(outbox, 0)
        assert sink.entered.acquire(timeout=WAIT)  # so that 0 is on its way when it makes room
        put(outbox, *range(1, 6))
        assert (outbox.waits, outbox.counts.dropped) == (3, 3)
        sink.gate.set()
    assert len(sink.taken) == 4, "that on its way, and the last three"
    said = capsys.readouterr().err
    assert said.count("its queue is full: messages are lost, the oldest first") == 1
    assert "3 messages lost: its queue took no more" in said


def test_a_message_that_is_refused_holds_up_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sink = Scripted(RefusedMessageError("it answers 422"))
    with Outbox("https://host", sink, tmp_path, 10) as outbox:
        put(outbox, 0, 1)
    assert (len(sink.taken), outbox.counts.refused, outbox.counts.delivered) == (1, 1, 1)
    assert "is refused: it answers 422" in capsys.readouterr().err


def test_a_sink_with_a_defect_ends_no_thread(tmp_path: Path) -> None:
    sink = Scripted(UndeliveredError("away"), ZeroDivisionError())
    with Outbox("https://host", sink, tmp_path, 10) as outbox:
        put(outbox, 0)
        for _ in range(3):
            assert sink.entered.acquire(timeout=WAIT)
    assert (len(sink.taken), outbox.counts.failures) == (1, 2)


def test_a_disk_that_takes_nothing_costs_the_message_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*arguments: object) -> int:
        raise sqlite3.OperationalError("database or disk is full")

    with Outbox("https://host", Scripted(), tmp_path, 10) as outbox:
        monkeypatch.setattr(Waiting, "put", full)
        put(outbox, 0, 1)
    assert outbox.counts.dropped == 2
    assert capsys.readouterr().err.count("its queue cannot be written: database or disk is full") == 1


CHILD = """
import sys
from pathlib import Path
from tests.vqi.sinks.receiver import outbox_to
with outbox_to(sys.argv[1], Path(sys.argv[2]), 10**6) as outbox:
    number = 0
    while True:
        outbox.put("bracket", 3, {"path": number}, identity=str(number))
        print(number, flush=True)
        number += 1
"""


def test_a_killed_process_loses_nothing(tmp_path: Path) -> None:
    with receiving() as receiver:
        last = -1
        for status in (200, 503, 0):  # while messages are taken, refused, and while the other side hangs
            receiver.status = status
            begun = len(receiver.asked)
            command = [
                sys.executable,
                "-c",
                CHILD.replace("number = 0", f"number = {last + 1}"),
                receiver.url,
                str(tmp_path),
            ]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
                assert child.stdout is not None
                said = [child.stdout.readline() for _ in range(30)]
                receiver.until(lambda begun=begun: len(receiver.asked) > begun)
                child.send_signal(signal.SIGKILL)
                rest = child.stdout.read().splitlines()
            last = int((said + [line for line in rest if line])[-1])
            receiver.released.set()
        receiver.status = 200
        with outbox_to(receiver.url, tmp_path, 10**6) as outbox:
            receiver.until(lambda: last in receiver.paths())
        paths = receiver.paths()
    assert paths[: last + 1] == list(range(last + 1)), "all of them, in order"
    assert outbox.waits == 0


def test_one_process_at_a_time_has_a_queue(tmp_path: Path) -> None:
    path = tmp_path / "queue"
    first = Waiting(path, 10)
    first.put("a", b"{}")
    with pytest.raises(VqiError, match="another process uses it"):
        Waiting(path, 10)
    first.close()
    path.write_bytes(b"this is no database, but long enough to be one" * 99)
    with pytest.raises(VqiError, match="not a database: remove it, or name another folder"):
        Waiting(path, 10)


def test_what_is_no_queue(tmp_path: Path) -> None:
    with pytest.raises(VqiError, match="the queue of a sink cannot be opened: unable to open database file"):
        Waiting(tmp_path, 10)
    with closing(sqlite3.connect(tmp_path / "queue")) as database:
        database.execute("PRAGMA user_version=9")
    with pytest.raises(VqiError, match="it is of another version of vqi: remove it, or name another folder"):
        Waiting(tmp_path / "queue", 10)
