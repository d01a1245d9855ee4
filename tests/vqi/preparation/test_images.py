"""Images and decoding: whatever the file is, correct pixels or a reason; the artifact and the data report."""

from __future__ import annotations

import hashlib
import io
import random
import tracemalloc
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Barrier, Lock
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.vqi.made import data_report
from vqi.artifacts.data_report import MaskProblem, Note
from vqi.artifacts.images import load_images
from vqi.artifacts.left_out import LeftOut, Unreadable
from vqi.datasets.layout import Shard
from vqi.errors import VqiError
from vqi.photographs.cost import cost
from vqi.photographs.decoding import decode_image, decode_mask, resize_mask
from vqi.preparation.images import Loaded, UnreadableImage, decode, load, prepare
from vqi.sizes import Size, square

MAX_PIXELS = 1_000_000
RAMP = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))  # (64, 64), dark left, bright right


def encode(image: Image.Image, format_: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def grey(value: int, size: int = 64) -> Image.Image:
    return Image.new("L", (size, size), value)


def write_shard(path: Path, files: Mapping[str, bytes]) -> Shard:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)  # of 1980, so that equal files make an equal shard
    return Shard(path, hashlib.sha256(path.read_bytes()).hexdigest())


def good_files(train: int = 3) -> dict[str, bytes]:
    return {f"train/good/{i}.png": encode(grey(100 + i)) for i in range(train)}


def run(tmp_path: Path, files: Mapping[str, bytes], **changes: Any) -> dict[str, Any]:
    settings = {"image_size": "32", "max_bad_fraction": 0.01, "max_pixels": MAX_PIXELS, "threads": 2} | changes
    return prepare(write_shard(tmp_path / "shard.zip", files), tmp_path / "images", "widget", **settings)


# ------------------------------------------------------------------------------------------------------- decode


def test_resize_is_bilinear_with_antialiasing() -> None:
    checker = np.indices((64, 64)).sum(0) % 2 * 255
    pixels = decode(encode(Image.fromarray(checker.astype(np.uint8))), "x", square(16), MAX_PIXELS)
    assert pixels.shape == (16, 16, 3)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - 127).max() <= 8, "without antialiasing it would be 0 or 255"


@pytest.mark.parametrize("format_", ["PNG", "BMP", "TIFF"])
@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_lossless_files_of_the_same_size_come_back_exactly(format_: str, mode: str) -> None:
    image = Image.fromarray(RAMP).convert("P" if mode == "P" else mode)
    expected = np.array(image.convert("RGB"))
    np.testing.assert_array_equal(decode(encode(image, format_), "x", square(64), MAX_PIXELS), expected)


def test_palette_with_colours_and_transparency() -> None:
    image = Image.new("P", (64, 64), 1)
    image.putpalette([255, 0, 0, 10, 200, 30])
    image.paste(0, (0, 0, 32, 64))
    pixels = decode(encode(image, transparency=0), "x", square(64), MAX_PIXELS)
    assert pixels[0, 0].tolist() == [255, 255, 255], "transparent: white"
    assert pixels[0, 63].tolist() == [10, 200, 30]


@pytest.mark.parametrize(("mode", "colour"), [("RGBA", (200, 100, 0, 128)), ("LA", (100, 128))])
def test_alpha_is_laid_on_white(mode: str, colour: tuple[int, ...]) -> None:
    pixels = decode(encode(Image.new(mode, (64, 64), colour)), "x", square(64), MAX_PIXELS)
    expected = [round(c * 128 / 255 + 255 * 127 / 255) for c in (colour[:3] if mode == "RGBA" else [colour[0]] * 3)]
    assert np.abs(pixels[5, 5].astype(int) - expected).max() <= 1


def test_cmyk_jpeg() -> None:
    image = Image.new("CMYK", (64, 64), (0, 255, 255, 0))  # full magenta and yellow: red
    decoded = decode_image(encode(image, "JPEG", quality=95), "x", square(64), MAX_PIXELS)
    assert decoded.mode == "CMYK"
    assert np.abs(decoded.pixels[5, 5].astype(int) - [255, 0, 0]).max() <= 6


