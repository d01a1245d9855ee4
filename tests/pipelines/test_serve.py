"""The command ``vqi serve`` with a real model: scores are the library's, a new version is served, its end loses nothing."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.vqi.models.test_model import Trained, make
from vqi.artifacts.files import write_text
from vqi.models.model import Model
from vqi.models.registry import publish
from vqi.store.opening import open_store

WAIT = 300  # seconds; only what hangs takes so long


class Command:
    """The command in a process of its own, and the lines of its log as they come."""

    def __init__(self, *arguments: str) -> None:
        start = "from vqi_pipelines.cli import main; main()"
        command = [sys.executable, "-c", start, "serve", *arguments, "--port", "0"]
        environment = {name: value for name, value in os.environ.items() if name != "VQI_TOKEN"}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        assert self.process.stderr is not None
        self.said = self.process.stderr.readline()
        assert " at http://" in self.said, self.said + self.process.stderr.read()
        self.url = self.said.split()[-1]
        self.log: queue.Queue[dict[str, Any]] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def until(self, event: str) -> list[dict[str, Any]]:
        """The lines up to the next one of that kind."""
        lines = [self.log.get(timeout=WAIT)]
        while lines[-1]["event"] != event:
            lines.append(self.log.get(timeout=WAIT))
        return lines

    def end(self) -> list[dict[str, Any]]:
        """What it logged until it ended, which was well."""
        code = self.process.wait(WAIT)
        self._reader.join()
        assert self.process.stderr is not None
        said = self.process.stderr.read()
        assert (code, said) == (0, ""), said
        self.process.stderr.close()
        return [self.log.get() for _ in range(self.log.qsize())]

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self.log.put(json.loads(line))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return make(tmp_path_factory.mktemp("model"), "eager")


@pytest.fixture
def start() -> Iterator[Callable[..., Command]]:
    """Starts the command; what is left running ends with the test."""
    started: list[Command] = []

    def begin(*arguments: str) -> Command:
        started.append(Command(*arguments))
        return started[-1]

    yield begin
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def score(url: str, path: Path) -> requests.Response:
    return requests.post(f"{url}score", data=path.read_bytes(), headers={"connection": "close"}, timeout=WAIT)


@pytest.mark.slow
def test_scores_over_http_are_those_of_the_library(start: Callable[..., Command], trained: Trained) -> None:
    command = start(trained.uri)
    assert command.said.startswith("serving bracket v1 at http://127.0.0.1:")
    model = Model(trained.uri)
    for path in trained.paths:
        expected, got = model.score(path), score(command.url, path).json()
        assert (got["score"], got["p_value"], got["flagged"]) == (expected.score, expected.p_value, expected.flagged)
        assert [tuple(box.values()) for box in got["boxes"]] == [tuple(box) for box in expected.boxes]
        assert (got["version"], got["threshold"]) == (1, model.threshold)
    command.process.send_signal(signal.SIGTERM)
    assert len([line for line in command.end() if line["status"] == 200]) == len(trained.paths)


@pytest.mark.slow
def test_a_new_version_is_served_and_the_end_loses_nothing(start: Callable[..., Command], trained: Trained) -> None:
    command = start(f"{trained.folder}/store", "--reload", "0.1")
    stop, lock = threading.Event(), threading.Lock()
    answered: list[tuple[int, int]] = []  # status and version

    def send() -> None:
        while not stop.is_set():
            try:
                answer = score(command.url, trained.paths[0])
            except requests.ConnectionError:
                stop.set()  # it does not listen any more
                return
            with lock:
                answered.append((answer.status_code, answer.json()["version"]))

    clients = [threading.Thread(target=send) for _ in range(4)]
    for client in clients:
        client.start()
    write_text(trained.folder / "report", "<p>another</p>")  # which makes it another model
    files = {name: trained.folder / name for name in ("backbone", "detector", "metrics", "report")}
    version = publish(open_store(f"file://{trained.folder}/store"), **files).version
    seen = command.until("model swapped")
    assert seen[-1]["version"] == version == 2
    assert score(command.url, trained.paths[0]).json()["version"] == 2
    with lock:
        before = len(answered)
    command.process.send_signal(signal.SIGTERM)
    command.process.wait(WAIT)
    for client in clients:
        client.join()
    logged = [line["status"] for line in [*seen, *command.end()] if line["event"] == "request"]
    assert before > 0
    assert {status for status, _ in answered} == {200}
    assert {served for _, served in answered} == {1, 2}
    assert logged.count(200) == len(answered) + 1  # each that it answered has arrived
