"""Typed records: what is not known is refused, nothing changes, and an error is one short line."""

import math

import pytest
from pydantic import ValidationError

from vqi.errors import VqiError
from vqi.records import Record, describe, parse, parse_json, problems


class Part(Record):
    format: str = "part/1"
    name: str
    size: float


def test_frozen_finite_and_strict_about_keys() -> None:
    part = parse(Part, {"name": "a", "size": 1}, "f.json", "make it again")
    assert part == Part(name="a", size=1.0)
    with pytest.raises(ValidationError, match="frozen"):
        part.name = "b"  # type: ignore[misc]
    for size in (math.nan, math.inf):
        with pytest.raises(ValidationError, match="finite"):
            Part(name="a", size=size)
    with pytest.raises(VqiError, match=r"^f\.json: sise: Extra inputs are not permitted, got 2; make it again$"):
        parse(Part, {"name": "a", "size": 1, "sise": 2}, "f.json", "make it again")


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", '{"name": "' + "x" * 100_000, '{"size": 1}'])
def test_text_that_is_none_is_one_short_line(text: str) -> None:
    with pytest.raises(VqiError) as error:
        parse_json(Part, text, "f.json", "make it again")
    message = str(error.value)
    assert message.startswith("f.json: ")
    assert message.endswith("; make it again")
    assert len(message) < 300
    assert "\n" not in message


def test_another_format_is_all_that_is_said() -> None:
    class Kept(Record):
        name: str
        format: int

    with pytest.raises(VqiError, match=r"^f: format: Input should be a valid integer.*; again$"):
        parse(Kept, {"format": "x"}, "f", "again")


def test_names_as_the_user_gave_them() -> None:
    with pytest.raises(ValidationError) as error:
        Part(name=3, size="x")  # type: ignore[arg-type]
    assert problems(error.value, {"name": "title"})[0].startswith("title: Input should be a valid string, got 3")
    assert describe(error.value).count("; ") == 1
