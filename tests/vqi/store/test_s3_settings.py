"""vqi.store.s3_settings: what the environment says about the server, and how it is refused."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest
import trustme

from vqi.errors import VqiError
from vqi.store.opening import open_store
from vqi.store.s3_settings import DEFAULT_REGION, check_bucket, check_secret, read_server

GOOD = "http://storage.example.com:9000"


@pytest.mark.parametrize(
    "endpoint",
    [
        GOOD,
        "https://s3.example.com",
        "http://127.0.0.1:8333",
        "http://[::1]:8333",
        "http://object_store:8333",
        "HTTPS://h",
    ],
)
def test_addresses(endpoint: str) -> None:
    assert read_server({"VQI_S3_ENDPOINT": endpoint}).endpoint == endpoint
    assert read_server({"VQI_S3_ENDPOINT": f"{endpoint}/"}).endpoint == endpoint


@pytest.mark.parametrize(
    "endpoint",
    [
        " http://h:1", "http://h:1 ", "http://h:1\n", "http://h :1", "\thttp://h", "http://h:99999", "http://h:0",
        "http://h:-1", "http://h:abc", "http://h:", "http://h:1:2", "h:9000", "127.0.0.1:9000", "ftp://h",
        "s3://bucket", "http://", "http:h", "http:///h", "http://h/path", "http://h?x=1", "http://h#x", "http://h?",
        "http://[::1", "http://[::1]x", "http://h\0", "http://hôte:1", "http://h,http://i", "'http://h'",
        '"http://h"', "http://$HOST", "http://h\\i", "//h:1", "http://%68",
    ],
)  # fmt: skip
def test_addresses_that_cannot_be_one_are_refused_by_the_variable(endpoint: str) -> None:
    with pytest.raises(VqiError, match=r"^VQI_S3_ENDPOINT is .*: expected http\(s\)://host:port$") as caught:
        read_server({"VQI_S3_ENDPOINT": endpoint})
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "endpoint",
    ["http://user:pass-word@h:1", "http://pass-word@h", "http://u:pass-word@w@h", "http://u:pass-word/x@h:1"],
)
def test_a_login_in_an_address_is_refused_and_not_shown(endpoint: str) -> None:
    with pytest.raises(VqiError, match="without a login") as caught:
        read_server({"VQI_S3_ENDPOINT": endpoint})
    assert "pass-word" not in str(caught.value)


def test_the_region_is_the_first_that_is_set() -> None:
    def region(**variables: str) -> str:
        return read_server({"VQI_S3_ENDPOINT": GOOD, **variables}, "eu-west-3").region

    assert region(AWS_REGION="eu-west-1", AWS_DEFAULT_REGION="eu-west-2") == "eu-west-1"
    assert region(AWS_REGION="", AWS_DEFAULT_REGION="eu-west-2") == "eu-west-2"
    assert region() == "eu-west-3"
    assert read_server({"VQI_S3_ENDPOINT": GOOD}).region == DEFAULT_REGION


@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_DEFAULT_REGION"])
@pytest.mark.parametrize("region", [" ", " us-east-1", "us-east-1\n", "us east", "-x", "us/east", "é", "x" * 64])
def test_regions_that_cannot_be_one(name: str, region: str) -> None:
    with pytest.raises(VqiError, match=f"^{name} is .*: expected a region such as us-east-1, without blanks$"):
        read_server({"VQI_S3_ENDPOINT": GOOD, name: region})


def test_the_certificates_of_ones_own(tmp_path: Path) -> None:
    pem, other = tmp_path / "own.pem", tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(pem))
    other.write_text("no certificate")
    told = {"VQI_S3_ENDPOINT": GOOD, "AWS_CA_BUNDLE": str(pem), "SSL_CERT_FILE": str(other)}
    assert read_server(told).authorities == pem
    with pytest.raises(VqiError, match=r"SSL_CERT_FILE is .*other.pem', which has no certificates"):
        read_server({**told, "AWS_CA_BUNDLE": ""})
    with pytest.raises(VqiError, match=r"AWS_CA_BUNDLE is .*, which is not a file"):
        read_server({**told, "AWS_CA_BUNDLE": str(tmp_path)})


def test_certificates_that_are_replaced_are_read_again_and_others_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem, real, read = tmp_path / "own.pem", ssl.create_default_context, []

    def counted(cafile: Path) -> ssl.SSLContext:
        read.append(cafile)
        return real(cafile=cafile)

    monkeypatch.setattr(ssl, "create_default_context", counted)
    trustme.CA().cert_pem.write_to_path(str(pem))
    told = {"VQI_S3_ENDPOINT": GOOD, "AWS_CA_BUNDLE": str(pem)}
    for _ in range(3):
        assert read_server(told).authorities == pem
    assert read == [pem]
    pem.write_text("no certificate")
    os.utime(pem, ns=(1, 1))  # whatever the clock of the file system shows
    with pytest.raises(VqiError, match="which has no certificates"):
        read_server(told)


@pytest.mark.parametrize("value", ["secret\n", " secret", "sec ret", "secret\0", "sécret", "\tsecret"])
def test_a_key_with_a_blank_is_refused_and_not_shown(value: str) -> None:
    with pytest.raises(VqiError, match=r"^AWS_SECRET_ACCESS_KEY has a blank") as caught:
        check_secret("AWS_SECRET_ACCESS_KEY", value)
    assert "cret" not in str(caught.value).removeprefix("AWS_SECRET")


@pytest.mark.parametrize("bucket", ["ab", "-ab", "a b", "a..b", "127.0.0.1", "a\\b", "x" * 64, "bücket", "a\n"])
def test_buckets_that_cannot_be_one(bucket: str) -> None:
    with pytest.raises(VqiError, match="names no bucket"):
        check_bucket(bucket)


def test_nothing_is_sent_to_find_out(monkeypatch: pytest.MonkeyPatch, s3_environment: object) -> None:
    monkeypatch.setenv("VQI_S3_ENDPOINT", "http://storage.invalid")
    open_store("s3://bucket/prefix").check()
    monkeypatch.setenv("VQI_S3_ENDPOINT", "http://storage.invalid:x")
    with pytest.raises(VqiError, match="VQI_S3_ENDPOINT"):
        open_store("s3://bucket/prefix")
