"""Which sinks there are: by the schemes of their addresses the module, whose class is ``Sink``."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from vqi.errors import VqiError, not_installed, unknown
from vqi.progress import message
from vqi.redaction import shown
from vqi.sinks.interface import VARIABLES, Credentials, Sink

SINKS: Mapping[tuple[str, ...], str] = {
    ("https", "http"): "vqi.sinks.webhook",
    ("mqtts", "mqtt"): "vqi.sinks.mqtt",
}
_OPEN = ("http", "mqtt")  # without encryption
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def sink_at(address: str, credentials: Credentials) -> Sink:
    """The sink of an address, which is not connected yet.

    Raises:
        VqiError: There is none of that scheme, it is no address of one, it has a login, or an extra is not installed.
    """
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError as error:
        raise VqiError(f"--sink {shown_address(address)}: {error}") from error
    modules = {scheme: module for schemes, module in SINKS.items() for scheme in schemes}
    if not parts.scheme or "://" not in address:
        raise VqiError(
            f"--sink {shown_address(address)}: expected an address, such as https://host/path or mqtt://host/topic"
        )
    if parts.scheme not in modules:
        raise unknown("kind of sink", f"{parts.scheme}://", [f"{one}://" for one in modules])
    if "@" in parts.netloc:
        raise VqiError(
            f"--sink {shown_address(address)}: expected no login in the address, which others may see: set "
            f"{VARIABLES['user']} and {VARIABLES['password']}"
        )
    if not parts.hostname:
        raise VqiError(f"--sink {shown_address(address)}: expected a host")
    if parts.scheme in _OPEN and (credentials.password or credentials.token) and parts.hostname not in _LOOPBACK:
        message(f"warning: what {parts.hostname} is shown as password or token goes there without encryption")
    try:
        kind: Any = import_module(modules[parts.scheme])
    except ModuleNotFoundError as error:
        raise not_installed(error.name) or error from error
    made: Sink = kind.Sink(parts, credentials)
    return made


def shown_address(address: str) -> str:
    """An address for people: without a login, a query and a fragment, which may be secrets."""
    return shown(address)
