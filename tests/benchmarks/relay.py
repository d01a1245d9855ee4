"""A network in between: passes each request on only after a delay, as on the way to a distant server.

``python -m tests.benchmarks.relay HOST:PORT MILLISECONDS`` prints the address to use instead. Linux only (splice).
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from contextlib import suppress

REQUEST_BYTES = 1 << 16
SPLICED = 1 << 20


def main(server: str, delay: float) -> None:
    host, _, port = server.rpartition(":")
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        while True:
            client, _ = listener.accept()
            upstream = socket.create_connection((host, int(port)))
            for one in (client, upstream):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=requests, args=(client, upstream, delay), daemon=True).start()
            threading.Thread(target=answers, args=(upstream, client), daemon=True).start()


def requests(client: socket.socket, upstream: socket.socket, delay: float) -> None:
    with suppress(OSError):
        while data := client.recv(REQUEST_BYTES):
            time.sleep(delay)
            upstream.sendall(data)
    with suppress(OSError):
        upstream.shutdown(socket.SHUT_WR)


def answers(upstream: socket.socket, client: socket.socket) -> None:
    """Bytes go from socket to socket within the kernel."""
    reading, writing = os.pipe()
    with suppress(OSError):
        while size := os.splice(upstream.fileno(), writing, SPLICED):
            while size:
                size -= os.splice(reading, client.fileno(), size)
    os.close(reading)
    os.close(writing)
    upstream.close()
    client.close()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]) / 1000)
