"""One range of values for all images of a category that are deeper than 8 bits, and what is said of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.vqi.photographs.written import encoded, packed_12, png, pnm, tiff_of
from tests.vqi.preparation.test_images import MAX_PIXELS, write_shard
from vqi.artifacts.data_report import DataReport
from vqi.artifacts.images import Images, ValueRange, load_images
from vqi.preparation.images import prepare

SIDE = 32
PART = np.random.default_rng(0).integers(100, 3000, (SIDE, SIDE)).astype(np.uint16)


def prepared(folder: Path, files: dict[str, bytes], **changes: Any) -> tuple[DataReport, Images]:
    settings = {"image_size": str(SIDE), "max_bad_fraction": 0.0, "max_pixels": MAX_PIXELS, "threads": 2} | changes
    report = prepare(write_shard(folder / "shard.zip", files), folder / "images", "part", **settings)
    return report, load_images(folder / "images")


def train(*arrays: np.ndarray, **tags: Any) -> dict[str, bytes]:
    return {f"train/good/{number}.tif": tiff_of(array, **tags) for number, array in enumerate(arrays)}


def grey(values: np.ndarray, white: float) -> np.ndarray:
    return np.minimum(np.floor(values * (255 / white) + 0.5), 255).astype(np.uint8)


def test_a_camera_of_12_bits_is_not_black(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    files = train(PART, PART // 2) | {"test/good/0.tif": tiff_of(PART // 4), "test/cut/0.tif": tiff_of(PART + 5)}
    report, images = prepared(tmp_path, files)
    assert images.record.values == ValueRange(white=4095, source="data")
    for row, values in enumerate((PART, PART // 2, PART // 4, PART + 5)):  # one range for all, none by its own
        np.testing.assert_array_equal(images.images[row][:, :, 0], grey(values, 4095))
    (warning,) = report.image_warnings
    assert warning.startswith(
        f"2 training images deeper than 8 bits: 4095 is taken as white, because their largest value is {PART.max()} "
        "(train/good/0.tif)."
    )
    assert f"warning: part: {warning}" in capfd.readouterr().err


def test_8_bit_values_in_32_bits_are_the_same_as_in_8(tmp_path: Path) -> None:
    eight = (PART >> 4).astype(np.uint8)
    for kind in (np.uint32, np.int32, np.float32, np.uint16):
        _, images = prepared(tmp_path, train(eight.astype(kind)))
        assert images.record.values == ValueRange(white=255, source="data")
        np.testing.assert_array_equal(images.images[0][:, :, 0], eight)


def test_images_that_use_all_of_their_16_bits_give_no_warning(tmp_path: Path) -> None:
    report, images = prepared(tmp_path, train(PART * 20))
    assert images.record.values == ValueRange(white=65535, source="data")
    assert report.image_warnings == ()


def test_images_of_8_bits_have_no_range(tmp_path: Path) -> None:
    files = {"train/good/0.png": encoded(Image.fromarray((PART >> 4).astype(np.uint8)))}
    report, images = prepared(tmp_path, files)
    assert (images.record.values, report.image_warnings) == (None, ())
    report, images = prepared(tmp_path, files | {"test/good/0.tif": tiff_of(PART)}, max_bad_fraction=0.5)
    assert [one.path for one in report.unreadable] == ["test/good/0.tif"]
    assert "which value is white is not known" in report.unreadable[0].reason


@pytest.mark.parametrize(
    "data",
    [
        tiff_of(PART // 4, t281=4095),
        tiff_of((PART // 4).astype(np.float32), t341=4095.0),
        png((PART // 4)[:, :, None], significant=12),
        pnm(PART // 4, 4095),
        tiff_of(np.frombuffer(packed_12(PART // 4), np.uint8)[None], t256=SIDE, t257=SIDE, t278=SIDE, t258=12),
    ],
)  # fmt: skip
def test_what_the_files_say_comes_first(tmp_path: Path, data: bytes) -> None:
    report, images = prepared(tmp_path, {"train/good/0.tif": data})
    assert images.record.values == ValueRange(white=4095, source="metadata"), "by the data it would be 1023"
    assert report.image_warnings == ()
    np.testing.assert_array_equal(images.images[0][:, :, 0], grey(PART // 4, 4095))


def test_what_the_files_say_is_not_believed_where_values_are_above_it(tmp_path: Path) -> None:
    report, images = prepared(tmp_path, train(PART, t281=1023))
    assert images.record.values == ValueRange(white=4095, source="data")
    assert "though the files say that 1023 is white" in report.image_warnings[0]


def test_files_that_say_different_things_share_one_range(tmp_path: Path) -> None:
    files = {"train/good/0.pgm": pnm(PART // 4, 1023), "train/good/1.pgm": pnm(PART, 4095)}
    report, images = prepared(tmp_path, files)
    assert images.record.values == ValueRange(white=4095, source="metadata")
    np.testing.assert_array_equal(images.images[0][:, :, 0], grey(PART // 4, 4095))
    assert "different values are white (1023, 4095): 4095 is taken for all" in report.image_warnings[0]


def test_values_above_white_in_the_test_are_cut_and_said(tmp_path: Path) -> None:
    report, images = prepared(tmp_path, train(PART) | {"test/cut/0.tif": tiff_of(PART * 4)})
    np.testing.assert_array_equal(images.images[1][:, :, 0], grey(PART * 4, 4095))
    assert report.image_warnings[1].startswith("1 image with values above the white of the training images")
    assert report.notes[0].note == f"values up to {PART.max() * 4} are cut at 4095, the white of the training images"


def test_the_range_does_not_depend_on_threads_or_on_test_images(tmp_path: Path) -> None:
    files = train(PART, PART // 2, PART // 3)
    ranges = {
        prepared(tmp_path, more, threads=threads)[1].record.values
        for threads in (1, 4)
        for more in (files, files | {"test/good/0.tif": tiff_of(PART * 20)})
    }
    assert ranges == {ValueRange(white=4095, source="data")}


def test_an_unreadable_training_image_does_not_decide(tmp_path: Path) -> None:
    broken = tiff_of(PART.astype(np.float32) * np.float32(np.nan))
    report, images = prepared(tmp_path, train(PART) | {"train/good/x.tif": broken}, max_bad_fraction=0.5)
    assert images.record.values == ValueRange(white=4095, source="data")
    assert [one.reason.partition(":")[0] for one in report.unreadable] == ["values that are not numbers"]
