"""``vqi serve`` with real PNGs over HTTP, by several numbers of clients, beside the same model without HTTP.

Clients and service share the machine's cores. The line is long enough for all clients, but for the last row, where
twice as many come as it takes.
"""

from __future__ import annotations

import http.client
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tests.benchmarks.measure import MB, command_cost, table, tree_memory, vqi
from vqi.datasets import elpv
from vqi.models.model import Model

CLIENTS = (1, 4, 16, 64)
SECONDS = 8.0  # of each row
QUEUE = 64
HEADS = ("scored/s", "p50", "p99", "busy (503)", "memory of the service")
SOAK, SOAKED = 50_000, 10_000  # requests in all, and in each row


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        model, photographs = _model(Path(name)), _photographs()
        rows = [["the library, one thread", *_without_http(model, photographs), ""]]
        with _service(model) as (pid, port):
            for clients in (*CLIENTS, 2 * QUEUE):
                end = time.monotonic() + SECONDS
                figures = _row(port, clients, photographs, lambda _, end=end: time.monotonic() < end)  # type: ignore[misc]
                rows.append([f"{clients} client{'s' if clients > 1 else ''}", *figures, _memory(pid)])
    table("vqi serve, ELPV's PNGs of 300 x 300 pixels", ["", *HEADS], rows)


def soak() -> None:
    """Many requests by sixteen clients, to a model of small images, so that they are many in little time."""
    with tempfile.TemporaryDirectory() as name:
        model, photographs = _model(Path(name), "-p", "image_size=96"), _photographs()
        with _service(model) as (pid, port):
            rows = [["0", "", "", "", "", _memory(pid)]]
            for done in range(SOAKED, SOAK + 1, SOAKED):
                figures = _row(port, 16, photographs, lambda sent: sent < SOAKED)
                rows.append([f"{done:,}", *figures, _memory(pid)])
    table(
        "vqi serve, many requests", ["requests", "scored/s", "p50", "p99", "busy (503)", "memory of the service"], rows
    )


def _model(folder: Path, *parameters: str) -> str:
    """The address of a model of ELPV's mono."""
    given = ["-p", 'categories=["mono"]', "-p", "limit_per_class=60", "-p", "bootstrap=100", *parameters]
    command_cost(vqi("run", "--runs-dir", f"{folder}/runs", "--store", f"{folder}/store", *given))
    return f"file://{folder}/store/models/elpv/mono"


def _photographs() -> list[bytes]:
    return [one.read() for one in elpv.split(elpv.read_labels(elpv.locate()), "mono")][:200]


@contextmanager
def _service(model: str) -> Iterator[tuple[int, int]]:
    """A service of a model: its process id and its port."""
    command = vqi("serve", model, "--port", "0", "--queue", str(QUEUE))
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        yield process.pid, int(_said(process).rstrip("/\n").rpartition(":")[2])
        process.terminate()


def _memory(pid: int) -> str:
    return f"{tree_memory(pid).held / MB:.0f} MB"


def _said(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    for line in process.stderr:
        if " at http://" in line:
            return line
    sys.exit("the service ended before it served")


def _without_http(uri: str, photographs: list[bytes]) -> list[str]:
    model = Model(uri)
    model.score(photographs[0])
    times = [_timed(lambda one=one: model.score(one)) for one in photographs]  # type: ignore[misc]
    return _figures(len(times) / sum(times), times, 0)


def _row(port: int, clients: int, photographs: list[bytes], more: Callable[[int], bool]) -> list[str]:
    """Requests by several clients, while ``more`` says so of their number."""
    times: list[float] = []
    busy = [0]
    lock = threading.Lock()

    def client(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        turn = number
        while more(len(times) + busy[0]):
            began = time.perf_counter()
            connection.request("POST", "/score", photographs[turn % len(photographs)])
            answer = connection.getresponse()
            answer.read()
            turn += clients
            with lock:
                if answer.status == 200:
                    times.append(time.perf_counter() - began)
                else:
                    assert answer.status == 503, answer.status
                    busy[0] += 1
        connection.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return _figures(len(times) / (time.perf_counter() - began), times, busy[0])


def _figures(rate: float, times: list[float], busy: int) -> list[str]:
    p50, p99 = np.percentile(times, [50, 99])
    return [f"{rate:.0f}", f"{1000 * p50:.1f} ms", f"{1000 * p99:.1f} ms", str(busy)]


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