@pytest.mark.parametrize("format_", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_by_its_range_and_not_clipped(format_: str) -> None:
    values = RAMP.astype(np.uint16) * 257
    pixels = decode(encode(Image.fromarray(values), format_), "x", square(64), MAX_PIXELS, 65535)
    np.testing.assert_array_equal(pixels, np.repeat(RAMP[:, :, None], 3, 2))
    dim = decode(encode(Image.fromarray(values // 16), format_), "x", square(64), MAX_PIXELS, 65535)
    assert dim.max() == round(252 * 257 // 16 / 257), "not stretched either"


def test_exif_rotation_is_applied() -> None:
    image = Image.fromarray(np.repeat(RAMP[:32, :, None], 3, 2))  # 64 wide, 32 high, bright at the right
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown rotated by 90 degrees clockwise: bright at the bottom
    decoded = decode_image(encode(image, "JPEG", exif=exif, quality=95), "x", square(64), MAX_PIXELS)
    assert (decoded.width, decoded.height) == (32, 64)
    assert decoded.pixels[60, 30, 0] > 200 > 60 > decoded.pixels[3, 30, 0]


@pytest.mark.parametrize("format_", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_an_animation_the_first_frame_is_taken_and_reported(format_: str) -> None:
    frames = [grey(value).convert("RGB") for value in (40, 200, 90)]
    options = {"lossless": True} if format_ == "WEBP" else {}
    data = encode(frames[0], format_, save_all=True, append_images=frames[1:], **options)
    decoded = decode_image(data, "x", square(16), MAX_PIXELS)
    assert np.unique(decoded.pixels).tolist() == [40]
    assert decoded.note == "3 frames: only the first is used"


@pytest.mark.slow
def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    data = encode(Image.new("1", (20_000, 20_000)))
    tracemalloc.start()
    with pytest.raises(UnreadableImage, match=r"too large: 20000 x 20000 = 400000000 pixels, max_pixels is 1000000"):
        decode(data, "bomb.png", square(16), MAX_PIXELS)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()
    assert decode(encode(Image.new("1", (9500, 9500), 1)), "large.png", square(8), 100_000_000).min() == 255


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"hello, I am text", r"not an image of a known format \(PNG, .*\), it starts with b'hello, I am "),
        (encode(grey(3))[:20], "cut short or damaged"),
        (encode(Image.fromarray(RAMP), "JPEG")[:400], "cut short or damaged"),
        (encode(Image.fromarray(RAMP))[:-60], "cut short or damaged"),
    ],
)
def test_what_cannot_be_read_says_why(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableImage, match=f"^dir/né.png: ({reason})") as caught:
        decode(data, "dir/né.png", square(16), MAX_PIXELS)
    assert caught.value.name == "dir/né.png"
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings(
    "ignore::UserWarning"
)  # PIL warns of some damage; what matters is that nothing else is raised
@pytest.mark.parametrize("format_", ["PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF"])
def test_damage_anywhere_gives_pixels_or_a_reason(format_: str) -> None:
    chance = random.Random(7)
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"exif": exif} if format_ in ("PNG", "JPEG", "WEBP") else {}
    whole = encode(Image.fromarray(RAMP).convert("P" if format_ == "GIF" else "RGB"), format_, **options)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole[: chance.randrange(len(whole))] if chance.random() < 0.3 else whole)
        for _ in range(chance.randrange(1, 6)):
            if damaged:
                damaged[chance.randrange(min(len(damaged), 200))] = chance.randrange(256)
        try:
            assert decode(bytes(damaged), "x", square(16), MAX_PIXELS).shape == (16, 16, 3)
        except UnreadableImage:
            refused += 1
    assert 0 < refused < 300


# -------------------------------------------------------------------------------------------------------- masks


def test_masks_of_any_kind() -> None:
    marked = np.zeros((64, 64), bool)
    marked[10:30, 20:50] = True
    eight = Image.fromarray(marked.astype(np.uint8) * 255)
    ones = Image.fromarray(marked.astype(np.uint8))
    sixteen = Image.fromarray(marked.astype(np.uint16) * 65535)
    painted = Image.new("RGBA", (64, 64), (255, 255, 255, 0))
    painted.paste((255, 0, 0, 255), mask=eight)
    for image in (eight, ones, sixteen, eight.convert("1"), eight.convert("RGB"), painted):
        np.testing.assert_array_equal(decode_mask(encode(image), "x", MAX_PIXELS), marked)
    jpeg = decode_mask(encode(eight, "JPEG", quality=90), "x", MAX_PIXELS)
    assert (jpeg != marked).mean() < 0.01


def test_a_mask_is_kept_where_half_of_the_area_is_marked() -> None:
    mask = np.zeros((8, 8), bool)
    mask[0:4, 0:4] = True  # all of one quarter
    mask[0:2, 4:8] = True  # half of the next: kept
    mask[4:5, 0:4] = True  # a quarter of the third: not
    np.testing.assert_array_equal(resize_mask(mask, square(2)), [[True, True], [False, False]])
    np.testing.assert_array_equal(resize_mask(mask, square(8)), mask)


# ------------------------------------------------------------------------------------------------------ prepare


def test_order_labels_masks_and_sha256(tmp_path: Path) -> None:
    half = np.zeros((64, 64), np.uint8)
    half[:, :32] = 255
    files = {
        "test/zig/b.png": encode(grey(5)),
        "test/zig/a.JPG": encode(grey(4), "JPEG"),
        "test/crack/a.png": encode(grey(3)),
        "ground_truth/zig/a_mask.png": encode(Image.fromarray(half)),
        "ground_truth/crack/a_mask.png": encode(Image.fromarray(255 - half)),
        "test/good/ü.png": encode(grey(2)),
        **good_files(2),
        "readme.txt": b"not an image",
    }
    report = run(tmp_path, files)
    images = load_images(tmp_path / "images")
    paths = ["train/good/0.png", "train/good/1.png", "test/good/ü.png"]
    assert [r.path for r in images.index] == [*paths, "test/crack/a.png", "test/zig/a.JPG", "test/zig/b.png"]
    assert [r.label for r in images.index] == [0, 0, 0, 1, 1, 1]
    assert [r.mask_row for r in images.index] == [None, None, None, 0, 1, None]
    assert images.images[:, 0, 0, 0].tolist() == [100, 101, 2, 3, 4, 5]
    assert images.masks[0].tolist() == (~images.masks[1]).tolist()
    assert images.masks[1][:, :16].all()
    assert not images.masks[1][:, 16:].any()
    assert images.index[2].sha256 == hashlib.sha256(files["test/good/ü.png"]).hexdigest()
    assert report.counts == {"train": {"good": 2}, "test": {"good": 1, "crack": 1, "zig": 2}}
    assert report.labels.train.model_dump() == {"normal": 2, "anomalous": 0}
    assert report.labels.test.model_dump() == {"normal": 1, "anomalous": 3}
    assert (report.images, report.masks, report.sizes, report.modes) == (6, 2, {"64x64": 6}, {"L": 6})
    assert [p.path for p in report.mask_problems] == ["test/zig/b.png"]


def test_same_input_same_bytes_whatever_the_threads(tmp_path: Path, make_defect_dataset: Callable[..., Path]) -> None:
    root = make_defect_dataset(tmp_path / "parts", ["part"])
    files = {p.relative_to(root / "part").as_posix(): p.read_bytes() for p in (root / "part").rglob("*.png")}
    seen = set()
    for threads in (1, 4):
        run(tmp_path, files, threads=threads)
        seen.add(b"".join(p.read_bytes() for p in sorted((tmp_path / "images").iterdir())))
    assert len(seen) == 1
    written = set()
    for dataset in ("s3://bucket/x/datasets/parts@0123", "file:///y/datasets/parts@4567#left-out=0123456789ab"):
        run(tmp_path, files, dataset=dataset)
        written.add(b"".join(p.read_bytes() for p in sorted((tmp_path / "images").iterdir())))
    assert len(written) == 1, "other categories, and the place, do not change a byte"
    header = load_images(tmp_path / "images").record
    assert (header.category, header.image_size) == ("widget", square(32))
    assert header.dataset == f"parts@{header.shard[:12]}"
    assert len(load_images(tmp_path / "images").masks) == 6


@pytest.mark.parametrize(("fits", "at_once"), [(1, 1), (2, 2)])
def test_as_many_photographs_are_decoded_at_once_as_memory_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fits: int, at_once: int
) -> None:
    together, lock, running, most = Barrier(at_once), Lock(), 0, 0

    def watched(*args: Any, **settings: Any) -> Loaded:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait(30)
        loaded = load(*args, **settings)
        with lock:
            running -= 1
        return loaded

    monkeypatch.setattr("vqi.preparation.images.load", watched)
    one_photograph = cost(io.BytesIO(good_files(1)["train/good/0.png"]), len(good_files(1)["train/good/0.png"]))
    monkeypatch.setattr("vqi.system.processor.granted_memory", lambda: 2 * fits * one_photograph)
    run(tmp_path, good_files(8), threads=4)
    assert most == at_once


