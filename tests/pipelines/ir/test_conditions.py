"""Conditions as dsl.If writes them: read, typed, decided; anything else is refused."""

from typing import Any

import pytest

from vqi.errors import VqiError
from vqi_pipelines.ir.conditions import holds, read_condition, typed_condition
from vqi_pipelines.ir.graph import Parameter

KINDS = {"s": "STRING", "n": "NUMBER_INTEGER", "x": "NUMBER_DOUBLE", "b": "BOOLEAN", "l": "LIST"}
INPUTS = {name: Parameter(name, kind) for name, kind in KINDS.items()}
S, N, X, B, L = (f"inputs.parameter_values['{name}']" for name in KINDS)


def decided(text: str, **values: Any) -> bool:
    return holds(typed_condition(read_condition(text, "here"), INPUTS, "here"), values)


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        (f"{S} == 'heads'", {"s": "heads"}, True),
        (f"{S} != ''", {"s": ""}, False),
        (f"{S} == 'a && b == 1'", {"s": "a && b == 1"}, True),
        (f"!({S} == 'heads')", {"s": "tails"}, True),
        (f"{S} < 'b'", {"s": "a"}, True),
        (f"int({N}) > 3", {"n": 4}, True),
        (f"int({N}) >= -3", {"n": -3}, True),
        (f"{X} <= 0.5", {"x": 0.5}, True),
        (f"{X} > double(int({N}))", {"x": 2.5, "n": 2}, True),
        (f"{X} == double(2)", {"x": 2.0}, True),
        (f"{B} == true", {"b": True}, True),
        (f"{B} == false", {"b": True}, False),
        (f"!({S} == 'a') && int({N}) > 3 && !({B} == true)", {"s": "b", "n": 4, "b": False}, True),
        (f"!({S} == 'a') && int({N}) > 3", {"s": "b", "n": 3}, False),
        (f"{S} == '1'", {"s": 1}, True),  # an item of a list: a step would receive the text, too
    ],
)
def test_decided(text: str, values: dict[str, Any], expected: bool) -> None:
    assert decided(text, **values) is expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected comparisons as dsl.If writes them"),
        ("x", "expected comparisons as dsl.If writes them"),
        (f"{S} == 'it's'", "expected comparisons"),
        (f"{S} == 'a\\n'", "expected comparisons"),
        (f"{S} == 'a' || {S} == 'b'", "expected comparisons"),
        (f"{S} == 'a' && ", "expected comparisons"),
        (f"!({S} == 'a'", "expected comparisons"),
        (f"{S} == 'a')", "expected comparisons"),
        ("inputs.parameter_values['nope'] == 'a'", "names the input 'nope'"),
        (f"{S} == 1", "two values of one type"),
        (f"int({S}) == 1", "two values of one type"),
        (f"int({S}) == int({S})", "two values of one type"),
        (f"{L} == {L}", "texts, numbers or booleans to compare, got a list"),
        (f"{B} > false", "compared by == and !="),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(VqiError, match=message):
        typed_condition(read_condition(text, "here"), INPUTS, "here")


def test_a_value_that_is_missing_or_of_another_type_is_said() -> None:
    with pytest.raises(VqiError, match="needs the parameter 's', which is not given"):
        decided(f"{S} == 'a'")
    with pytest.raises(VqiError, match="parameter 'n': expected a number, got 'many'"):
        decided(f"int({N}) == 1", n="many")
