"""JSON as the standard has it."""

import pytest

from vqi.strict_json import DEEPEST, from_json


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("NaN", "NaN is no number"),
        ('{"a": [-Infinity]}', "-Infinity is no number"),
        ("[1e999]", "1e999 is no number"),
        ('{"a": 1, "a": 2}', "the key 'a' is there twice"),
        ("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), f"more than {DEEPEST} levels"),
        ("[" * 100_000, "more than|Expecting"),
        ("{", "Expecting"),
    ],
)
def test_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        from_json(text)


def test_everything_else_is_as_in_json() -> None:
    assert from_json('{"a": [1, 2.5e3, "x", null, true]}') == {"a": [1, 2500.0, "x", None, True]}