@pytest.mark.parametrize(
    ("total", "fraction", "most"), [(100, 0.05, 5), (20, 0.05, 3), (6, 0.05, 3), (100, 0.01, 3), (100, 0.0, 0)]
)
def test_unreadable_images_are_listed_and_allowed_up_to_a_fraction_and_three(
    tmp_path: Path, total: int, fraction: float, most: int
) -> None:
    def with_bad(bad: int) -> dict[str, bytes]:
        return good_files(total - bad) | {f"test/good/bad{i}.png": b"text" for i in range(bad)}

    report = run(tmp_path, with_bad(most), max_bad_fraction=fraction)
    assert [u.path for u in report.unreadable] == [f"test/good/bad{i}.png" for i in range(most)]
    assert all("not an image" in one.reason for one in report.unreadable)
    assert len(load_images(tmp_path / "images").index) == total - most
    with pytest.raises(VqiError, match=rf"{most + 1} of {total} images are unreadable.* allows {most}: .*bad0\.png "):
        run(tmp_path, with_bad(most + 1), max_bad_fraction=fraction)


def test_max_bad_fraction_counts_exactly(tmp_path: Path) -> None:
    files = good_files(71) | {f"test/good/{i}.png": b"" for i in range(29)}
    assert len(run(tmp_path, files, max_bad_fraction=0.29).unreadable) == 29


