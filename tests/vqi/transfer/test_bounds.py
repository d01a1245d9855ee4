"""vqi.transfer.fetching with servers that have no end: each attempt ends, and so do all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.vqi.store.faults import FAULTS
from tests.vqi.store.faulty_server import serving
from vqi.errors import VqiError
from vqi.transfer import fetching, pace, web
from vqi.transfer.fetching import fetch

SILENT = {"silence", "a head letter by letter"}  # ended by a timeout


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("silence", "timed out"),
        ("a head letter by letter", "Connection aborted|timed out"),
        ("a head without an end", "headers|Connection"),
        ("a body letter by letter", "it comes too slowly, fewer than 1000 bytes in 0.2 seconds"),
        ("a body without an end", "it has more than 10000000 bytes"),
        ("chunks without an end", "it has more than 10000000 bytes"),
        ("asks to wait for a day", "the server answers 503"),
    ],
)
def test_a_server_without_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, expected: str) -> None:
    bounds = {"ATTEMPTS": 2, "FIRST_WAIT": 0.001, "LONGEST_WAIT": 0.002}
    for bound, value in bounds.items():
        monkeypatch.setattr(fetching, bound, value)
    for bound, value in {"LARGEST": 10_000_000, "WINDOW": 0.2, "WINDOW_BYTES": 1000}.items():
        monkeypatch.setattr(pace, bound, value)
    monkeypatch.setattr(web, "TIMEOUT", (60.0, 0.3 if name in SILENT else 60.0))
    monkeypatch.setattr(web, "LONGEST_ASKED", 0.01)
    monkeypatch.setattr("vqi.transfer.timely.SILENCES", 2)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(FAULTS[name]) as server, pytest.raises(VqiError, match=expected) as caught:
        fetch(f"{server.endpoint}/bucket/p/a", tmp_path)
    assert str(caught.value).isprintable()
    assert str(caught.value).startswith(f"cannot fetch {server.endpoint}/bucket/p/a: ")
