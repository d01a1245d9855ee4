"""vqi.transfer.fetching against real servers on loopback that break off, change, refuse and lie."""

from __future__ import annotations

import hashlib
import http.server
import random
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vqi.errors import VqiError
from vqi.redaction import shown
from vqi.transfer import fetching, parts, web
from vqi.transfer.fetching import fetch, fetch_all, name_for
from vqi.transfer.unpacking import spool

DATA = random.Random(0).randbytes(3_000_000)
OTHER = random.Random(1).randbytes(2_000_000)
SHA256 = hashlib.sha256(DATA).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves ``data`` with ETag and ranges. ``plan`` has one behaviour for each of the first requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.data, self.etag, self.date = DATA, '"one"', ""
        self.plan: list[str] = []
        self.seen: list[dict[str, str]] = []
        self.sent = 0
        self.url = f"http://127.0.0.1:{self.server_address[1]}/data/parts.tar"
        self.login = ""
        self.location = ""


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *args: object) -> None:
        """Nothing."""

    def answer(self, status: int, body: bytes, sent: int | None = None, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        if self.server.etag:
            self.send_header("ETag", self.server.etag)
        if self.server.date:
            self.send_header("Last-Modified", self.server.date)
        self.end_headers()
        self.wfile.write(body[:sent])
        self.server.sent += len(body[:sent])

    def do_GET(self) -> None:
        server = self.server
        server.seen.append({**self.headers, "path": self.path})
        behaviour = server.plan.pop(0) if server.plan else "serve"
        if server.login and self.headers.get("Authorization") != server.login:
            self.answer(401, b"")
        elif behaviour.isdecimal():
            self.answer(int(behaviour), b"", **({"Retry_After": "0"} if behaviour == "429" else {}))
        elif behaviour == "without a size":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(server.data)
            self.close_connection = True
        elif behaviour == "redirect":
            self.answer(302, b"", Location=server.location)
        elif behaviour == "lie about the range":
            self.answer(206, server.data[10:], Content_Range=f"bytes 10-{len(server.data) - 1}/{len(server.data)}")
        elif self.headers.get("If-None-Match") == server.etag != "":
            self.answer(304, b"")
        else:
            self.serve(behaviour)

    def serve(self, behaviour: str) -> None:
        server, size = self.server, len(self.server.data)
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        fits = self.headers.get("If-Range") in (None, server.etag or server.date)
        start = int(match[1]) if match and fits and behaviour != "ignore ranges" else 0
        cut = int(0.4 * (size - start)) if behaviour in ("break off", "ignore ranges") else None
        if start >= size:
            self.answer(416, b"", Content_Range=f"bytes */{size}")
        elif start:
            self.answer(206, server.data[start:], cut, Content_Range=f"bytes {start}-{size - 1}/{size}")
        else:
            self.answer(200, server.data, cut)


def start() -> Server:
    server = Server()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server


@pytest.fixture
def new_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Server]]:
    monkeypatch.setattr(fetching, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(fetching, "LONGEST_WAIT", 0.002)
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "VQI_HTTP_TOKENS"):
        monkeypatch.delenv(name, raising=False)
    servers: list[Server] = []

    def make() -> Server:
        servers.append(start())
        return servers[-1]

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def server(new_server: Callable[[], Server]) -> Server:
    return new_server()