def test_a_category_without_train_images(tmp_path: Path) -> None:
    with pytest.raises(VqiError, match=r"'widget' has no train images: expected some in train/good, found test/good"):
        run(tmp_path, {"test/good/a.png": encode(grey(1))})
    with pytest.raises(VqiError, match=r"found nothing"):
        run(tmp_path, {"readme.txt": b""})
    with pytest.raises(VqiError, match=r"none of its train images is readable.*train/good/a\.png: the file is empty"):
        run(tmp_path, {"train/good/a.png": b"", "test/good/a.png": encode(grey(1))}, max_bad_fraction=0.9)


@pytest.mark.parametrize(
    ("folders", "named"), [(("good", "cut"), ""), (("ng", "defective-x"), ""), (("mwema", "cut", "ng"), "cut, mwema ")]
)
def test_a_test_without_good_parts_is_said(tmp_path: Path, folders: tuple[str, ...], named: str) -> None:
    """One of the folders may have a name of good parts in a language that is not known."""
    report = run(tmp_path, good_files() | {f"test/{name}/0.png": encode(grey(5)) for name in folders})
    said = [text for text in report.image_warnings if "has a name of good parts" in text]
    assert len(said) == bool(named)
    assert not said or f"one of the folders {named}holds good parts, rename it good" in said[0]


def test_one_image_and_no_test_at_all(tmp_path: Path) -> None:
    assert run(tmp_path, good_files(1)).counts == {"train": {"good": 1}, "test": {}}
    assert load_images(tmp_path / "images").masks.shape == (0, 32, 32)


def test_identical_images_are_reported(tmp_path: Path) -> None:
    same = encode(grey(9))
    files = {"train/good/a.png": same, "train/good/b.png": same, "train/good/c.png": encode(grey(8))}
    report = run(tmp_path, files)
    assert report.duplicates_within_splits == (("train/good/a.png", "train/good/b.png"),)
    report = run(tmp_path, files | {"test/good/d.png": encode(grey(8))})
    assert report.duplicates_across_splits == (("train/good/c.png", "test/good/d.png"),)


