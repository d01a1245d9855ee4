"""vqi.preparation.masks: each mask has one image; what looks wrong is said, with what to do."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from vqi.datasets.layout import place_of
from vqi.photographs.decoding import Decoded
from vqi.preparation import masks

IMAGE = Decoded(np.zeros((32, 32, 3), np.uint8), 64, 48, "RGB", "")


def defect(rows: slice, columns: slice) -> npt.NDArray[np.uint8]:
    mask = np.zeros((48, 64), np.uint8)
    mask[rows, columns] = 255
    return mask


SPOT = defect(slice(5, 20), slice(10, 30))


def problem(mask: npt.NDArray[np.uint8], *, is_defect: bool = True) -> str:
    """What is said of a mask; '' for nothing."""
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "PNG")
    return "; ".join(masks.load("m.png", buffer.getvalue(), IMAGE, 10_000, is_defect=is_defect)[1])


def test_masks_of_images_in_sub_folders() -> None:
    names = ["test/good/a/1.png", "test/good/b/1.png", "ground_truth/good/b/1_mask.png", "ground_truth/good/1_mask.png"]
    found = masks.by_image({name: place for name in names if (place := place_of(name)) is not None})
    assert found == {"test/good/b/1.png": "ground_truth/good/b/1_mask.png"}


def test_masks_that_look_right() -> None:
    assert problem(SPOT) == ""
    assert problem(defect(slice(0, 20), slice(0, 64))) == "", "a defect may reach the edge"
    assert problem(SPOT * 0, is_defect=False) == "", "the black mask of a good image"


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (255 - SPOT, "it is inverted; a defect is white, all else black"),
        (np.maximum(SPOT, 1), "marks the whole image: only black pixels are no defect"),
        (defect(slice(2, 46), slice(2, 62)), "of the image: is it the defect, or the part"),
        (SPOT * 0, "marks nothing"),
        (SPOT[:24, :32], "32 x 24 pixels, its image 64 x 48: the mask is not used; save it in the size of its image"),
        (SPOT.T.copy(), "48 x 64 pixels, its image 64 x 48, turned by 90 degrees: the mask is not used"),
    ],
)
def test_masks_that_need_a_look(mask: npt.NDArray[np.uint8], said: str) -> None:
    assert said in problem(mask)


def test_a_good_image_has_no_defect_to_mark() -> None:
    assert "of a good image: leave out the mask, or move the image" in problem(SPOT, is_defect=False)


def found(*names: str) -> tuple[dict[str, str], dict[str, str]]:
    """The masks by image, and the problems by file, of a shard of these names."""
    places = {name: place for name in names if (place := place_of(name)) is not None}
    owned = masks.by_image(places)
    used = {name: owned.get(name) for name, place in places.items() if place.split != "ground_truth"}
    return owned, {one.path: one.problem for one in masks.problems(names, used)}


def test_a_mask_that_two_images_could_have_is_used_for_none() -> None:
    names = ("test/cut/a.png", "test/cut/a.jpg", "test/cut/b.png", "test/dent/a.png")
    owned, said = found(*names, *(f"ground_truth/{name}_mask.png" for name in ("cut/a", "cut/b", "dent/a")))
    assert owned == {"test/cut/b.png": "ground_truth/cut/b_mask.png", "test/dent/a.png": "ground_truth/dent/a_mask.png"}
    assert said["ground_truth/cut/a_mask.png"].startswith("could belong to test/cut/a.jpg or test/cut/a.png: not used")


def test_two_masks_of_one_image_are_used_for_none() -> None:
    owned, said = found("test/cut/a.png", "ground_truth/cut/a_mask.png", "ground_truth/cut/a_mask.bmp")
    assert owned == {}
    assert "keep one of ground_truth/cut/a_mask.bmp, ground_truth/cut/a_mask.png" in said["ground_truth/cut/a_mask.png"]


def test_a_name_that_matches_nothing_says_what_to_do() -> None:
    names = ("ground_truth/cut/a.png", "ground_truth/dent/b_mask.png", "ground_truth/cut/c_mask.png")
    _, said = found("test/cut/a.png", "test/cut/b.png", *names)
    assert "rename it to a_mask.png" in said[names[0]]
    assert "that is in test/cut; move the mask to ground_truth/cut" in said[names[1]]
    assert "expected test/<defect type>/<name> for <name>_mask" in said[names[2]]
    owned, left = found(
        "test/cut/a.png", "test/cut/b.png", "ground_truth/cut/a_mask.png", "ground_truth/cut/b_mask.png"
    )
    assert len(owned) == 2, "as advised"
    assert not left
