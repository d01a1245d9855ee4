"""Errors are one line that does nothing to a terminal, whatever they quote."""

import pytest

from vqi.errors import UnavailableError, VqiError, printable
from vqi.progress import message


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\udcff.png", "\\xff.png"),
        ("\ud800", "\\ud800"),
        ("a\u202eb\u2028c\x9b\u200f", "a\\u202eb\\u2028c\\x9b\\u200f"),
        ("ü – 部品.png", "ü – 部品.png"),
    ],
)
def test_text_is_printable(text: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert printable(text) == shown
    assert str(VqiError(text)) == str(UnavailableError(text)) == shown
    message(text)
    assert capsys.readouterr().err == f"{shown}\n"
