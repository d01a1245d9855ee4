"""Texts without the secrets of the addresses in them."""

import time

import pytest

from vqi.redaction import redacted, redacted_value, secrets_in, shown_line

DIGEST = f"#sha256={'0' * 64}"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("https://me:pass@host/a.zip", "https://***@host/a.zip"),
        ("archive:https://host/a.zip?X-Amz-Signature=f00", "archive:https://host/a.zip?***"),
        ("https://token@host:80/a?b#c", "https://***@host:80/a?***"),
        ("s3://key:secret@bucket/k?x", "s3://***@bucket/k?x"),
        (f"https://host/w?sig=1{DIGEST}", f"https://host/w?***{DIGEST}"),
        (f"s3://b/w.pth{DIGEST}", f"s3://b/w.pth{DIGEST}"),
        ("https://me:pa/ss@host/a", "https://***@host/a"),
        ("see https://a:b@c/d, and http://e?f", "see https://***@c/d, and http://e?***"),
        ("cut-https://me:pass@host", "cut-https://***@host"),
        ("https://host:8443/a@b", "https://host:8443/a@b"),
        ("file:///data/a?b@c", "file:///data/a?b@c"),
        ('["https://u:pw@h/a", 1]', '["https://***@h/a", 1]'),
        ("no address: /a/b?c@d", "no address: /a/b?c@d"),
    ],
)
def test_what_is_shown(given: str, shown: str) -> None:
    assert redacted(given) == shown
    assert redacted_value({"a": [given]}) == {"a": [shown]}
    assert redacted_value(shown) == shown


def test_a_value_is_one_address_whatever_letters_are_in_it() -> None:
    assert redacted_value("csv:https://me:pa ss<'@host/x") == "csv:https://***@host/x"


def test_the_texts_that_no_log_may_show() -> None:
    found = secrets_in({"url": ["https://me:pass%21word@host/a?raw=1&sig=longsignature"]})
    assert found == {
        "me:pass%21word",
        "pass%21word",
        "me:pass!word",
        "pass!word",
        "raw=1&sig=longsignature",
        "longsignature",
    }
    assert secrets_in("https://host/a") == set()


def test_one_line_for_a_terminal() -> None:
    assert shown_line("a\nb\x1b[2Jc\u202ed https://u:p@h") == "a b\\x1b[2Jc\\u202ed https://***@h"


@pytest.mark.parametrize("text", ["x" * 300_000, "x" * 300_000 + "://a", "a b" * 100_000 + "://", "@:/" * 100_000])
def test_a_long_text_is_read_once(text: str) -> None:
    began = time.process_time()
    for work in (redacted, redacted_value, secrets_in):
        work(text)
    assert time.process_time() - began < 10, "quadratic: it would take minutes"
