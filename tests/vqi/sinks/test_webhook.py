"""The webhook: what it sends, what it takes for an answer, and what it never shows."""

from __future__ import annotations

import base64
import ssl
import sys
from pathlib import Path

import pytest
import trustme

from tests.vqi.sinks.receiver import receiving
from vqi.errors import VqiError
from vqi.sinks import webhook
from vqi.sinks.interface import VARIABLES, Credentials, RefusedMessageError, Sink, UndeliveredError, credentials_in
from vqi.sinks.registry import sink_at


def sink_of(url: str, **credentials: str) -> Sink:
    return sink_at(url, Credentials(**credentials))


@pytest.mark.parametrize("status", [201, 204])
def test_two_hundreds_say_that_it_is_taken(status: int) -> None:
    with receiving() as receiver:
        receiver.status = status
        sink_of(receiver.url).send("1", b'{"id": 1}')
    assert receiver.asked[0]["Content-Type"] == "application/json"


@pytest.mark.parametrize("status", [301, 401, 404, 408, 429, 500, 503])
def test_what_may_be_otherwise_later_is_sent_again(status: int) -> None:
    with receiving() as receiver, pytest.raises(UndeliveredError, match=f"it answers {status}"):
        receiver.status = status
        sink_of(receiver.url).send("1", b"{}")
    assert len(receiver.asked) == 1, "a redirection is not followed"


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_what_the_receiver_will_never_take_is_not(status: int) -> None:
    with receiving() as receiver, pytest.raises(RefusedMessageError, match=f"it answers {status}"):
        receiver.status = status
        sink_of(receiver.url).send("1", b"{}")


def test_nobody_there_and_nobody_who_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "SECONDS", 0.05)
    with receiving() as receiver:
        receiver.status = 0
        with pytest.raises(UndeliveredError, match="no answer: timed out"):
            sink_of(receiver.url).send("1", b"{}")
    with pytest.raises(UndeliveredError, match=r"^no answer: Connection refused$"):
        sink_of(f"{receiver.url}?key=secret").send("1", b"{}")


def test_logins_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with receiving() as receiver:
        sink_of(receiver.url, token="t0ken").send("1", b"{}")
        sink_of(receiver.url, user="anna", password="pä:ss").send("1", b"{}")
    bearer, basic = (one["Authorization"] for one in receiver.asked)
    assert bearer == "Bearer t0ken"
    assert base64.b64decode(basic.removeprefix("Basic ")).decode() == "anna:pä:ss"
    assert "t0ken" not in repr(Credentials(token="t0ken"))
    assert credentials_in({VARIABLES["password"]: "x"}) == Credentials(password="x")


def test_a_certificate_that_the_environment_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, other = trustme.CA(), trustme.CA()
    for name, one in (("ca", authority), ("other", other)):
        one.cert_pem.write_to_path(str(tmp_path / name))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "other"))
    with receiving(context=context) as receiver:
        url = receiver.url
        sink_of(url, authority=str(tmp_path / "ca")).send("1", b"{}")
        with pytest.raises(UndeliveredError, match="certificate verify failed"):
            sink_of(url, authority=str(tmp_path / "other")).send("1", b"{}")
    with pytest.raises(VqiError, match="VQI_SINK_CA, VQI_SINK_CERT, VQI_SINK_KEY: expected files of certificates"):
        sink_of(url, authority=str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("host/path", "expected an address, such as https://host/path"),
        ("ftp://host/path", "unknown kind of sink 'ftp://'"),
        ("https://anna:secret@host/path", "expected no login in the address, .* VQI_SINK_USER and VQI_SINK_PASSWORD"),
        ("https:///path", "expected a host"),
        ("https://host:port/path", "Port could not be cast"),
        ("mqtt://host", "expected a topic without"),
        ("mqtt://host/a/%23", "expected a topic without"),
        ("mqtt://host/a#b", "expected a topic without"),
        (f"mqtt://host/{'a' * 65_536}", "expected a topic of at most 65,535 bytes"),
    ],
)
def test_what_is_no_address_of_a_sink(address: str, said: str) -> None:
    with pytest.raises(VqiError, match=said) as found:
        sink_at(address, Credentials())
    assert "secret" not in str(found.value)


def test_a_client_shows_its_own_certificate(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca"))
    authority.issue_cert("line4@example.com").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "own"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with receiving(context=context) as receiver:
        known = {"authority": str(tmp_path / "ca")}
        sink_of(receiver.url, **known, certificate=str(tmp_path / "own")).send("1", b"{}")
        with pytest.raises(UndeliveredError, match="no answer: "):
            sink_of(receiver.url, **known).send("1", b"{}")
    assert len(receiver.taken) == 1


def test_a_sink_whose_extra_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "vqi.sinks.mqtt", raising=False)
    monkeypatch.setitem(sys.modules, "paho", None)
    monkeypatch.setitem(sys.modules, "paho.mqtt", None)
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    with pytest.raises(VqiError, match=r"needs the package 'paho', which is not installed: pip install 'vqi\[mqtt\]'"):
        sink_at("mqtt://host/parts", Credentials())


def test_what_goes_without_encryption_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    sink_of("http://127.0.0.1/path", token="x")
    assert capsys.readouterr().err == ""
    sink_of("mqtt://host/topic", user="anna", password="x")
    assert "warning: what host is shown as password or token goes there without encryption" in capsys.readouterr().err
