"""Runs the application until SIGINT or SIGTERM; what was accepted before is answered."""

from __future__ import annotations

import logging
import resource
import signal
import socket

import uvicorn
from fastapi import FastAPI

from vqi.errors import VqiError
from vqi.serving.limits import Limits
from vqi.serving.patience import patient

_KEEP_ALIVE = 75  # seconds that a connection may rest between two requests: longer than a proxy's usual 60
_BACKLOG = 512  # connections that wait to be accepted


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        VqiError: The address is not one of this machine, or the port is taken.
    """
    try:
        # with the protocol that getaddrinfo names: only then asyncio lets small packets go at once, and an answer does
        # not wait 40 ms for the client's acknowledgement of its header
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise VqiError(
            f"cannot listen at {host} port {port}: {error.strerror or error}: choose another --port, or an address of "
            "this machine as --host"
        ) from error
    return listener


def address_of(listener: socket.socket) -> str:
    """The address for a browser."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def run(app: FastAPI, listener: socket.socket, limits: Limits) -> None:
    """Serve until a signal asks to end; what was accepted before is answered first."""
    # a line for everything odd that a client sends would be too much
    for name in ("uvicorn.error", "python_multipart"):
        logging.getLogger(name).setLevel(logging.ERROR)
    _allow_many_connections()
    server = server_of(app, limits)
    # uvicorn raises the signal once more when it has ended, for whoever handled it before: so that is uvicorn, too, and
    # the process ends as one that did what it was asked
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, server.handle_exit)
    server.run(sockets=[listener])


def server_of(app: FastAPI, limits: Limits) -> uvicorn.Server:
    """A server. When it ends, it waits for the requests that it accepted: twice the time that a client has, at most."""
    return uvicorn.Server(
        uvicorn.Config(
            app, http=patient(limits.seconds), ws="none", loop="asyncio", lifespan="on", log_config=None,
            access_log=False, server_header=False, proxy_headers=False, timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=int(2 * limits.seconds) + 1, backlog=_BACKLOG,
        )
    )  # fmt: skip


def _allow_many_connections() -> None:
    """Use as many files as this user may: each connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