def test_problems_of_masks_are_reported(tmp_path: Path) -> None:
    dot = np.zeros((64, 64), np.uint8)
    dot[5, 5] = 255
    masks = {
        "other_size": encode(grey(255, 32)),
        "unreadable": b"text",
        "empty": encode(grey(0)),
        "tiny": encode(Image.fromarray(dot)),
        "fine": encode(Image.fromarray(np.tri(64, k=-8, dtype=np.uint8) * 255)),
    }
    files = good_files() | {f"ground_truth/cut/{name}_mask.png": data for name, data in masks.items()}
    files |= {f"test/cut/{name}.png": encode(grey(5)) for name in masks}
    files |= {"ground_truth/cut/nobody_mask.png": encode(grey(0)), "ground_truth/cut/fine.png": encode(grey(0))}
    report = run(tmp_path, files)
    problems = {p.path.rpartition("/")[2]: p.problem for p in report.mask_problems}
    assert problems.keys() == {f"{n}_mask.png" for n in [*list(masks)[:4], "nobody"]} | {"fine.png"}
    assert (
        problems["other_size_mask.png"]
        == "32 x 32 pixels, its image 64 x 64: the mask is not used; save it in the size of its image"
    )
    assert problems["unreadable_mask.png"].startswith("unreadable: not an image")
    assert problems["empty_mask.png"] == "marks nothing"
    assert problems["tiny_mask.png"] == "marks nothing any more at 32x32 pixels"
    assert "without its image" in problems["nobody_mask.png"]
    rows = {r.path.rpartition("/")[2]: r.mask_row for r in load_images(tmp_path / "images").index}
    assert rows["other_size.png"] is rows["unreadable.png"] is None
    assert report.masks == 3


def test_what_the_source_could_not_read_counts_as_bad(tmp_path: Path) -> None:
    bad = Unreadable(path="train/good/z.png", reason="a link to nowhere")
    mask = Unreadable(path="ground_truth/cut/1_mask.png", reason="gone")
    left = LeftOut(category="widget", reason="kind", files=2, endings={".dng": 2}, examples=("widget/a.dng",))
    shard = write_shard(tmp_path / "s.zip", good_files(9))._replace(unreadable=(bad, mask), left_out=(left,))
    settings: dict[str, Any] = {"image_size": "32", "max_pixels": MAX_PIXELS, "threads": 1}
    report = prepare(shard, tmp_path / "images", "widget", max_bad_fraction=0.1, **settings)
    assert report.unreadable == (bad,)
    assert report.mask_problems == (MaskProblem(path=mask.path, problem="unreadable: gone"),)
    assert report.left_out == (left,)
    assert report.warnings[-1].startswith("Not used: 2 photographs of a kind that is not read (.dng 2)")
    with pytest.raises(VqiError, match=r"1 of 10 images are unreadable, .*z\.png \(a link to nowhere\)"):
        prepare(shard, tmp_path / "other", "widget", max_bad_fraction=0, **settings)
    none = write_shard(tmp_path / "n.zip", {"test/good/1.png": encode(grey(1))})._replace(unreadable=(bad,))
    with pytest.raises(VqiError, match=r"none of its train images is readable, for example train/good/z\.png"):
        prepare(none, tmp_path / "other", "widget", max_bad_fraction=1, **settings)


def drawn(seed: int, size: int = 64) -> bytes:
    """A part of its own."""
    grid = np.random.default_rng(seed).integers(0, 256, (16, 16), dtype=np.uint8)
    return encode(Image.fromarray(grid).resize((size, size)))


def with_calibration(calibration: Mapping[str, bytes], train: int = 12) -> dict[str, bytes]:
    return {f"train/good/{i}.png": drawn(i) for i in range(train)} | {
        f"calibration/good/{name}": data for name, data in calibration.items()
    }


