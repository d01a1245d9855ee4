"""Parameter values: from a command line to a step and back."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqi.errors import VqiError
from vqi_pipelines.ir.graph import Dag, Parameter, Pipeline
from vqi_pipelines.ir.values import KINDS, from_ir, from_text, parse_output, to_text, typed
from vqi_pipelines.parameters import check_parameters

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
BY_KIND = {
    "NUMBER_INTEGER": st.integers(-(2**63) + 1, 2**63 - 1),
    "NUMBER_DOUBLE": st.floats(allow_nan=False, allow_infinity=False),
    "STRING": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    "BOOLEAN": st.booleans(),
    "LIST": st.lists(JSON, max_size=4),
    "STRUCT": st.dictionaries(st.text(), JSON, max_size=4),
}
FITTING = st.sampled_from(sorted(BY_KIND)).flatmap(lambda kind: st.tuples(st.just(kind), BY_KIND[kind]))


@given(FITTING)
def test_a_value_comes_back_from_a_step_and_a_command_line(pair: tuple[str, object]) -> None:
    kind, value = pair
    for back in (parse_output(to_text(value), kind, "x"), from_text(to_text(value), kind, "x")):
        assert back == value
        assert type(back) is type(value)


@given(st.integers(-(2**53) + 1, 2**53 - 1))
def test_whole_numbers_are_floats_in_the_ir(value: int) -> None:
    assert to_text(from_ir(float(value), "NUMBER_INTEGER", "x")) == str(value)
    inside = from_ir({"a": [float(value), {"b": float(value)}]}, "STRUCT", "x")
    assert to_text(inside) == f'{{"a": [{value}, {{"b": {value}}}]}}'


@pytest.mark.parametrize("value", [float(2**53), 2**53, -(2**53), 1e20, 10**400])
def test_a_whole_number_that_the_ir_cannot_hold_is_refused(value: float) -> None:
    for kind, whole in (("NUMBER_INTEGER", value), ("LIST", [value]), ("STRUCT", {"a": {"b": [value]}})):
        with pytest.raises(VqiError, match=r"^x[ab.\[\]0]*: expected a whole number below 2\^53, got "):
            from_ir(whole, kind, "x")


def test_other_values_of_the_ir_stay_as_they_are() -> None:
    value = {"a": [0.5, True, None, "2.0", -1.5]}
    assert to_text(from_ir(value, "STRUCT", "x")) == '{"a": [0.5, true, null, "2.0", -1.5]}'
    assert to_text(from_ir(1e20, "NUMBER_DOUBLE", "x")) == "1e+20"
    assert to_text(from_ir(3.0, "NUMBER_DOUBLE", "x")) == "3.0"


@given(st.sampled_from(sorted(KINDS)), st.text() | JSON.map(json.dumps))
def test_any_text_is_a_value_or_a_known_error(kind: str, text: str) -> None:
    try:
        value = from_text(text, kind, "parameter 'x'")
    except VqiError as error:
        assert "parameter 'x': expected" in str(error)  # noqa: PT017
    else:
        assert typed(value, kind, "x") == value
        json.dumps(value, allow_nan=False)


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        (".5", "NUMBER_DOUBLE", 0.5),
        ("1e-3", "NUMBER_DOUBLE", 0.001),
        ("5.0", "NUMBER_INTEGER", 5),
        ("True", "BOOLEAN", True),
        ("mono", "LIST", ["mono"]),
        ("mono, poly", "LIST", ["mono", "poly"]),
        ('["a,b"]', "LIST", ["a,b"]),
        ("", "LIST", []),
        ('{"a": 1}', "STRUCT", {"a": 1}),
        ("007", "STRING", "007"),
    ],
)
def test_from_text(text: str, kind: str, expected: object) -> None:
    assert from_text(text, kind, "x") == expected


@pytest.mark.parametrize(
    ("value", "kind"),
    [(True, "NUMBER_INTEGER"), (1, "BOOLEAN"), (2.5, "NUMBER_INTEGER"), (math.nan, "NUMBER_DOUBLE"), ("1", "NUMBER_DOUBLE"),
     (math.inf, "NUMBER_DOUBLE"), (math.inf, "NUMBER_INTEGER"), (10**400, "NUMBER_DOUBLE"), ([], "STRUCT"), (None, "STRING")],
)  # fmt: skip
def test_other_types_are_refused(value: object, kind: str) -> None:
    with pytest.raises(VqiError, match="x: expected"):
        typed(value, kind, "x")


def test_check_parameters() -> None:
    inputs = {
        "size": Parameter("size", "NUMBER_INTEGER", 224),
        "source": Parameter("source", "STRING"),
        "extra": Parameter("extra", "STRING", optional=True),
    }
    pipeline = Pipeline("p", "", inputs, Dag({}), {})
    assert check_parameters(pipeline, {"source": "elpv"}) == {"size": 224, "source": "elpv", "extra": None}
    assert check_parameters(pipeline, {"source": "x", "size": "96"})["size"] == 96
    for given_, message in (
        ({"source": "x", "sise": 1}, "unknown parameter 'sise': did you mean 'size'"),
        ({"source": "x", "size": "big"}, "parameter 'size': expected a whole number, got 'big'"),
        ({"source": "x", "size": 1.5}, "parameter 'size': expected a whole number, got 1.5"),
        ({}, "parameter 'source' has no default"),
    ):
        with pytest.raises(VqiError, match=message):
            check_parameters(pipeline, given_)
