"""The parameter image_size, and sizes in the shape of photographs."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqi.errors import VqiError
from vqi.records import Record, parse
from vqi.sizes import FEWEST, LONGEST, STEP, AnySize, Size, fitted, square, wanted_size

SIDES = st.integers(1, 20_000)


class Sized(Record):
    size: AnySize


@pytest.mark.parametrize(
    ("text", "size", "fits"),
    [
        ("320", (320, 320), False),
        ("208x512", (512, 208), False),
        ("fit", (320, 320), True),
        ("fit:416", (416, 416), True),
        ("32x2048", (2048, 32), False),
    ],
)
def test_what_is_said(text: str, size: tuple[int, int], fits: bool) -> None:
    assert wanted_size(text) == (Size(*size), fits)


@pytest.mark.parametrize(
    "text",
    ["", "31", "2049", "320x", "x320", "320 x 208", "320x31", "208x2049", "fit:", "fit:20", "fits", "-320", "3.2"],
)
def test_what_says_nothing(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected pixels per side from 32 to 2048, such as 320; width x height"):
        wanted_size(text)


@pytest.mark.parametrize(
    ("shapes", "size"),
    [
        ([(300, 300)], "320x320"),
        ([(3000, 4000)], "384x288"),
        ([(1260, 500), (1258, 500), (1250, 500)], "192x512"),
        ([(500, 1260)], "512x192"),
        ([(100, 100), (100, 100), (100, 900)], "320x320"),  # of most
        ([(10_000, 10)], "96x2048"),
    ],
)
def test_the_shape_of_photographs(shapes: list[tuple[int, int]], size: str) -> None:
    assert str(fitted(square(320), [Size(*shape) for shape in shapes])) == size


@given(st.integers(32, 2048), st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=5))
def test_fitted_sides_are_of_use_for_deep_layers(side: int, shapes: list[tuple[int, int]]) -> None:
    size = fitted(square(side), [Size(*shape) for shape in shapes])
    assert all(min(side, FEWEST) <= one <= LONGEST for one in size)
    assert all(one % STEP == 0 or one == min(side, FEWEST) for one in size)


@pytest.mark.parametrize(("value", "size"), [(64, (64, 64)), ([64, 32], (64, 32))])
def test_in_a_record(value: Any, size: tuple[int, int]) -> None:
    record = parse(Sized, {"size": value}, "x", "again")
    assert record.size == Size(*size)
    assert json.loads(record.model_dump_json()) == {"size": value}
    assert Sized.model_validate_json(record.model_dump_json()) == record


@pytest.mark.parametrize("value", [0, -1, 2049, True, "64", 6.4, [64], [64, 0], [64, 2049], [64, 64, 3], None])
def test_what_no_record_has(value: Any) -> None:
    with pytest.raises(VqiError, match="x: size"):
        parse(Sized, {"size": value}, "x", "again")