def test_images_for_calibration_are_a_split_of_their_own(tmp_path: Path) -> None:
    files = with_calibration({f"{i}.png": drawn(100 + i) for i in range(4)} | {"again.png": drawn(102)})
    report = run(tmp_path, files | {"test/good/a.png": drawn(200)}, target_fpr=0.25)
    images = load_images(tmp_path / "images")
    assert [row.split for row in images.index] == ["train"] * 12 + ["calibration"] * 5 + ["test"]
    assert images.unseen() == images.rows("calibration") == [12, 13, 14, 15, 16]
    assert report.counts == {"train": {"good": 12}, "calibration": {"good": 5}, "test": {"good": 1}}
    assert (report.labels.calibration.normal, report.calibration_groups, report.train_groups) == (5, 4, 12)
    assert report.smallest_false_alarm_rate == 0.2
    assert "calibration good" in report.looks["brightness"]
    assert report.warnings == ()


def test_what_is_odd_about_images_for_calibration_is_said(tmp_path: Path) -> None:
    files = with_calibration({"0.png": drawn(0), "1.png": drawn(100, 48), "2.png": drawn(101, 48), "3.png": b"text"})
    report = run(tmp_path, files | {"test/good/a.png": drawn(101)}, max_bad_fraction=0.1)
    assert load_images(tmp_path / "images").unseen() == [13, 14]
    assert [one.path for one in report.unreadable] == ["calibration/good/3.png"]
    assert report.image_warnings == (
        "1 of 3 images for calibration is a copy of a training image or shows the same part. It does not set the "
        "threshold: the model has seen that part.",
        "2 of 3 images for calibration have another size than all training images, such as 48x48 instead of 64x64: are "
        "they of the same camera?",
        "1 pair across calibration and test that seems to show the same part: the false alarms that the test shows say "
        "less than they seem to.",
    )
    assert report.warnings[3:] == (
        "2 good images for calibration allow a false-alarm rate of 33.3 % at best; the requested 5 % needs 19.",
    )


def test_one_image_for_calibration(tmp_path: Path) -> None:
    report = run(tmp_path, with_calibration({"0.png": drawn(100)}))
    assert report.warnings == (
        "1 good image for calibration allows a false-alarm rate of 50.0 % at best; the requested 5 % needs 19.",
    )


def test_images_for_calibration_of_which_none_can_be_used(tmp_path: Path) -> None:
    with pytest.raises(
        VqiError, match=r"all 2 images in calibration/good, such as calibration/good/0\.png, are copies"
    ):
        run(tmp_path, with_calibration({"0.png": drawn(0), "1.png": drawn(1)}))
    with pytest.raises(
        VqiError, match=r"none of its images for calibration is readable, for example cal.*0\.png: not an"
    ):
        run(tmp_path, with_calibration({"0.png": b"text"}))


def test_sub_folders_and_the_times_of_photographs(tmp_path: Path) -> None:
    files = {f"train/good/{day}/{i}.png": drawn(10 * day + i) for day in range(3) for i in range(4)}
    report = run(tmp_path, files)
    assert (report.train_groups, report.grouped_by_folder) == (3, True)
    assert report.warnings[0].endswith(
        "needs 19 groups, such as photographs of that many parts. Each sub-folder of train/good counts as one group: "
        "if these are no shifts, days or batches that differ, set group_by to none."
    )
    assert run(tmp_path, files, group_by="none").train_groups == 12
    exif = Image.Exif()
    exif[0x8769] = {0x9003: "2024:05:01 00:00:10"}
    timed = encode(Image.open(io.BytesIO(drawn(50))), exif=exif), encode(Image.open(io.BytesIO(drawn(51))), exif=exif)
    files |= {"train/good/0/a.png": timed[0], "train/good/1/b.png": timed[1]}
    assert run(tmp_path, files, group_by="exif:5").train_groups == 13


def test_animations_and_modes_are_in_the_report(tmp_path: Path) -> None:
    frames = encode(grey(1).convert("RGB"), "PNG", save_all=True, append_images=[grey(2).convert("RGB")])
    report = run(tmp_path, good_files(1) | {"train/good/moving.png": frames})
    assert report.notes == (Note(path="train/good/moving.png", note="2 frames: only the first is used"),)
    assert report.modes == {"L": 1, "RGB": 1}


