"""vqi.store.s3_credentials: which key is used, where it comes from, and what is said where there is none."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import certifi
import pytest

from vqi.errors import UnavailableError, VqiError
from vqi.store.opening import open_store
from vqi.store.s3_connections import STORE
from vqi.store.s3_credentials import keys_of, profile_in_use
from vqi.store.s3_settings import Server, read_server

ENDPOINT = {"VQI_S3_ENDPOINT": "http://storage.example.com"}
KEY = {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "S"}


def used(environment: dict[str, str]) -> tuple[str, str, str | None, str]:
    """The key that is used, and the region."""
    profile = profile_in_use(environment)
    server = read_server({**ENDPOINT, **environment}, profile.region if profile else "")
    key = keys_of(server, profile, environment).retrieve()
    return key.access_key, key.secret_key, key.session_token, server.region


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment whose home folder has profiles."""
    folder = tmp_path / ".aws"
    folder.mkdir()
    (folder / "credentials").write_text(
        "[default]\naws_access_key_id = DA\naws_secret_access_key = D%S\n"
        "[line]\naws_access_key_id=LA\naws_secret_access_key=LS\naws_session_token=LT\n[half]\naws_access_key_id=HA\n"
    )
    (folder / "config").write_text(
        "[default]\nregion = eu-west-1\n[profile line]\nregion = eu-west-2\noutput = json\n"
        "[profile ours]\naws_access_key_id = OA\naws_secret_access_key = OS\n[profile person]\nsso_session = x\n"
        "[profile empty]\nregion = eu-west-3\n"
    )
    return {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}


def test_variables_come_first(home: dict[str, str]) -> None:
    assert used({**home, **KEY}) == ("A", "S", None, "us-east-1")
    assert used({**home, **KEY, "AWS_SESSION_TOKEN": "T", "AWS_PROFILE": "line"}) == ("A", "S", "T", "eu-west-2")
    assert used({**home, **KEY, "AWS_PROFILE": "person"})[:2] == ("A", "S"), "what the advice below gives"


