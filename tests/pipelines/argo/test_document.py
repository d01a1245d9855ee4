"""The YAML means the same to PyYAML and to Go's reader, which reads more unquoted words as something other than text."""

import pytest
import yaml

from vqi_pipelines.argo.document import dump

READ_OTHERWISE = [
    "n",
    "Y",
    "yes",
    "Off",
    "null",
    "~",
    "1e3",
    "0o17",
    "0x1f",
    "1_000",
    "-5",
    "+1",
    ".5",
    "12:30",
    "1",
    "",
]


@pytest.mark.parametrize("text", READ_OTHERWISE)
def test_a_text_stays_a_text(text: str) -> None:
    written = dump({"value": text}).removeprefix("value: ").strip()
    assert written == f"'{text}'"
    assert yaml.load(written, yaml.CSafeLoader) == text


@pytest.mark.parametrize(
    "text", ["plain", "a: b", "größer", "two\nlines", "a block\nof lines\n", "'quoted'", "{{x}}", "tab\t", " "]
)
def test_any_text_comes_back(text: str) -> None:
    assert yaml.load(dump({"value": text}), yaml.CSafeLoader) == {"value": text}


def test_no_aliases_and_lists_further_in() -> None:
    shared = {"a": 1}
    assert dump({"list": [shared, shared]}) == "list:\n  - a: 1\n  - a: 1\n"
