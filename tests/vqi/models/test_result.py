"""Places of a map as boxes on the photograph, and the picture that shows them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vqi.errors import VqiError
from vqi.models.pictures import picture, write_picture
from vqi.models.result import Box, Result, boxes_of

GREY = 120


def made(anomaly_map: np.ndarray, **changes: object) -> Result:
    """Of a grey photograph, 200 wide and 100 high, by a model whose map limit is 1."""
    grid = np.asarray(anomaly_map, np.float32)
    boxes = boxes_of(grid, 1.0, 200, 100)
    result = Result(
        2.0,
        1.0,
        bool(boxes),
        0.01,
        grid,
        boxes,
        1,
        0.1,
        "p/x.png",
        200,
        100,
        1.0,
        np.full((100, 200, 3), GREY, np.uint8),
    )
    return replace(result, **changes)  # type: ignore[arg-type]


def test_boxes_are_in_pixels_of_the_photograph_the_highest_place_first() -> None:
    grid = np.zeros((8, 8), np.float32)
    grid[1, 1] = 2  # a cell is 25 pixels wide and 12.5 high
    grid[6, 4:6] = 9
    first, second = boxes_of(grid, 1.0, 200, 100)
    for box, (left, top, right, bottom) in ((first, (100, 75, 150, 87.5)), (second, (25, 12.5, 50, 25))):
        middle = (box.x + box.width / 2, box.y + box.height / 2)
        assert middle == pytest.approx(((left + right) / 2, (top + bottom) / 2), abs=3.2)
        assert box.x < right
        assert box.x + box.width > left
    assert first.width > second.width


def test_one_box_for_places_that_touch_and_none_up_to_the_limit() -> None:
    assert boxes_of(np.full((4, 4), 2, np.float32), 1.0, 200, 100) == (Box(0, 0, 200, 100),)
    assert boxes_of(np.ones((4, 4), np.float32), 1.0, 200, 100) == ()
    diagonal = np.kron(np.eye(2), np.ones((32, 32))).astype(np.float32) * 2
    assert boxes_of(diagonal, 1.0, 64, 64) == (Box(0, 0, 64, 64),)


@pytest.mark.parametrize("side", [1, 2, 10, 60, 600])
def test_a_cell_that_is_barely_above_the_limit_has_a_box(side: int) -> None:
    grid = np.ones((side, side), np.float32)
    grid[side // 2, 0] = np.nextafter(np.float32(1), np.float32(2))
    (box,) = boxes_of(grid, 1.0, 1000, 1000)
    assert box.x == 0
    assert box.y <= 1000 * (side // 2 + 0.5) / side <= box.y + box.height


def test_boxes_of_a_photograph_smaller_than_its_map() -> None:
    grid = np.zeros((64, 64), np.float32)
    grid[0, 0] = grid[63, 63] = 2
    assert sorted(boxes_of(grid, 1.0, 5, 3)) == [Box(0, 0, 1, 1), Box(4, 2, 1, 1)]


def test_a_map_at_the_size_of_the_photograph() -> None:
    result = made(np.eye(4))
    assert result.map_at().shape == (100, 200)
    assert result.map_at(10, 20).shape == (20, 10)


def test_an_ordinary_good_part_stays_as_it_is_and_a_defect_glows() -> None:
    good = picture(made(np.full((4, 4), 0.5)))
    assert good.shape == (100, 200, 3)
    corner = good[:30, :160] != GREY
    assert corner.any(), "the verdict"
    assert (good[40:] == GREY).all(), "of a good part nothing else is drawn"
    grid = np.full((4, 4), 0.3)
    grid[3, 3] = 6
    bad = picture(made(grid))
    assert (bad[40:60, :60] == GREY).all()
    assert (np.abs(bad[90, 180].astype(int) - GREY) > 40).any()
    assert (bad == (0, 220, 255)).all(axis=2).any(), "the outline"


def test_a_picture_does_not_depend_on_the_rest_of_its_map() -> None:
    """The scale is that of the model, not that of the picture: half of the same place is drawn alike."""
    one, two = np.full((4, 4), 0.3), np.full((4, 4), 0.3)
    one[0, 3] = two[0, 3] = 2
    two[3, 0] = 50
    np.testing.assert_array_equal(picture(made(one))[30:50, 150:], picture(made(two))[30:50, 150:])


def test_the_verdict_is_where_no_place_is() -> None:
    grid = np.zeros((4, 4))
    grid[0, 0] = 3
    shown = picture(made(grid))
    black = (shown == 0).all(axis=2)
    assert black[:12, 190:].any(), "upper right"
    everywhere = picture(made(np.full((4, 4), 3.0)))
    assert (everywhere[1:4, 1:4] == 0).all(), "upper left"


def test_a_limit_of_zero_and_no_photograph() -> None:
    picture(made(np.zeros((2, 2)), map_limit=0.0))
    with pytest.raises(VqiError, match=r"p/x\.png: holds no photograph: score it with keep=True"):
        picture(made(np.zeros((2, 2)), photograph=None))


def test_pictures_of_equal_names_stay_apart(tmp_path: Path) -> None:
    result = made(np.zeros((2, 2)))
    names = [
        write_picture(tmp_path, number, one)
        for number, one in ((1, result), (2, result), (3, replace(result, name="")))
    ]
    assert names == ["000001-x.png", "000002-x.png", "000003.png"]
    with Image.open(tmp_path / names[0]) as image:
        assert image.size == (200, 100)
