"""JSON text that has one meaning, and what has none."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqi import strict_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)  # fmt: skip


@given(VALUES)
def test_what_json_writes_is_read(value: object) -> None:
    assert strict_json.loads(json.dumps(value)) == value
    assert strict_json.loads(json.dumps(value, ensure_ascii=False).encode()) == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1, "b": {"c": 1, "c": 1}}', "the key 'c' stands twice"),
        ("[NaN]", "NaN is not JSON"),
        ('{"a": -Infinity}', "-Infinity is not JSON"),
        ("1e999", "the number 1e999 is too large"),
        (str(2**63), f"the number {2**63} is too large"),
        ("9" * 5000, "is too large"),
        ('"\\ud800"', "surrogates not allowed"),
        ('{"\\ud800": 1}', "surrogates not allowed"),
        ("[" * 65 + "]" * 65, "more than 64 deep"),
        ("[" * 100_000, "more than 64 deep"),
        ('{"a":' * 100_000, "more than 64 deep"),
        (b'"\xff"', "can't decode byte 0xff"),
        (b"\xef\xbb\xbf{}", "BOM"),
        ("", "Expecting value"),
        ("{} {}", "Extra data"),
    ],
)
def test_what_is_refused(text: str | bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said) as error:
        strict_json.loads(text)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 200


def test_the_deepest_and_the_longest_that_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert strict_json.loads("[" * 64 + "]" * 64) is not None
    monkeypatch.setattr(strict_json, "MOST_BYTES", 10)
    assert strict_json.loads("1234567890") == 1234567890
    with pytest.raises(ValueError, match="11 bytes of JSON, at most 10"):
        strict_json.loads("12345678901")