def test_profiles(home: dict[str, str], tmp_path: Path) -> None:
    assert used(home) == ("DA", "D%S", None, "eu-west-1")
    assert used({**home, "AWS_PROFILE": "line"}) == ("LA", "LS", "LT", "eu-west-2")
    assert used({**home, "AWS_PROFILE": "line", "AWS_DEFAULT_REGION": "eu-south-1"})[3] == "eu-south-1"
    assert used({**home, "AWS_PROFILE": "ours"}) == ("OA", "OS", None, "us-east-1")
    (tmp_path / "mine").write_text("[default]\naws_access_key_id=MA\naws_secret_access_key=MS\n")
    assert used({**home, "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "mine")})[:2] == ("MA", "MS")


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"AWS_PROFILE": "lime"}, "unknown AWS profile 'lime': did you mean 'line'.*AWS_PROFILE"),
        ({"AWS_PROFILE": "half"}, "the AWS profile 'half' has no aws_secret_access_key"),
        ({"AWS_PROFILE": "empty"}, "the AWS profile 'empty' has no key"),
        ({"AWS_PROFILE": "person"}, "'person' has sso_session, unknown here: first run .*export-credentials"),
        ({"AWS_ACCESS_KEY_ID": "A"}, r"needs the environment variable AWS_SECRET_ACCESS_KEY .* not set"),
        ({"AWS_SECRET_ACCESS_KEY": "S"}, r"needs the environment variable AWS_ACCESS_KEY_ID .* not set"),
        ({**KEY, "AWS_SESSION_TOKEN": "T\n"}, "AWS_SESSION_TOKEN has a blank"),
        ({**KEY, "AWS_SECRET_ACCESS_KEY": "S\n"}, "AWS_SECRET_ACCESS_KEY has a blank"),
        ({"HOME": "/nowhere"}, "needs the environment variable AWS_ACCESS_KEY_ID .*AWS_PROFILE"),
        ({"AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere/token"}, "the web identity in /nowhere/token.*No such file"),
    ],
)
def test_no_key(home: dict[str, str], told: dict[str, str], expected: str) -> None:
    with pytest.raises(VqiError, match=expected) as caught:
        used({**home, **told})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["no section\n", "[default\n", "[default]\nno value\n", "[default]\n\xff".encode("latin-1")]
)
def test_a_file_that_has_no_profiles(tmp_path: Path, text: str | bytes) -> None:
    file = tmp_path / "credentials"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(VqiError, match=r"credentials is not a file of AWS profiles: expected \[name\]"):
        used({"HOME": str(tmp_path), "AWS_SHARED_CREDENTIALS_FILE": str(file)})


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take longer than what is near needs."""
    monkeypatch.setattr("vqi.store.s3_credentials.METADATA", STORE)


class KeyServer(http.server.ThreadingHTTPServer):
    """What gives keys on a platform: a token service, a pod's and a virtual machine's metadata."""

    daemon_threads = True

    def __init__(self, status: int, body: bytes | None, lasts: timedelta) -> None:
        super().__init__(("127.0.0.1", 0), _KeyHandler)
        self.status, self.body, self.lasts = status, body, lasts
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _KeyHandler(http.server.BaseHTTPRequestHandler):
    server: KeyServer

    def log_message(self, *args: object) -> None:
        """Nothing."""

    def _answer(self) -> None:
        server = self.server
        server.asked.append(self.path)
        ends = (datetime.now(UTC) + server.lasts).strftime("%Y-%m-%dT%H:%M:%SZ")
        number = str(len(server.asked))
        if server.body is not None:
            body = server.body
        elif "WebIdentityToken" in self.path:
            inner = f"<AccessKeyId>WA{number}</AccessKeyId><SecretAccessKey>WS</SecretAccessKey>"
            inner += f"<SessionToken>WT</SessionToken><Expiration>{ends}</Expiration>"
            named = "AssumeRoleWithWebIdentityRe"
            body = (
                f"<{named}sponse><{named}sult><Credentials>{inner}</Credentials></{named}sult></{named}sponse>"
            ).encode()
        elif self.path in ("/latest/api/token", "/latest/meta-data/iam/security-credentials/"):
            body = b"role"
        else:
            keys = {"AccessKeyId": "IA", "SecretAccessKey": "IS", "Token": "IT", "Expiration": ends}
            body = json.dumps(keys).encode()
        self.send_response(server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = _answer  # noqa: N815 - as the library calls them


@contextmanager
def key_server(
    status: int = 200, body: bytes | None = None, lasts: timedelta = timedelta(hours=1)
) -> Iterator[KeyServer]:
    with KeyServer(status, body, lasts) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def identity(tmp_path: Path) -> dict[str, str]:
    """What a cluster puts into a pod with an identity."""
    (tmp_path / "token").write_text("the-token\n")
    return {
        "HOME": str(tmp_path),
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
        "AWS_ROLE_ARN": "arn:aws:iam::1:role/quality",
        "AWS_REGION": "eu-west-1",
    }


def test_a_web_identity(identity: dict[str, str]) -> None:
    with key_server() as server:
        assert used({**identity, "AWS_ENDPOINT_URL_STS": server.address}) == ("WA1", "WS", "WT", "eu-west-1")
    asked = parse_qs(urlsplit(server.asked[0]).query)
    assert asked["WebIdentityToken"] == ["the-token"]
    assert asked["RoleArn"] == ["arn:aws:iam::1:role/quality"]


def test_a_key_that_ends_is_renewed_from_the_token_as_it_is_then(identity: dict[str, str]) -> None:
    with key_server(lasts=timedelta(seconds=5)) as server:
        told = {**identity, "AWS_ENDPOINT_URL_STS": server.address}
        keys = keys_of(Server("http://h", "eu-west-1", Path(certifi.where())), None, told)
        assert keys.retrieve().access_key == "WA1"
        Path(told["AWS_WEB_IDENTITY_TOKEN_FILE"]).write_text("newer")
        assert keys.retrieve().access_key == "WA2"
    assert "WebIdentityToken=newer" in server.asked[1]


def test_a_profile_with_a_web_identity(identity: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "config").write_text(f"[profile pod]\nweb_identity_token_file={tmp_path}/token\nrole_arn=arn:x\n")
    told = {"HOME": str(tmp_path), "AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_PROFILE": "pod"}
    with key_server() as server:
        assert used({**told, "AWS_ENDPOINT_URL_STS": server.address})[0] == "WA1"


def test_a_refused_identity_is_not_shown(identity: dict[str, str]) -> None:
    with key_server(403) as server, pytest.raises(VqiError, match=r"no key .* from the web identity .*403") as caught:
        used({**identity, "AWS_ENDPOINT_URL_STS": server.address})
    assert "the-token" not in str(caught.value)


@pytest.mark.parametrize(
    "body", [b"", b"<", b"<html/>", b"{}", b"[]", b'{"AccessKeyId": 1}', b"\xff", b"x" * (17 << 20)]
)
def test_an_answer_that_has_no_key(identity: dict[str, str], monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    with key_server(body=body) as server:
        metadata = {"HOME": "/nowhere", "AWS_EC2_METADATA_SERVICE_ENDPOINT": server.address}
        for told in ({**identity, "AWS_ENDPOINT_URL_STS": server.address}, metadata):
            with pytest.raises(VqiError, match=r"^no key for the object store from ") as caught:
                used(told)
            assert str(caught.value).isprintable()


def test_the_role_of_a_virtual_machine() -> None:
    with key_server() as server:
        assert used({"HOME": "/nowhere", "AWS_EC2_METADATA_SERVICE_ENDPOINT": server.address})[:3] == ("IA", "IS", "IT")


def test_the_role_of_a_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    with key_server() as server:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{server.address}/pod")
        assert used({"HOME": "/nowhere", "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{server.address}/pod"})[0] == "IA"
    assert server.asked == ["/pod"]


def test_nobody_there_gives_a_key() -> None:
    with pytest.raises(
        UnavailableError, match=r"no key .*AWS_ACCESS_KEY_ID and AWS_PROFILE are not set.*refused"
    ) as caught:
        used({"HOME": "/nowhere", "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:9"})
    assert "\n" not in str(caught.value)


def test_both_clients_use_the_key_of_a_profile(
    s3_environment: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "credentials").write_text("[line]\naws_access_key_id=AK\naws_secret_access_key=SK\n")
    for name in KEY:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "line")
    store = open_store("s3://vqi-tests/profile")
    store.put_bytes("a", b"1")
    assert store.get_bytes("a") == b"1"
