"""Appearance and data page: figures by hand, light that reveals the classes, pictures of the problems."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vqi.artifacts.images import IndexRow, load_images
from vqi.config import DatasetDownload
from vqi.datasets.download import download
from vqi.datasets.shards import open_shard
from vqi.pages.data_page import Pictures, render
from vqi.preparation.appearance import (
    LEAST,
    Look,
    distributions,
    empty_looks,
    lighting_warnings,
    look_of,
    separation,
)
from vqi.preparation.data_report import too_few
from vqi.preparation.images import prepare
from vqi.store.opening import open_store


def test_figures_by_hand() -> None:
    flat = np.full((32, 32, 3), 100, np.uint8)
    assert look_of(flat) == Look(100, 0, 0, 100)
    framed = flat.copy()
    framed[2:-2, 2:-2] = 200
    assert look_of(framed).background == 100
    striped = flat.copy()
    striped[:, ::2] = 200
    assert look_of(striped) == Look(150, 50, 100, 150)


def rows(good: list[float], bad: list[float]) -> tuple[list[IndexRow], list[Look]]:
    index = [IndexRow(f"test/good/{i}.png", "test", 0, "good", None, "", 0, 0) for i in range(len(good))]
    index += [IndexRow(f"test/x/{i}.png", "test", 1, "x", None, "", 0, 0) for i in range(len(bad))]
    return index, [Look(value, 0, 0, 100) for value in good + bad]


def test_light_that_tells_the_classes_apart_either_way() -> None:
    for good, bad in (([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]), ([6, 7, 8, 9, 10], [1, 2, 3, 4, 5])):
        areas = separation(*rows(good, bad))
        assert areas == {"brightness": 1, "contrast": 0.5, "sharpness": 0.5, "background": 0.5}
        (warning,) = lighting_warnings(areas)
        assert warning.startswith("The brightness of an image alone tells good test images from defective ones")
    assert lighting_warnings(separation(*rows([1, 2, 3, 4, 5], [1, 2, 3, 4, 5]))) == []


def test_too_few_images_to_tell() -> None:
    assert separation(*rows([1.0] * LEAST, [2.0] * (LEAST - 1))) == {}


def test_distributions() -> None:
    found = distributions(*rows([1, 2, 3, 4, 5], [7]))["brightness"]
    assert found["test good"] == {"least": 1, "lower quartile": 2, "median": 3, "upper quartile": 4, "most": 5}
    assert found["test defective"]["median"] == 7
    assert "train good" not in found


def test_too_few_for_the_false_alarm_rate_that_is_asked_for() -> None:
    assert too_few(19, 19, 0.05) == too_few(9, 9, 0.1) == []
    assert too_few(99, 99, 0.01) == []
    assert too_few(98, 98, 0.01) != []
    (said,) = too_few(9, 9, 0.05)
    assert said == "9 good training images allow a false-alarm rate of 10.0 % at best; the requested 5 % needs 19."
    (said,) = too_few(90, 9, 0.05)
    assert said == (
        "90 good training images come in 9 groups that belong together and allow a false-alarm rate of 10.0 % at best; "
        "the requested 5 % needs 19 groups, such as photographs of that many parts."
    )


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """Parts with a leak, a repeated photograph, a bright defective class and a file that is not an image."""
    random = np.random.default_rng(0)

    def part() -> np.ndarray:
        return np.kron(random.integers(60, 140, (8, 8)), np.ones((8, 8)))

    def write(path: str, grey: np.ndarray) -> None:
        target = tmp_path / "parts" / "nut" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(target)

    train = [part() for _ in range(24)]
    for number, grey in enumerate(train):
        write(f"train/good/{number:02}.png", grey)
    for number in range(6):
        write(f"test/good/{number}.png", part())
        write(f"test/bright/{number}.png", part() + 100)
    write("test/good/again.png", train[3] * 1.1 + random.normal(0, 3, (64, 64)))
    write("test/good/same.png", train[5])
    mark = np.zeros((64, 64))
    mark[8:16, 8:16] = 255
    for number in range(4):
        write(f"ground_truth/bright/{number}_mask.png", mark)
    write("ground_truth/bright/4_mask.png", mark[:32])
    write("ground_truth/bright/gone_mask.png", mark)
    (tmp_path / "parts/nut/train/good/<b>.png").write_bytes(b"no image")
    return tmp_path / "parts"


def test_the_page_counts_images_for_calibration(planted: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    for number in range(6):
        path = planted / f"nut/calibration/good/day {number // 2}/{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (64, 64), dtype=np.uint8)).save(path)
    uri = download(DatasetDownload(source=f"folder:{planted}"), open_store(str(tmp_path / "store"))).uri
    shard = open_shard(uri, "nut", tmp_path)
    report = prepare(shard, tmp_path / "images", "nut", image_size="64", max_bad_fraction=0.1, max_pixels=10_000)
    page = render(report, Pictures(load_images(tmp_path / "images"), shard.path, 10_000))
    said = "set the threshold and do not train; in 3 groups that no training image belongs to they allow a false-alarm"
    assert f"{said} rate of 25 % at best; 5 % is requested" in page
    assert "Good images for calibration" in page
    assert "calibration good</text>" in page


def test_report_and_page(planted: Path, tmp_path: Path) -> None:
    (planted / "nut" / "train" / "good" / "x.dng").touch()
    uri = download(DatasetDownload(source=f"folder:{planted}"), open_store(str(tmp_path / "store"))).uri
    shard = open_shard(uri, "nut", tmp_path)
    report = prepare(shard, tmp_path / "images", "nut", image_size="64", max_bad_fraction=0.1, max_pixels=10_000)
    assert report.duplicates_across_splits == (("train/good/05.png", "test/good/same.png"),)
    assert report.near_duplicates_across_splits == (("train/good/03.png", "test/good/again.png"),)
    assert report.near_duplicates_within_splits == ()
    assert report.separation["brightness"] == 1
    assert report.smallest_false_alarm_rate == 0.04
    assert any("brightness" in one for one in report.warnings)
    assert any(one.startswith("1 file in both train and test, and 1 pair across train") for one in report.warnings)
    assert {one.path: one.problem.partition(":")[0] for one in report.mask_problems} == {
        "ground_truth/bright/4_mask.png": "64 x 32 pixels, its image 64 x 64",
        "ground_truth/bright/gone_mask.png": "a mask without its image",
        "test/bright/5.png": "a defective image without a mask, where others have one",
    }
    page = render(report, Pictures(load_images(tmp_path / "images"), shard.path, 10_000))
    light, duplicates, masks = 2 * 4, 2 * 2, 2 + 1 + 1
    assert len(re.findall('src="data:image/jpeg;base64,', page)) == light + duplicates + masks
    assert page.count("no picture") == 1, "that of the file that is not an image"
    assert page.count("<svg") == 4
    for text in (
        "The same part in two splits",
        "train/good/03.png",
        "test/good/again.png",
        "alone tells good",
        "The brightness alone tells the test classes apart",
        "gone_mask.png",
        "<h2>Left out</h2>",
        "1 photograph of a kind that is not read (.dng 1), for example nut/train/good/x.dng",
        "allow a false-alarm rate of 4 % at best; 5 % is requested",
    ):
        assert text in page
    assert "&lt;b&gt;.png" in page
    assert "<b>.png" not in page
    assert "<script" not in page


def looked(grey: np.ndarray, label: int = 0) -> tuple[IndexRow, Look]:
    pixels = np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[:, :, None], 3, 2)
    return IndexRow("test/x/1.png", "test", label, "x" if label else "good", None, "", 0, 0), look_of(pixels)


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0, 15, "nearly black"),  # 12 bits read as 16
        (245, 255, "nearly white"),
        (120, 123, "flat"),
        (90, 160, ""),
        (10, 60, ""),  # dark, and a part can be seen
    ],
)
def test_good_images_in_which_nothing_can_be_seen(low: int, high: int, said: str) -> None:
    noise = np.random.default_rng(0).integers(low, high, (64, 64))
    rows = [looked(noise), looked(noise), looked(np.random.default_rng(1).integers(50, 200, (64, 64)))]
    warnings = empty_looks(*zip(*rows, strict=True))
    assert len(warnings) == bool(said)
    if said:
        assert warnings[0].startswith(f"2 of 3 good images are {said}")
        assert "test/x/1.png, test/x/1.png" in warnings[0]


def test_a_dark_field_photograph_is_not_black_and_a_missing_part_is_a_defect() -> None:
    dark_field = np.full((64, 64), 3)
    dark_field[20:34, 20:34] = 150  # the light that a part scatters
    assert not empty_looks(*zip(looked(dark_field), looked(np.zeros((64, 64)), label=1), strict=True))
