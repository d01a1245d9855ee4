"""vqi.store: the folder and a real S3 server follow one contract; each says what failed and what to do."""

from __future__ import annotations

import errno
import http.client
import io
import itertools
import os
import re
import socket
import socketserver
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import certifi
import obstore
import pytest
import trustme
import urllib3
from minio import Minio
from minio.error import S3Error, ServerError

from vqi.datasets.archive import locate
from vqi.errors import UnavailableError, VqiError
from vqi.store import opening
from vqi.store.folder import FolderStore
from vqi.store.interface import Store
from vqi.store.opening import fetch_uri, open_store, read_uri, split_uri, store_uri
from vqi.store.s3 import PART_BYTES
from vqi.store.s3_clients import connect, connect_reader
from vqi.store.s3_errors import may_pass

RACERS = 20


@pytest.fixture(params=["file", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Both kinds of store, empty: what one does, the other does."""
    if request.param == "file":
        return open_store(f"file://{tmp_path}/store")
    request.getfixturevalue("s3_environment")
    return open_store(f"s3://vqi-tests/{tmp_path.name}")


def client_of(server: object) -> Minio:
    return connect().minio


def test_bytes_and_files_come_back_as_they_went(store: Store, tmp_path: Path) -> None:
    source, target = tmp_path / "in.bin", tmp_path / "new" / "out.bin"
    source.write_bytes(b"part" * 1000)
    store.put_file("a/b.bin", source)
    store.get_file("a/b.bin", target)
    assert target.read_bytes() == source.read_bytes()
    store.put_bytes("a/empty", b"")
    assert store.get_bytes("a/empty") == b""
    assert [p.name for p in target.parent.iterdir()] == ["out.bin"]


def test_put_replaces(store: Store) -> None:
    for version in (b"one", b"two", b"one"):
        store.put_bytes("pointer", version)
        assert store.get_bytes("pointer") == version


def test_keys_may_be_non_ascii_and_have_spaces(store: Store) -> None:
    store.put_bytes("Prüfling/良品 №1 +%41.png", b"x")
    assert store.get_bytes("Prüfling/良品 №1 +%41.png") == b"x"
    assert [info.key for info in store.list()] == ["Prüfling/良品 №1 +%41.png"]


def test_list_is_sorted_recursive_by_any_prefix_and_hides_what_is_not_an_object(store: Store) -> None:
    assert list(store.list()) == []
    for key in ("m/b", "m/a/x", "mm", "z"):
        store.put_bytes(key, key.encode())
    assert [(i.key, i.size) for i in store.list()] == [("m/a/x", 5), ("m/b", 3), ("mm", 2), ("z", 1)]
    times = [one.modified for one in store.list()]
    assert all(at is not None and abs(datetime.now(UTC) - at) < timedelta(minutes=5) for at in times)
    assert [i.key for i in store.list("m")] == ["m/a/x", "m/b", "mm"]
    assert [i.key for i in store.list("m/")] == ["m/a/x", "m/b"]
    assert list(store.list("nothing/")) == []


def test_delete_removes_one_object_and_does_not_mind_that_there_is_none(store: Store) -> None:
    store.delete("a/b")
    store.put_bytes("a/b", b"old")
    store.put_bytes("a/c", b"x")
    store.delete("a/b")
    assert [info.key for info in store.list()] == ["a/c"]
    store.put_bytes("a/b", b"new")
    assert store.get_bytes("a/b") == b"new"


def test_exists_means_exactly_this_object(store: Store) -> None:
    assert not store.exists("a/b")
    store.put_bytes("a/b", b"x")
    assert store.exists("a/b")
    assert not store.exists("a")


@pytest.mark.parametrize("key", ["", "/etc/passwd", "..", "a/../../b", "a//b", "a/", "./a", ".sha256/a", "a\0b"])
def test_keys_that_leave_the_store_are_refused(store: Store, key: str) -> None:
    for call in (store.get_bytes, store.exists, lambda k: store.put_bytes(k, b"")):
        with pytest.raises(VqiError, match="not a key"):
            call(key)


def test_a_backslash_is_no_part_of_a_key(store: Store) -> None:
    """A server may take it for a slash: an object of another key would be overwritten."""
    store.put_bytes("a/b", b"1")
    with pytest.raises(VqiError, match="without backslashes"):
        store.put_bytes("a\\b", b"2")
    with pytest.raises(VqiError, match="without backslashes"):
        store.put_if_absent("a\\c", b"2")
    assert store.get_bytes("a/b") == b"1"


def test_a_missing_object_is_named(store: Store, tmp_path: Path) -> None:
    store.put_bytes("there", b"")
    with pytest.raises(VqiError, match=r"cannot read .*/gone"):
        store.get_bytes("gone")
    with pytest.raises(VqiError, match=r"cannot read .*/gone"):
        store.get_file("gone", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_missing_source_is_named(store: Store, tmp_path: Path) -> None:
    with pytest.raises(VqiError, match="not-here"):
        store.put_file("a", tmp_path / "not-here")
    assert not store.exists("a")


def test_put_if_absent_has_one_winner_in_a_race(store: Store) -> None:
    store.put_bytes("warm", b"up")
    barrier = threading.Barrier(RACERS)

    def race(number: int) -> bool:
        barrier.wait()
        return store.put_if_absent("pointer", f"writer {number}".encode())

    with ThreadPoolExecutor(RACERS) as pool:
        won = list(pool.map(race, range(RACERS)))
    assert won.count(True) == 1
    assert store.get_bytes("pointer") == f"writer {won.index(True)}".encode()
    assert not store.put_if_absent("pointer", b"late")


def test_an_object_is_replaced_only_where_it_is_the_one_that_was_read(store: Store) -> None:
    assert store.get_tagged("pointer") is None
    assert not store.replace("pointer", b"none", "0" * 32)
    assert not store.exists("pointer")
    store.put_bytes("pointer", b"one")
    one = store.get_tagged("pointer")
    assert one is not None
    assert one.data == b"one"
    assert store.replace("pointer", b"two", one.tag)
    assert not store.replace("pointer", b"late", one.tag)
    two = store.get_tagged("pointer")
    assert two is not None
    assert (two.data, store.get_bytes("pointer")) == (b"two", b"two")
    store.delete("pointer")
    assert not store.replace("pointer", b"gone", two.tag)
    assert store.get_tagged("pointer") is None


def test_replace_has_one_winner_in_a_race(store: Store) -> None:
    store.put_bytes("pointer", b"start")
    for turn in range(5):
        barrier = threading.Barrier(RACERS)
        seen = store.get_tagged("pointer")
        assert seen is not None

        def race(number: int, barrier: threading.Barrier = barrier, tag: str = seen.tag, turn: int = turn) -> bool:
            barrier.wait()
            return store.replace("pointer", f"{turn}: writer {number}".encode(), tag)

        with ThreadPoolExecutor(RACERS) as pool:
            won = list(pool.map(race, range(RACERS)))
        assert won.count(True) == 1
        assert store.get_bytes("pointer") == f"{turn}: writer {won.index(True)}".encode()


def test_what_is_read_with_its_tag_is_one_version(store: Store) -> None:
    """While it is replaced again and again."""
    store.put_bytes("pointer", b"0")
    ended = threading.Event()

    def write() -> None:
        for number in range(1, 60):
            store.put_bytes("pointer", str(number).encode() * number)
        ended.set()

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(write)
        tags: dict[str, bytes] = {}
        while not ended.is_set():
            if (found := store.get_tagged("pointer")) is not None:
                assert tags.setdefault(found.tag, found.data) == found.data
        writer.result()


def test_a_store_that_looks_at_conditions_says_nothing(store: Store) -> None:
    for _ in range(2):
        open_store(store.uri).check_conditions("a/probe")
        store.check_conditions("a/probe")
    assert {info.key for info in store.list()} <= {"a/probe"}


def test_full_uris(store: Store, tmp_path: Path) -> None:
    store.put_bytes("a/b", b"x")
    uri = store.uri_of("a/b")
    fetch_uri(uri, tmp_path / "fetched")
    assert read_uri(uri) == b"x" == (tmp_path / "fetched").read_bytes()


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3://bucket/models/m.zip", ("s3://bucket/models", "m.zip")),
        ("s3://bucket/m.zip", ("s3://bucket", "m.zip")),
        ("file:///m.zip", ("file:///", "m.zip")),
        ("file:///a/m.zip", ("file:///a", "m.zip")),
        ("/a/m.zip", ("/a", "m.zip")),
        ("/m.zip", ("/", "m.zip")),
        ("m.zip", (".", "m.zip")),
    ],
)
def test_split_uri(uri: str, expected: tuple[str, str]) -> None:
    assert split_uri(uri) == expected


@pytest.mark.parametrize("uri", ["s3://bucket", "s3://bucket/", "", "/", "file://", "a/"])
def test_split_uri_refuses_what_names_no_object(uri: str) -> None:
    with pytest.raises(VqiError, match="does not name an object"):
        split_uri(uri)


@pytest.mark.parametrize("uri", ["", "gs://bucket/x", "file://relative/x", "s3://", "file://"])
def test_open_store_refuses_other_uris(uri: str) -> None:
    with pytest.raises(VqiError, match="expected"):
        open_store(uri)


def test_plain_paths_are_folders(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "a #b?%41"))
    store.put_bytes("x", b"1")
    assert open_store(store.uri).get_bytes("x") == b"1" == read_uri(store.uri_of("x"))
    (tmp_path / "a #b?%41" / "x").write_bytes(b"2")
    with pytest.raises(VqiError, match="corrupted"):  # the digest is found from another root, too
        open_store(str(tmp_path)).get_bytes("a #b?%41/x")


# ---------------------------------------------------------------------------------------------------- the folder


def test_a_changed_file_is_caught(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    store.put_bytes("a/b", b"good")
    (tmp_path / "a" / "b").write_bytes(b"gooe")
    with pytest.raises(VqiError, match=r"a/b is corrupted: expected sha256 770e607624d6.*, got [0-9a-f]{64}"):
        store.get_bytes("a/b")
    with pytest.raises(VqiError, match="corrupted"):
        store.get_file("a/b", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_put_there_by_hand_is_read(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(b"w")
    assert read_uri(f"file://{tmp_path}/weights.safetensors") == b"w"


def test_the_bytes_are_right_at_each_moment_of_an_overwrite(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    versions = [bytes([n]) * 5000 for n in range(4)]
    store.put_bytes("pointer", versions[0])

    def write(version: bytes) -> None:
        for _ in range(25):
            store.put_bytes("pointer", version)

    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(write, version) for version in versions]
        while not all(writer.done() for writer in writers):
            assert store.get_bytes("pointer") in versions
        for writer in writers:
            writer.result()


def test_a_full_disk_and_a_read_only_one_say_so(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    with pytest.raises(VqiError, match=r"cannot write file:///.*/k: .*the disk is full"), store._errors("write", "k"):
        Path("/dev/full").write_bytes(b"x" * 100_000)
    with pytest.raises(VqiError, match="the disk is read-only"), store._errors("write", "k"):
        raise OSError(errno.EROFS, "Read-only file system")
    with pytest.raises(VqiError, match=r"cannot write file:///proc/vqi/x"):
        open_store("file:///proc/vqi").put_bytes("x", b"1")


def test_a_file_where_a_folder_should_be_and_a_name_too_long(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    store.put_bytes("a", b"x")
    with pytest.raises(VqiError, match="cannot write"):
        store.put_bytes("a/b", b"x")
    with pytest.raises(VqiError, match="name too long: use a shorter name"):
        store.put_bytes("n" * 300, b"x")
    assert [i.key for i in store.list()] == ["a"]


def test_pipes_sockets_devices_and_links_in_a_folder(tmp_path: Path) -> None:
    store, folder = open_store(str(tmp_path / "store")), tmp_path / "store"
    store.put_bytes("a/b", b"1")
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "socket"))
    (folder / "zero").symlink_to("/dev/zero")
    (folder / "gone").symlink_to("nowhere")
    (folder / "a" / "above").symlink_to("..")
    (folder / "linked").symlink_to("a/b")
    assert [(one.key, one.size) for one in store.list()] == [("a/b", 1), ("linked", 1)]
    assert store.get_bytes("linked") == b"1"
    for name in ("pipe", "socket", "zero"):
        for call in (store.get_bytes, lambda key: store.get_file(key, tmp_path / "x")):
            with pytest.raises(VqiError, match=f"cannot read .*/{name}"):
                call(name)
        with pytest.raises(VqiError, match="cannot write"):
            store.put_file("c", folder / name)
    assert not store.exists("c")


def test_what_is_too_large_for_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vqi.store.folder.LARGEST_IN_MEMORY", 10)
    store = open_store(str(tmp_path))
    store.put_bytes("a", b"x" * 10)
    assert len(store.get_bytes("a")) == 10
    store.put_bytes("a", b"x" * 11)
    with pytest.raises(VqiError, match="more than 10 bytes"):
        store.get_bytes("a")


def test_names_that_differ_by_case_on_a_file_system_that_does_not_see_it(tmp_path: Path) -> None:
    """Here it does: another spelling of the folder of digests stands for one that does not."""
    store = open_store(str(tmp_path))
    for key in ("bolt/v1/a", "caf\u00e9/v1/a"):
        store.put_bytes(key, b"1")
    store.put_bytes("Bolt/v1/a", b"2")
    assert store.get_bytes("bolt/v1/a") == b"1"
    for folder in ("BOLT/v1", "cafe\u0301/v1", "bolt/v1"):
        (tmp_path / folder / ".SHA256").mkdir(parents=True)
    for key, other in (("BOLT/v1/a", "[Bb]olt"), ("cafe\u0301/v1/a", "caf\u00e9"), ("bolt/v1/A", "a")):
        for put in (store.put_bytes, store.put_if_absent):
            with pytest.raises(VqiError, match=f"for '{other}', which is there: rename one"):
                put(key, b"3")


def test_a_folder_that_cannot_be_a_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    open_store(str(tmp_path / "new" / "folder")).check()
    assert not (tmp_path / "new").exists()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(VqiError, match=r"cannot use file://.*: Not a directory: there is a file where a folder"):
            open_store(str(path)).check()


# -------------------------------------------------------------------------------------------------------- S3


def test_multipart_40_mb(s3_environment: object, tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(os.urandom(1 << 20) * 40)
    store = open_store("s3://vqi-tests/large")
    store.put_file("big", source)
    store.get_file("big", target)
    assert target.read_bytes() == source.read_bytes()
    assert "-" in (client_of(s3_environment).stat_object("vqi-tests", "large/big").etag or ""), "it went up in parts"
    assert source.stat().st_size > 2 * PART_BYTES


def test_a_changed_object_is_caught(s3_environment: object, tmp_path: Path) -> None:
    store = open_store("s3://vqi-tests/changed")
    store.put_bytes("a", b"good")
    client = client_of(s3_environment)
    stored = client.stat_object("vqi-tests", "changed/a").metadata or {}
    client.put_object(
        "vqi-tests", "changed/a", io.BytesIO(b"gooe"), 4, metadata={"sha256": stored["x-amz-meta-sha256"]}
    )
    with pytest.raises(VqiError, match=r"changed/a is corrupted: expected sha256 770e607624d6.*, got [0-9a-f]{64}"):
        store.get_bytes("a")
    with pytest.raises(VqiError, match="corrupted"):
        store.get_file("a", tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("AWS_ACCESS_KEY_ID", "nobody", r"AWS_ACCESS_KEY_ID"),
        ("AWS_SECRET_ACCESS_KEY", "wrong", r"AWS_SECRET_ACCESS_KEY"),
        ("AWS_SECRET_ACCESS_KEY", "", r"AWS_SECRET_ACCESS_KEY .* not set"),
        ("VQI_S3_ENDPOINT", "", r"VQI_S3_ENDPOINT .* not set"),
        ("VQI_S3_ENDPOINT", "127.0.0.1:9000", r"expected http\(s\)://host:port"),
    ],
)
def test_a_refused_key_and_a_missing_setting(
    s3_environment: object, monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    open_store("s3://vqi-tests/keys").put_bytes("a", b"x")
    monkeypatch.setenv(name, value)
    for call in (lambda s: s.get_bytes("a"), lambda s: s.put_bytes("b", b""), lambda s: s.exists("a")):
        with pytest.raises(VqiError, match=expected) as caught:
            call(open_store("s3://vqi-tests/keys"))
        assert "\n" not in str(caught.value)


def test_a_missing_bucket_reads_as_empty_and_is_made_by_the_first_put(s3_environment: object, tmp_path: Path) -> None:
    store = open_store(f"s3://new-{os.getpid()}")
    assert not store.exists("a")
    assert list(store.list()) == []
    with pytest.raises(VqiError, match="no bucket"):
        store.get_file("a", tmp_path / "a")
    store.put_bytes("a", b"1")
    assert store.get_bytes("a") == b"1"


def test_a_store_that_is_down(monkeypatch: pytest.MonkeyPatch, s3_environment: object) -> None:
    monkeypatch.setenv("VQI_S3_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("vqi.store.s3_connections.RETRIES", 1)
    with pytest.raises(
        UnavailableError, match=r"s3://bucket/p/a at http://127\.0\.0\.1:9.*did not respond.*refused"
    ) as caught:
        open_store("s3://bucket/p").get_bytes("a")
    assert "\n" not in str(caught.value)
    assert "0x" not in str(caught.value)


def test_through_a_proxy(s3_environment: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server accepts requests meant for a proxy, so that it can act as one that leads to another host."""
    monkeypatch.setenv("http_proxy", s3_environment.endpoint.removeprefix("http://"))  # type: ignore[attr-defined]
    monkeypatch.setenv("VQI_S3_ENDPOINT", "http://storage.invalid:80")
    store = open_store("s3://vqi-tests/proxy")
    store.put_bytes("a", b"1")
    assert store.get_bytes("a") == b"1"


def test_past_a_proxy(s3_environment: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both clients follow the same rule, in which a port may be given."""
    host = f"localhost:{s3_environment.endpoint.rpartition(':')[2]}"  # type: ignore[attr-defined]
    monkeypatch.setenv("VQI_S3_ENDPOINT", f"http://{host}")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", host)
    store = open_store("s3://vqi-tests/proxy")
    store.put_bytes("b", b"1")
    assert store.get_bytes("b") == b"1"
    monkeypatch.setenv("no_proxy", "elsewhere")
    monkeypatch.setattr("vqi.store.s3_connections.RETRIES", 0)
    with pytest.raises(UnavailableError, match=r"did not respond \(through the proxy: .*refused\)") as caught:
        open_store("s3://vqi-tests/proxy").get_bytes("b")
    assert "0x" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("http_proxy", "socks5://127.0.0.1:9", "through the proxy 'socks5://127.0.0.1:9'"),
        ("SSL_CERT_FILE", "/nowhere.pem", "SSL_CERT_FILE is '/nowhere.pem', which is not a file"),
        ("AWS_CHECKSUM_ALGORITHM", "crc7", "check the variables AWS_"),
    ],
)
def test_an_environment_that_does_not_fit(
    s3_environment: object, monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv(name, value)
    with pytest.raises(VqiError, match=expected) as caught:
        open_store("s3://vqi-tests/a").get_bytes("b")
    assert "\n" not in str(caught.value)


def test_both_clients_speak_with_the_server_of_the_endpoint(
    s3_environment: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader's library by itself reads more from the environment."""
    for name, value in {
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_SESSION_TOKEN": "",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true",
        "AWS_SKIP_SIGNATURE": "true",
        "AWS_S3_EXPRESS": "true",
    }.items():
        monkeypatch.setenv(name, value)
    store = open_store("s3://vqi-tests/steered")
    store.put_bytes("a", b"1")
    assert store.get_bytes("a") == b"1"


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("https://s3.amazonaws.com", "https://bucket.s3.eu-west-1.amazonaws.com/key?"),
        ("https://oss-cn-hangzhou.aliyuncs.com", "https://bucket.oss-cn-hangzhou.aliyuncs.com/key?"),
        ("https://storage.example.com:9000/", "https://storage.example.com:9000/bucket/key?"),
    ],
)
def test_the_address_of_a_bucket_is_what_its_server_wants(
    s3_environment: object, monkeypatch: pytest.MonkeyPatch, endpoint: str, expected: str
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("VQI_S3_ENDPOINT", endpoint)
    client = connect()
    reader = connect_reader(client, "bucket")
    assert str(obstore.sign(reader, "GET", "key", timedelta(minutes=1))).startswith(expected)
    assert client.minio.presigned_get_object("bucket", "key").startswith(expected)


@contextmanager
def relayed(
    endpoint: str, cut_after: int = sys.maxsize, cuts: int = sys.maxsize, tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """The same server through connections that break off, or the first few of them, or are encrypted.

    Args:
        cut_after: Bytes of answers.
        cuts: Connections that break off.
    """
    host, _, port = endpoint.removeprefix("http://").rpartition(":")
    numbers = itertools.count()

    class Relay(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            left = cut_after if next(numbers) < cuts else sys.maxsize
            if tls:
                self.request.do_handshake()
            with socket.create_connection((host, int(port))) as server:
                threading.Thread(target=self.requests, args=(server,), daemon=True).start()
                while left > 0 and (data := server.recv(min(left, 1 << 16))):
                    self.request.sendall(data)
                    left -= len(data)

        def requests(self, server: socket.socket) -> None:
            with suppress(OSError):
                while data := self.request.recv(1 << 16):
                    server.sendall(data)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def get_request(self) -> tuple[socket.socket, object]:
            request, address = super().get_request()
            if tls:
                request = tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
            return request, address

        def handle_error(self, *_: object) -> None:
            """A client that does not trust the certificate hangs up."""

    with Server(("127.0.0.1", 0), Relay) as relay:
        threading.Thread(target=relay.serve_forever, daemon=True).start()
        try:
            yield f"http{'s' if tls else ''}://127.0.0.1:{relay.server_address[1]}"
        finally:
            relay.shutdown()


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "AWS_CA_BUNDLE"])
def test_an_encrypted_server_that_only_the_given_certificate_vouches_for(
    s3_environment: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    authority = trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    with relayed(s3_environment.endpoint, tls=tls) as endpoint:  # type: ignore[attr-defined]
        monkeypatch.setenv("VQI_S3_ENDPOINT", endpoint)
        monkeypatch.setattr("vqi.store.s3_connections.RETRIES", 0)
        with pytest.raises(UnavailableError, match="certificate verify failed"):
            open_store("s3://vqi-tests/tls").get_bytes("a")
        monkeypatch.setenv(variable, str(tmp_path / "authority.pem"))
        store = open_store("s3://vqi-tests/tls")
        store.put_bytes("a", b"1")
        assert store.get_bytes("a") == b"1"
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            monkeypatch.setenv(name, certifi.where())  # those of a web server, not of the store
        monkeypatch.setenv("VQI_CACHE", str(tmp_path / "cache"))
        assert locate("s3://vqi-tests/tls/a", "").read_bytes() == b"1", "an archive is fetched by another client"


def test_a_body_that_breaks_off_is_gone_on_with(
    s3_environment: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = os.urandom(3 << 20)
    open_store("s3://vqi-tests/broken").put_bytes("a", data)
    # Never all of it in one answer, so that starting over would not be enough.
    with relayed(s3_environment.endpoint, cut_after=2 << 20) as endpoint:  # type: ignore[attr-defined]
        monkeypatch.setenv("VQI_S3_ENDPOINT", endpoint)
        store = open_store("s3://vqi-tests/broken")
        store.get_file("a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == data


def test_a_server_that_was_away_and_is_back(s3_environment: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is wrong with the request: retrying may succeed."""
    open_store("s3://vqi-tests/away").put_bytes("a", b"1")
    with relayed(s3_environment.endpoint, cut_after=0, cuts=1) as endpoint:  # type: ignore[attr-defined]
        monkeypatch.setenv("VQI_S3_ENDPOINT", endpoint)
        monkeypatch.setattr("vqi.store.s3_connections.RETRIES", 0)
        assert open_store("s3://vqi-tests/away").get_bytes("a") == b"1"


def test_a_body_that_breaks_off_again_and_again(
    s3_environment: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    open_store("s3://vqi-tests/broken").put_bytes("b", os.urandom(1 << 20))
    with relayed(s3_environment.endpoint, cut_after=2000) as endpoint:  # type: ignore[attr-defined]
        monkeypatch.setenv("VQI_S3_ENDPOINT", endpoint)
        monkeypatch.setattr("vqi.store.s3_connections.RETRIES", 1)
        with pytest.raises(UnavailableError, match=r"cannot read s3://vqi-tests/broken/b: it broke off"):
            open_store("s3://vqi-tests/broken").get_file("b", tmp_path / "b")
    assert not list(tmp_path.iterdir())


def put_plainly(store: Store, key: str, data: bytes) -> None:
    store.put_bytes(key, data)


def put_where_absent(store: Store, key: str, data: bytes) -> None:
    store.put_if_absent(f"{key}-absent", data)


def put_where_the_same(store: Store, key: str, data: bytes) -> None:
    found = store.get_tagged(key)
    assert found
    store.replace(key, data, found.tag)


@pytest.mark.parametrize("put", [put_plainly, put_where_absent, put_where_the_same])
def test_a_put_whose_body_never_came_stores_nothing(
    s3_environment: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, put: Callable[[Store, str, bytes], None]
) -> None:
    """As a writer leaves it that is killed between the head and the body of its request."""
    store = open_store(f"s3://vqi-tests/{tmp_path.name}")
    store.put_bytes("champion.json", b"old")
    send, new = http.client.HTTPConnection.send, b"what never comes"
    cut = []

    def send_but_the_body(connection: http.client.HTTPConnection, data: bytes) -> None:
        if data == new:
            cut.append(data)
            connection.sock.shutdown(socket.SHUT_WR)
        else:
            send(connection, data)

    with monkeypatch.context() as patch, pytest.raises(VqiError, match="cannot write"):
        patch.setattr("vqi.store.s3_connections.RETRIES", 0)
        patch.setattr(http.client.HTTPConnection, "send", send_but_the_body)
        put(store, "champion.json", new)
    assert len(cut) == 1
    assert {entry.key: store.get_bytes(entry.key) for entry in store.list()} == {"champion.json": b"old"}


def test_a_server_killed_in_the_middle_of_an_upload(
    new_seaweedfs: Callable[[], object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = new_seaweedfs()
    for name, value in server.environment.items():  # type: ignore[attr-defined]
        monkeypatch.setenv(name, value)
    store = open_store("s3://bucket/p")
    store.put_bytes("before", b"1")
    source = tmp_path / "big"
    source.write_bytes(os.urandom(1 << 20) * 64)
    client = store._client  # type: ignore[attr-defined]
    real = client._upload_part

    def upload_part(*args: object, **more: object) -> object:
        etag = real(*args, **more)
        server.kill()  # type: ignore[attr-defined]
        return etag

    monkeypatch.setattr(client, "_upload_part", upload_part)
    with pytest.raises(UnavailableError, match=r"cannot write s3://bucket/p/big at http.*did not respond"):
        store.put_file("big", source)
    server.start()  # type: ignore[attr-defined]
    monkeypatch.setenv("VQI_S3_ENDPOINT", server.endpoint)  # type: ignore[attr-defined]
    again = open_store("s3://bucket/p")
    assert [i.key for i in again.list()] == ["before"]
    assert not again.exists("big")
    again.put_file("big", source)
    assert again.exists("big")


def s3_error(code: str) -> S3Error:
    return S3Error(None, code, "said", "resource", "request", "host")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ServerError("server failed with HTTP status code 500", 500), True),
        (urllib3.exceptions.ProtocolError("Connection aborted."), True),
        (s3_error("SlowDown"), True),
        (s3_error("AccessDenied"), False),
        (s3_error("NoSuchBucket"), False),
        (OSError(28, "No space left on device"), False),
    ],
)
def test_what_may_pass(error: Exception, expected: bool) -> None:
    assert may_pass(error) is expected


def test_the_store_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert store_uri({"VQI_STORE": "s3://bucket"}) == "s3://bucket"
    assert store_uri({"VQI_STORE": "kept"}) == f"file://{tmp_path}/kept"
    for environment in ({}, {"VQI_STORE": ""}):
        with pytest.raises(VqiError, match="VQI_STORE is not set"):
            store_uri(environment)


def test_the_variables_that_a_step_is_given_are_those_that_a_store_reads() -> None:
    """A variable that a client comes to read and VARIABLES lacks would be missing in every pod."""
    files = Path(opening.__file__).parent.glob("*.py")
    named = {name for file in files for name in re.findall(r'"((?:AWS|VQI|SSL)_[A-Z0-9_]+)"', file.read_text())}
    assert named == {*opening.VARIABLES, *opening.PLACES, *opening.IDENTITY}
