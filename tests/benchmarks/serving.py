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
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.benchmarks.measure import MB, command_cost, table, tree_memory, vqi
from vqi.datasets import elpv
from vqi.models.model import Model

CLIENTS = (1, 4, 16, 64)
SECONDS = 8.0  # of each row
QUEUE = 64


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        store = Path(name) / "store"
        given = ["-p", 'categories=["mono"]', "-p", "limit_per_class=60", "-p", "bootstrap=100"]
        command_cost(vqi("run", "--runs-dir", f"{name}/runs", "--store", str(store), *given))
        model = f"file://{store}/models/elpv/mono"
        photographs = [one.read() for one in elpv.split(elpv.read_labels(elpv.locate()), "mono")][:200]
        rows = [["the library, one thread", *_without_http(model, photographs)]]
        command = vqi("serve", model, "--port", "0", "--queue", str(QUEUE))
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            port = int(_said(process).rstrip("/\n").rpartition(":")[2])
            for clients in (*CLIENTS, 2 * QUEUE):
                rows.append([f"{clients} client{'s' if clients > 1 else ''}", *_row(port, clients, photographs)])
                rows[-1].append(f"{tree_memory(process.pid) / MB:.0f} MB")
            process.terminate()
        rows[0].append("")
    heads = ["", "scored/s", "p50", "p99", "busy (503)", "memory of the service"]
    table("vqi serve, ELPV's PNGs of 300 x 300 pixels", heads, rows)


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


def _row(port: int, clients: int, photographs: list[bytes]) -> list[str]:
    times: list[float] = []
    busy = [0]
    lock, end = threading.Lock(), time.monotonic() + SECONDS

    def client(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        turn = number
        while time.monotonic() < end:
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
