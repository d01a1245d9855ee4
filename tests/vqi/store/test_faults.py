"""Stores and what goes wrong: each call ends, with what is true or with one line."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz import fuzz_cases
from tests.vqi.store.faults import FAULTS
from tests.vqi.store.faulty_server import FaultyServer, etag, serving
from vqi.errors import VqiError
from vqi.store import opening
from vqi.store.interface import VersionInfo
from vqi.store.opening import open_store
from vqi.store.s3 import S3Store
from vqi.store.s3_connections import Patience

MOST_REQUESTS = 100  # for a call, with the bounds below
NEW = bytes(range(256)) * 30_000  # more than a part


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """All bounds, made small."""
    for name in (*opening.VARIABLES, *opening.PLACES, *opening.IDENTITY):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "no_proxy": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    for name, bound in {
        "s3_connections.STORE": Patience(connect=0.5, silence=0.4, answer=0.6, attempts=0.5),
        "s3_connections.RETRIES": 1,
        "s3_connections.FIRST_WAIT": 0.01,
        "s3_connections.ANSWER_BYTES": 1 << 20,
        "s3_clients.REQUEST_SECONDS": timedelta(seconds=1),
        "s3_clients.ATTEMPTS_SECONDS": timedelta(seconds=0.5),
        "s3_listing.MOST_PAGES": 30,
        "s3_listing.MOST_OBJECTS": 1000,
        "s3_reading.REQUEST_BYTES": 2 << 20,
        "s3.LARGEST_IN_MEMORY": 1 << 30,
        "s3.PART_BYTES": 5 << 20,
    }.items():
        monkeypatch.setattr(f"vqi.store.{name}", bound)
    monkeypatch.setattr("vqi.transfer.timely.SILENCES", 2)


def calls(store: S3Store, server: FaultyServer, folder: Path) -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
    """What is called, and what is true then."""
    small, large = server.objects["p/a"], server.objects["p/b"]
    versions = (VersionInfo("a", etag(small), len(small)), VersionInfo("b", etag(large), len(large)))
    (folder / "new").write_bytes(NEW)

    def got(call: Callable[[Path], object]) -> Callable[[], bytes]:
        def read() -> bytes:
            target = folder / "got"
            target.unlink(missing_ok=True)
            call(target)
            return target.read_bytes()

        return read

    def after(call: Callable[[], object], key: str) -> Callable[[], bytes | None]:
        def done() -> bytes | None:
            call()
            return server.objects.get(key)

        return done

    return {
        "list": (lambda: [(one.key, one.size) for one in store.list()], lambda: [("a", len(small)), ("b", len(large))]),
        "list_versions": (store.list_versions, lambda: versions),
        "version_of": (lambda: store.version_of("a"), lambda: versions[0]),
        "exists": (lambda: store.exists("a"), lambda: True),
        "exists not": (lambda: store.exists("none"), lambda: False),
        "get_bytes": (lambda: store.get_bytes("a"), lambda: small),
        "get_file": (got(lambda target: store.get_file("b", target)), lambda: large),
        "get_version": (got(lambda target: store.get_version(versions[0], target)), lambda: small),
        "get_version of a large one": (got(lambda target: store.get_version(versions[1], target)), lambda: large),
        "put_bytes": (after(lambda: store.put_bytes("c", b"c"), "p/c"), lambda: b"c"),
        "put_file": (after(lambda: store.put_file("d", folder / "new"), "p/d"), lambda: NEW),
        "put_if_absent": (lambda: store.put_if_absent("e", b"e"), lambda: True),
        "put_if_absent again": (lambda: store.put_if_absent("a", b"e"), lambda: False),
        "get_tagged": (lambda: store.get_tagged("a"), lambda: (small, etag(small))),
        "get_tagged none": (lambda: store.get_tagged("none"), lambda: None),
        "replace": (lambda: store.replace("a", small, etag(small)), lambda: True),
        "replace another": (lambda: store.replace("a", b"d", etag(b"c")), lambda: False),
        "delete": (after(lambda: store.delete("a"), "p/a"), lambda: None),
    }


def outcome(server: FaultyServer, call: Callable[[], Any], expected: Callable[[], Any]) -> str:
    """``right`` or ``refused``; anything else is a failure."""
    before = server.number
    try:
        result = call()
    except VqiError as error:
        text = str(error)
        assert text.isprintable(), text
        assert len(text) < 1000, text
        result = None
        told = "refused"
    else:
        assert result == expected(), f"a wrong answer: {str(result)[:200]}"
        told = "right"
    assert server.number - before < MOST_REQUESTS
    return told


# Some faults cannot be told from a change that somebody made, or do no harm: these calls of them are not compared.
AS_IF_CHANGED = {
    "object: another version each time": {"version_of", "replace"},
    "object: the condition is not looked at": {"get_bytes", "get_file"},
    "object: gone after the listing": {"exists", "get_tagged", "replace"},
    "status 404 without a word": {"exists", "get_tagged", "replace"},
}
HARMLESS = {"object: no date", "object: compressed", "put: knows no conditions"}
CHOSEN = sorted(FAULTS)[:: max(1, len(FAULTS) // fuzz_cases(12, len(FAULTS)))]


@pytest.mark.parametrize("name", CHOSEN)
def test_each_call_ends_with_what_is_true_or_with_one_line(
    impatient: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    with serving(FAULTS[name]) as server:
        monkeypatch.setenv("VQI_S3_ENDPOINT", server.endpoint)
        store = open_store("s3://bucket/p")
        assert isinstance(store, S3Store)
        told = {
            what: outcome(server, call, true)
            for what, (call, true) in calls(store, server, tmp_path).items()
            if what not in AS_IF_CHANGED.get(name, ())
        }
    assert "refused" in told.values() or name in HARMLESS, "the fault was not seen"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".tmp")] == []


def test_without_a_fault_all_is_right(impatient: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Else the faults would be found in the server of the tests."""
    monkeypatch.setattr("vqi.store.s3_connections.STORE", Patience())  # on a busy machine
    monkeypatch.setattr("vqi.store.s3_clients.REQUEST_SECONDS", timedelta(seconds=300))
    with serving() as server:
        monkeypatch.setenv("VQI_S3_ENDPOINT", server.endpoint)
        store = open_store("s3://bucket/p")
        assert isinstance(store, S3Store)
        told = {what: outcome(server, call, true) for what, (call, true) in calls(store, server, tmp_path).items()}
    assert set(told.values()) == {"right"}, told