def test_a_damaged_or_missing_shard(tmp_path: Path) -> None:
    (tmp_path / "cut.zip").write_bytes(write_shard(tmp_path / "whole.zip", good_files()).path.read_bytes()[:-30])
    flipped = bytearray((tmp_path / "whole.zip").read_bytes())
    flipped[flipped.index(b"IDAT") + 6] ^= 255
    (tmp_path / "flipped.zip").write_bytes(flipped)
    for name in ("cut.zip", "flipped.zip", "gone.zip"):
        with pytest.raises(VqiError, match=f"{name} is not a complete shard"):
            prepare(Shard(tmp_path / name, ""), tmp_path / "images", "widget", "32", 0.01, MAX_PIXELS)
    assert not (tmp_path / "images").exists()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "shard.zip", good_files())
    with pytest.raises(VqiError, match=r"cannot write /proc/vqi/images"):
        prepare(shard, Path("/proc/vqi/images"), "widget", "32", 0.01, MAX_PIXELS)


def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    peaks = []
    for count in (40, 160):
        files = {f"train/good/{i}.png": encode(grey(i, 256)) for i in range(count)}
        shard = write_shard(tmp_path / f"{count}.zip", files)
        del files
        tracemalloc.start()
        prepare(shard, tmp_path / str(count), "widget", "256", 0.01, MAX_PIXELS, threads=2)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 120 * 256 * 256 * 3 / 10, peaks


# ------------------------------------------------------------------------------------------------------- their shape


def photographs(*sizes: tuple[int, int]) -> dict[str, bytes]:
    """Training images (width, height)."""
    return {f"train/good/{i}.png": encode(Image.new("L", size, 100 + i)) for i, size in enumerate(sizes)}


def test_images_take_the_shape_of_most_photographs(tmp_path: Path) -> None:
    files = photographs(*[(50, 126)] * 3, (60, 60))
    files["test/scratch/0.png"] = encode(Image.new("L", (50, 126), 9))
    mask = Image.new("L", (50, 126))
    mask.paste(255, (0, 0, 50, 63))
    files["ground_truth/scratch/0_mask.png"] = encode(mask)
    report = run(tmp_path, files, image_size="fit:160")
    images = load_images(tmp_path / "images")
    assert images.record.image_size == report.image_size == Size(256, 96)
    assert images.images.shape == (5, 256, 96, 3)
    assert images.masks.shape == (1, 256, 96)
    assert images.masks[0, :128].all()
    assert not images.masks[0, 128:].any()
    assert report.warnings == run(tmp_path, files, image_size="96x256").warnings


def test_photographs_that_lie_on_their_side_are_turned_first(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    files = {f"train/good/{i}.jpg": encode(Image.new("L", (126, 50), 90 + i), "JPEG", exif=exif) for i in range(3)}
    assert run(tmp_path, files, image_size="fit:160").image_size == Size(256, 96)


def test_photographs_without_a_size_do_not_count(tmp_path: Path) -> None:
    files = photographs((50, 126)) | {f"train/good/x{i}.png": b"no image" for i in range(4)}
    assert run(tmp_path, files, image_size="fit:160", max_bad_fraction=1.0).image_size == Size(256, 96)


def test_of_many_photographs_some_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vqi.preparation.images.PROBED", 3)
    files = photographs(*[(50, 126), (50, 50), (50, 50)] * 3)  # each third one
    assert run(tmp_path, files, image_size="fit:160").image_size == Size(256, 96)


def test_a_shape_that_is_lost_is_warned_of(tmp_path: Path) -> None:
    said = (
        "3 of 4 images are squeezed to 32x32 pixels, such as one of 50x126: a small defect may be lost along the "
        "longer side. image_size 'fit' keeps the shape of the photographs."
    )
    assert said in run(tmp_path, photographs(*[(50, 126)] * 3, (60, 60))).warnings
    assert not any("squeezed" in text for text in run(tmp_path, photographs((60, 50), (50, 60))).warnings)


def test_test_images_that_show_what_trains_count_once() -> None:
    report = data_report(
        duplicates_across_splits=(("train/good/a.png", "test/good/a.png"), ("test/x/b.png", "calibration/good/b.png")),
        near_duplicates_across_splits=(("train/good/c.png", "test/good/a.png"), ("train/good/c.png", "test/x/d.png")),
    )
    assert report.leaked_test_images == 2