def test_fetch_once_then_ask_only(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = fetch(server.url, tmp_path)
    assert path.read_bytes() == DATA
    assert path.name.endswith("-parts.tar")
    said = capsys.readouterr().err
    assert "parts.tar: 3/3 (100 %)" in said
    assert fetch(server.url, tmp_path) == path
    assert server.sent == len(DATA), "the second answer was 304 without a body"
    server.data, server.etag = OTHER, '"two"'
    assert fetch(server.url, tmp_path).read_bytes() == OTHER


def test_a_known_digest_needs_no_server(server: Server, tmp_path: Path) -> None:
    fetch(server.url, tmp_path, SHA256)
    assert fetch(server.url, tmp_path, SHA256).read_bytes() == DATA
    assert len(server.seen) == 1


def test_resumes_where_it_broke_off(server: Server, tmp_path: Path) -> None:
    server.plan = ["break off", "break off", "break off"]
    assert fetch(server.url, tmp_path, SHA256).read_bytes() == DATA
    assert server.sent == len(DATA), "nothing came twice"
    assert [one.get("If-Range") for one in server.seen] == [None, '"one"', '"one"', '"one"']


def test_resumes_in_a_later_process(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "ATTEMPTS", 1)
    server.plan = ["break off"]
    with pytest.raises(VqiError, match=r"the \d+ bytes that came are kept: run the same command again"):
        fetch(server.url, tmp_path)
    assert not (tmp_path / name_for(server.url)).exists(), "nothing is visible until it is complete"
    assert fetch(server.url, tmp_path).read_bytes() == DATA
    assert server.sent == len(DATA)


def test_resumes_by_the_date_where_there_is_no_etag(server: Server, tmp_path: Path) -> None:
    server.etag, server.date = "", "Wed, 21 Oct 2015 07:28:00 GMT"
    server.plan = ["break off"]
    assert fetch(server.url, tmp_path).read_bytes() == DATA
    assert server.sent == len(DATA)


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
def test_without_a_validator_it_begins_again(server: Server, tmp_path: Path, etag: str) -> None:
    server.etag, server.plan = etag, ["break off"]
    assert fetch(server.url, tmp_path).read_bytes() == DATA
    assert "Range" not in server.seen[1]


def test_a_file_that_changed_meanwhile_is_never_mixed(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "ATTEMPTS", 1)
    server.plan = ["break off"]
    with pytest.raises(VqiError):
        fetch(server.url, tmp_path)
    server.data, server.etag = OTHER, '"two"'
    assert fetch(server.url, tmp_path).read_bytes() == OTHER


def test_a_server_that_ignores_ranges(server: Server, tmp_path: Path) -> None:
    server.plan = ["break off", "ignore ranges"]
    assert fetch(server.url, tmp_path, SHA256).read_bytes() == DATA


def test_a_server_that_sends_another_range(server: Server, tmp_path: Path) -> None:
    server.plan = ["break off", "lie about the range"]
    assert fetch(server.url, tmp_path, SHA256).read_bytes() == DATA


def test_all_came_and_the_rename_did_not(server: Server, tmp_path: Path) -> None:
    path = fetch(server.url, tmp_path)
    path.rename(f"{path}.part")
    assert fetch(server.url, tmp_path).read_bytes() == DATA
    assert server.sent == len(DATA), "416 says that it is complete"


def test_a_part_that_is_longer_than_the_file(server: Server, tmp_path: Path) -> None:
    path = fetch(server.url, tmp_path)
    path.rename(f"{path}.part")
    with Path(f"{path}.part").open("ab") as part:
        part.write(b"more")
    assert fetch(server.url, tmp_path).read_bytes() == DATA


def test_half_a_note(server: Server, tmp_path: Path) -> None:
    path = fetch(server.url, tmp_path)
    path.rename(f"{path}.part")
    Path(f"{path}.json").write_text('{"valid')
    assert fetch(server.url, tmp_path).read_bytes() == DATA


@pytest.mark.parametrize("status", ["429", "500", "502", "503", "504", "408"])
def test_a_busy_server(server: Server, tmp_path: Path, status: str) -> None:
    server.plan = [status, status]
    assert fetch(server.url, tmp_path).read_bytes() == DATA


def test_a_server_that_stays_busy(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server.plan = ["503"] * 100
    with pytest.raises(VqiError, match="the server answers 503 Service Unavailable: run the same command again later"):
        fetch(server.url, tmp_path)
    assert len(server.seen) == fetching.ATTEMPTS
    assert "trying again" in capsys.readouterr().err


def test_retry_after() -> None:
    assert web.retry_after({"Retry-After": "7"}) == 7
    assert web.retry_after({"Retry-After": "99999"}) == web.LONGEST_ASKED
    assert web.retry_after({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0


@pytest.mark.parametrize(
    ("status", "advice"),
    [("403", "accept the terms"), ("404", "set 'url'"), ("410", "it was removed"), ("418", "another url")],
)
def test_a_server_that_refuses(server: Server, tmp_path: Path, status: str, advice: str) -> None:
    server.plan = [status]
    with pytest.raises(VqiError, match=f"the server answers {status} .*{advice}"):
        fetch(server.url, tmp_path)
    assert len(server.seen) == 1, "asking again would not help"


def test_nobody_listens(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(
        VqiError, match=r"cannot fetch http://127[^<]*Connection refused[^<]*: run the same command"
    ) as e:
        fetch(f"{server.url}?X-Amz-Signature=secret", tmp_path)
    assert "secret" not in str(e.value) + capsys.readouterr().err


def test_wrong_bytes_are_thrown_away(server: Server, tmp_path: Path) -> None:
    with pytest.raises(VqiError, match=rf"expected sha256 {'0' * 64}, got {SHA256}; nothing was unpacked"):
        fetch(server.url, tmp_path, "0" * 64)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_a_damaged_file_in_the_cache_is_fetched_again(server: Server, tmp_path: Path) -> None:
    fetch(server.url, tmp_path, SHA256).write_bytes(b"damaged")
    server.etag = '"two"'
    assert fetch(server.url, tmp_path, SHA256).read_bytes() == DATA


def test_a_file_that_the_disk_cut_short_is_fetched_again(server: Server, tmp_path: Path) -> None:
    """Also where no digest was given."""
    path = fetch(server.url, tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    assert fetch(server.url, tmp_path).read_bytes() == DATA
    assert server.sent == 2 * len(DATA)


def test_a_server_that_never_ends(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a size the free space is checked repeatedly."""
    monkeypatch.setattr(parts, "ROOM_EVERY", 1 << 20)
    asked: list[int] = []

    def no_room_at_the_third(folder: Path, size: int) -> None:
        asked.append(size)
        if len(asked) == 3:
            raise VqiError("no room")

    monkeypatch.setattr(parts, "require_room", no_room_at_the_third)
    server.plan = ["without a size"]
    with pytest.raises(VqiError, match="no room"):
        fetch(server.url, tmp_path)
    assert asked == [0, 1 << 20, 1 << 20]


def test_many_small_files(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    urls = [f"{server.url}/{number}" for number in range(40)]
    found = fetch_all(urls, tmp_path, "fetch images")
    assert [path.read_bytes() == DATA for path in found] == [True] * 40
    assert len(set(found)) == 40
    assert "fetch images: 40/40" in capsys.readouterr().err


def test_no_room(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "SPARE_BYTES", 1 << 60)
    with pytest.raises(VqiError, match=r"no room in .*: 3000000 bytes"):
        fetch(server.url, tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_bearer_goes_to_its_host_only(
    server: Server, new_server: Callable[[], Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = server.url.split("/")[2]
    monkeypatch.setenv("VQI_HTTP_TOKENS", f"elsewhere=no {host}=secret")
    server.login, server.plan = "Bearer secret", ["redirect"]
    other = new_server()
    server.location = other.url
    assert fetch(server.url, tmp_path).read_bytes() == DATA
    assert server.seen[0]["Authorization"] == "Bearer secret"
    assert "Authorization" not in other.seen[0]


def test_netrc(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(VqiError, match=r"answers 401 .*~/\.netrc"):
        server.login = "Basic dXNlcjpwdw=="
        fetch(server.url, tmp_path)
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login user password pw\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert fetch(server.url, tmp_path).read_bytes() == DATA


def test_proxy(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server acts as a proxy: it is asked for the whole address of a host that does not exist."""
    monkeypatch.setenv("http_proxy", server.url.rpartition("/data")[0])
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert fetch("http://parts.invalid/parts.tar", tmp_path).read_bytes() == DATA
    assert server.seen[0]["path"] == "http://parts.invalid/parts.tar"


def test_no_secret_is_shown() -> None:
    assert shown("https://me:pw@host:1/a/b.tar?X-Amz-Signature=abc#d") == "https://host:1/a/b.tar"


@pytest.mark.parametrize("url", ["ftp://host/x.tar", "https:///x", "parts.tar"])
def test_other_addresses(url: str, tmp_path: Path) -> None:
    with pytest.raises(VqiError, match="expected an address like https"):
        fetch(url, tmp_path)


def test_names_are_harmless_and_differ() -> None:
    assert re.fullmatch(r"[0-9a-f]{16}-a_b\.tar", name_for("https://host/x/a%b.tar?q=/../.."))
    assert name_for("https://host/?a") != name_for("https://host/?b")
