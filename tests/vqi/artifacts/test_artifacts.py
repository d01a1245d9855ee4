"""Formats: round trips, and loads that say what does not fit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from tests.vqi.made import detector_artifact, features_record, images_record, save_features
from vqi.artifacts.detector import DetectorArtifact, load_detector, save_detector
from vqi.artifacts.features import Calibration, FeatureMaps, Features, load_features
from vqi.artifacts.files import read_json, write_json
from vqi.artifacts.images import IMAGES_FILE, INDEX_FILE, ImagesWriter, IndexRow, load_images, write_index
from vqi.artifacts.scores import ScoreRow, read_scores, write_scores
from vqi.config import FeatureExtract
from vqi.errors import VqiError


def row(path: str = "train/good/a.png", split: str = "train", mask: int | None = None) -> IndexRow:
    return IndexRow(path, split, int(split == "test"), "good", mask, "0" * 64, 0, 0)


def write_images(folder: Path, images: np.ndarray, masks: np.ndarray, index: list[IndexRow]) -> None:
    with ImagesWriter(folder, images_record(image_size=images.shape[1])) as writer:
        for image in images:
            writer.add_image(image)
        for mask in masks:
            writer.add_mask(mask)
        writer.finish(index)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 4), st.integers(0, 3), st.integers(1, 9), st.text(min_size=1).filter(lambda t: "\0" not in t))
def test_images_round_trip(tmp_path_factory: pytest.TempPathFactory, n: int, m: int, side: int, name: str) -> None:
    folder = tmp_path_factory.mktemp("images") / "images"
    random = np.random.default_rng(n + m + side)
    images = random.integers(0, 256, (n, side, side, 3), dtype=np.uint8)
    masks = random.random((m, side, side)) < 0.5
    name = name.encode("utf-8", "replace").decode()
    index = [row(f"{name}-{i}", "test", i if i < m else None) for i in range(n)]
    write_images(folder, images, masks, index)
    loaded = load_images(folder)
    np.testing.assert_array_equal(loaded.images, images)
    np.testing.assert_array_equal(loaded.masks, masks)
    assert loaded.index == index
    assert loaded.record == images_record(image_size=side)
    # the library that defines the format reads the same
    np.testing.assert_array_equal(load_file(folder / IMAGES_FILE)["images"], images)


def test_same_input_same_bytes(tmp_path: Path) -> None:
    images = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    for name in ("a", "b"):
        write_images(tmp_path / name, images, np.zeros((0, 4, 4), bool), [row("x"), row("y")])
    for file in (IMAGES_FILE, INDEX_FILE):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_an_interrupted_writer_leaves_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="stop"),
        ImagesWriter(tmp_path / "images", images_record(image_size=4)) as writer,
    ):
        writer.add_image(np.zeros((4, 4, 3), np.uint8))
        raise RuntimeError("stop")
    assert list(tmp_path.iterdir()) == []
    with (
        pytest.raises(ValueError, match=r"expected uint8 \(4, 4, 3\)"),
        ImagesWriter(tmp_path / "images", images_record(image_size=4)) as writer,
    ):
        writer.add_image(np.zeros((5, 4, 3), np.uint8))
    with (
        pytest.raises(ValueError, match=r"expected finish\(\)"),
        ImagesWriter(tmp_path / "images", images_record(image_size=4)) as writer,
    ):
        writer.add_image(np.zeros((4, 4, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []


def maps(n: int, seed: int = 0) -> FeatureMaps:
    random = np.random.default_rng(seed)
    return FeatureMaps((random.random((n, 2, 4, 4), np.float32), random.random((n, 3, 2, 2), np.float32)))


def features(parent: bool = False) -> Features:
    record = features_record(settings=FeatureExtract(layer='["a", "b"]'))
    return Features(maps(3), np.array([0, 1, 0]), maps(0), record, (maps(3, 1), maps(0)) if parent else None)


@pytest.mark.parametrize("parent", [False, True])
def test_features_round_trip(tmp_path: Path, parent: bool) -> None:
    save_features(tmp_path / "f", features(parent))
    loaded = load_features(tmp_path / "f")
    assert loaded.record == features().record
    assert loaded.train.shapes == loaded.test.shapes == ((2, 4, 4), (3, 2, 2))
    assert (len(loaded.train), len(loaded.test)) == (3, 0)
    for got, expected in zip(loaded.train.layers, features().train.layers, strict=True):
        np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(loaded.groups, features().groups)
    assert (loaded.parent is not None) == parent
    if loaded.parent is not None:
        np.testing.assert_array_equal(loaded.parent[0].layers[1], maps(3, 1).layers[1])
    with pytest.raises(ValueError, match="read-only"):
        loaded.train.layers[0][0] = 1


@pytest.mark.parametrize("parent", [False, True])
def test_features_for_calibration_round_trip(tmp_path: Path, parent: bool) -> None:
    apart = Calibration(maps(2, 5), np.array([7, 8]), np.array([9, 9]))
    whole = replace(features(parent), calibration=apart, parts=np.array([0, 1, 2]))
    save_features(tmp_path / "f", whole)
    loaded = load_features(tmp_path / "f")
    assert loaded.calibration is not None
    np.testing.assert_array_equal(loaded.calibration.maps.layers[1], apart.maps.layers[1])
    np.testing.assert_array_equal(loaded.calibration.parts, [7, 8])
    np.testing.assert_array_equal(loaded.calibration.groups, [9, 9])
    np.testing.assert_array_equal(loaded.train_parts, [0, 1, 2])
    assert (loaded.parent is not None) == parent
    save_features(tmp_path / "f", features())
    np.testing.assert_array_equal(load_features(tmp_path / "f").train_parts, features().groups)
    for odd, said in (
        (replace(whole, parts=np.array([0])), r"expected train_parts of 3 images, got 1; run feature_extract again"),
        (replace(whole, calibration=replace(apart, groups=np.array([9]))), "expected calibration_groups of 2 images"),
    ):
        save_features(tmp_path / "f", odd)
        with pytest.raises(VqiError, match=said):
            load_features(tmp_path / "f")


def test_detector_round_trip(tmp_path: Path) -> None:
    detector = detector_artifact()
    save_detector(tmp_path / "d", detector)
    loaded = load_detector(tmp_path / "d")
    assert loaded.record == detector.record
    assert loaded.arrays.keys() == detector.arrays.keys()
    np.testing.assert_array_equal(loaded.arrays["components"], detector.arrays["components"])
    np.testing.assert_array_equal(loaded.calibration_scores, detector.calibration_scores)
    np.testing.assert_array_equal(loaded.groups, detector.groups)
    kept = loaded.in_memory()
    (tmp_path / "d").unlink()
    np.testing.assert_array_equal(kept.arrays["mean"], detector.arrays["mean"])
    assert not isinstance(kept.arrays["mean"], np.memmap)


@pytest.mark.parametrize("name", ["mean", "components", "calibration_scores"])
def test_a_detector_with_a_number_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    """It would give every part the decision 0."""
    whole = detector_artifact()
    arrays = {key: np.array(array) for key, array in whole.arrays.items()}
    scores = np.array(whole.calibration_scores)
    (scores if name == "calibration_scores" else arrays[name]).ravel()[0] = np.nan
    save_detector(tmp_path / "d", DetectorArtifact(arrays, scores, whole.groups, whole.record))
    with pytest.raises(VqiError, match=f"'.*{name}' holds NaN or infinity"):
        load_detector(tmp_path / "d")


def test_a_detector_calibrated_on_other_scores_is_refused(tmp_path: Path) -> None:
    whole = detector_artifact()
    save_detector(tmp_path / "d", replace(whole, calibration_scores=whole.calibration_scores[:-1]))
    with pytest.raises(VqiError, match=r"expected 3 calibration scores, got \(2,\); run pca_fit again"):
        load_detector(tmp_path / "d")


def test_scores_keep_every_bit(tmp_path: Path) -> None:
    rows = [ScoreRow('a,"b"\n.png', 1, "scratch", 0.1 + 0.2, 1, 0.5), ScoreRow("ü.png", 0, "good", 1e-300, 0, 0.5)]
    write_scores(tmp_path / "s", rows)
    assert read_scores(tmp_path / "s") == rows


def test_loads_say_what_does_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "f"
    with pytest.raises(VqiError, match="expected a safetensors file"):
        load_features(path)
    for damage in (b"", b"\x00" * 4, b"\xff" * 100, b"text that is no tensor file, of some length"):
        path.write_bytes(damage)
        with pytest.raises(VqiError, match="expected a safetensors file"):
            load_features(path)
    save_features(path, features())
    with pytest.raises(VqiError, match=r"expected format 'vqi.detector/7', got 'vqi.features/5'"):
        load_detector(path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(VqiError, match="cut short"):
        load_features(path)
    save_features(path, replace(features(), record=features_record()))
    with pytest.raises(
        VqiError,
        match=r"expected the arrays test\.0, train\.0, train_groups, train_parts, got test\.0, test\.1, train\.0",
    ):
        load_features(path)
    save_features(path, replace(features(), test=FeatureMaps(tuple(one[:, :, :1] for one in maps(2).layers))))
    with pytest.raises(VqiError, match=r"expected maps \(\(2, 4, 4\), \(3, 2, 2\)\)"):
        load_features(path)


def test_a_header_with_another_key_is_refused(tmp_path: Path) -> None:
    """A typed record: what is not known is not ignored."""
    save_features(tmp_path / "f", features())
    data = (tmp_path / "f").read_bytes()
    (tmp_path / "f").write_bytes(data.replace(b'\\"batch_size\\"', b'\\"batch_sise\\"'))
    with pytest.raises(
        VqiError, match=r"settings\.batch_sise: Extra inputs are not permitted.*run feature_extract again"
    ):
        load_features(tmp_path / "f")


def test_index_and_images_must_agree(tmp_path: Path) -> None:
    write_images(tmp_path / "i", np.zeros((2, 4, 4, 3), np.uint8), np.zeros((0, 4, 4), bool), [row("x"), row("y")])
    write_index(tmp_path / "i" / INDEX_FILE, [row("x")])
    with pytest.raises(VqiError, match="2 images but an index of 1 rows"):
        load_images(tmp_path / "i")


def test_json_refuses_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "j", {"a": float("nan")})
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "j").write_text("[1]")
    with pytest.raises(VqiError, match="expected a JSON object"):
        read_json(tmp_path / "j")
