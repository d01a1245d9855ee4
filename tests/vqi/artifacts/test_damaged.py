"""Damaged artifacts: each loader reads what was written, or refuses in one line; it never reads other numbers."""

import copy
import json
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fuzz import fuzz_cases
from tests.vqi.made import data_report, detector_artifact, features_record, images_record, metrics, save_features
from vqi.artifacts.data_report import read_data_report, write_data_report
from vqi.artifacts.detector import load_detector, save_detector
from vqi.artifacts.features import FeatureMaps, Features, load_features
from vqi.artifacts.images import IMAGES_FILE, INDEX_FILE, ImagesWriter, IndexRow, load_images
from vqi.artifacts.metrics import Summary
from vqi.artifacts.scores import ScoreRow, load_maps, read_scores, save_maps, write_scores
from vqi.artifacts.tensors import check_forms, load_tensors, save_tensors
from vqi.artifacts.training_log import Epoch, read_training_log, write_training_log
from vqi.detectors.registry import detector_of
from vqi.errors import VqiError
from vqi.records import parse_json

Arrays = dict[str, np.ndarray]


def refused(load: Callable[[], Any]) -> Any:
    """What it gives; None where it refused in one line."""
    try:
        return load()
    except VqiError as error:
        said = str(error)
    assert said.isprintable()
    assert len(said) < 1000
    return None


# --------------------------------------------------------------------------------------------------------- safetensors


def images_of(folder: Path) -> Path:
    with ImagesWriter(folder / "images", images_record(image_size=4)) as writer:
        for value in (1, 2, 3):
            writer.add_image(np.arange(48, dtype=np.uint8).reshape(4, 4, 3) * value)
        writer.add_mask(np.eye(4, dtype=bool))
        splits = ("train", "train", "test")
        writer.finish([IndexRow(f"{i}.png", split, 0, "good", None, "0" * 64, 0, 0) for i, split in enumerate(splits)])
    return folder / "images" / IMAGES_FILE


def features_of(folder: Path) -> Path:
    numbers = np.random.default_rng(0).random((5, 2, 3, 3), np.float32)
    save_features(
        folder / "f",
        Features(FeatureMaps((numbers[:3],)), np.arange(3), FeatureMaps((numbers[3:],)), features_record()),
    )
    return folder / "f"


def detector_file(folder: Path) -> Path:
    save_detector(folder / "d", detector_artifact())
    return folder / "d"


def maps_file(folder: Path) -> Path:
    save_maps(folder / "m", np.random.default_rng(1).random((3, 2, 4), np.float32), {"by": "a test"})
    return folder / "m"


def plain_file(folder: Path) -> Path:
    """As the weights of a backbone, or the state of a training: any arrays."""
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.arange(6.0, 12.0).reshape(2, 3), "n": np.array(7)}
    save_tensors(folder / "p", "a test/1", arrays, {"of": "weights"})
    return folder / "p"


def read_images(path: Path) -> Arrays:
    loaded = load_images(path.parent)
    return {"images": loaded.images, "masks": loaded.masks}


def read_features(path: Path) -> Arrays:
    loaded = load_features(path)
    return {"train": loaded.train.layers[0], "test": loaded.test.layers[0]}


def read_detector(path: Path) -> Arrays:
    loaded = load_detector(path)
    detector_of(loaded)
    return {**loaded.arrays, "scores": loaded.calibration_scores, "groups": loaded.groups}


LOADERS: list[tuple[Callable[[Path], Path], Callable[[Path], Arrays]]] = [
    (images_of, read_images),
    (features_of, read_features),
    (detector_file, read_detector),
    (maps_file, lambda path: {"maps": load_maps(path)}),
    (plain_file, lambda path: load_tensors(path, "a test/1", "again")[0]),
]
ODD = [None, True, -1, 0, 1, 2, 3, 4, 8, 2**31, 2**63, 2**64, -(2**63), 1.5, "", "F32", "x" * 300, [], {}, [[]], [0, 0]]
TYPES = ["F32", "F64", "F16", "I64", "I32", "U8", "I8", "BOOL", "BF16", "F8_E4M3", "f32", "", "C64"]


def changed_entry(draw: random.Random, entry: dict[str, Any]) -> Any:
    """What a header says of an array, with one thing changed."""
    entry = copy.deepcopy(entry)
    key = draw.choice(sorted(entry))
    match draw.randrange(6):
        case 0:
            entry[key] = draw.choice(ODD)
        case 1:
            entry["dtype"] = draw.choice(TYPES)
        case 2:
            numbers = entry[draw.choice(["shape", "data_offsets"])]
            if numbers:
                numbers[draw.randrange(len(numbers))] = draw.choice([*ODD, numbers[0] + 1, numbers[-1] - 1])
        case 3:
            draw.shuffle(entry["shape"])
        case 4:
            shift = draw.choice([-8, -4, -1, 1, 4, 8])
            entry["data_offsets"] = [one + shift for one in entry["data_offsets"]]
        case _:
            return draw.choice([*ODD, {name: value for name, value in entry.items() if name != key}])
    return entry


def changed_header(draw: random.Random, header: dict[str, Any]) -> bytes:
    """A header with one thing changed, as JSON or nearly."""
    header = copy.deepcopy(header)
    names = sorted(set(header) - {"__metadata__"})
    one, other = draw.choice(names), draw.choice(names)
    match draw.randrange(9):
        case 0:
            header[one], header[other] = header[other], header[one]
        case 1:
            header[f"{one}x"] = header.pop(one)
        case 2:
            del header[draw.choice(sorted(header))]
        case 3:
            header["__metadata__"] = draw.choice([*ODD, {"format": 3}, {"format": header["__metadata__"]["format"]}])
        case 4:
            provenance = draw.choice(["", "[]", "null", "{", '{"a": NaN}', "[" * 5000, '{"a": 1, "a": 2}'])
            header["__metadata__"]["provenance"] = provenance
        case 5:
            return draw.choice([b"[]", b"null", b"3", b"", b"{}", b'"x"', b"[" * 3000, b"{" * 3000, b"\xff\xfe"])
        case 6:
            text = bytearray(json.dumps(header).encode())
            text[draw.randrange(len(text))] = draw.randrange(256)
            return bytes(text)
        case _:
            header[one] = changed_entry(draw, header[one])
    return json.dumps(header).encode()


def changed_file(draw: random.Random, data: bytes) -> bytes:
    """A safetensors file with its header changed, or the place where it ends; the numbers stay."""
    (length,) = struct.unpack_from("<Q", data)
    header, numbers = data[8 : 8 + length], data[8 + length :]
    match draw.randrange(10):
        case 0:
            return data[: draw.randrange(len(data))]
        case 1:
            return data + bytes(draw.choice([1, 4, 8]))
        case 2:
            odd = draw.choice([0, 1, length - 1, length + 1, length + 8, len(data), 2**31, 2**63, 2**64 - 1])
            return struct.pack("<Q", odd) + header + numbers
        case _:
            text = changed_header(draw, json.loads(header))
            return struct.pack("<Q", len(text)) + text + numbers


@pytest.mark.parametrize(("write", "read"), LOADERS, ids=lambda one: getattr(one, "__name__", ""))
def test_a_changed_header_is_refused_or_changes_nothing(
    tmp_path: Path, write: Callable[[Path], Path], read: Callable[[Path], Arrays]
) -> None:
    path = write(tmp_path)
    data, expected = path.read_bytes(), {name: np.array(array) for name, array in read(path).items()}
    draw, read_anyway = random.Random(0), 0
    for _ in range(fuzz_cases(60, 700)):
        path.unlink()  # what was mapped stays as it is
        path.write_bytes(changed_file(draw, data))
        found = refused(lambda: read(path))
        if found is not None:
            read_anyway += 1
            assert found.keys() == expected.keys()
            for name, array in expected.items():
                np.testing.assert_array_equal(found[name], array)
                assert found[name].dtype == array.dtype
    assert read_anyway < fuzz_cases(60, 700) / 3, "else little was damaged"


def test_a_truth_value_that_is_neither_is_refused(tmp_path: Path) -> None:
    path = images_of(tmp_path)
    data = bytearray(path.read_bytes())
    data[-1] = 2
    path.write_bytes(data)
    with pytest.raises(VqiError, match=r"array 'masks' of truth values with a byte.*run preprocess again"):
        load_images(path.parent)


def test_arrays_that_changed_places_are_seen(tmp_path: Path) -> None:
    """Of equal shape: nothing else could tell."""
    path = plain_file(tmp_path)
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    header["a"], header["b"] = header["b"], header["a"]
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])
    with pytest.raises(VqiError, match="arrays at other places than when it was written; again"):
        load_tensors(path, "a test/1", "again")


def test_forms_name_the_array_that_does_not_fit(tmp_path: Path) -> None:
    arrays = {"a": np.zeros((2, 3), np.float32)}
    check_forms(tmp_path, arrays, {"a": ("float32", (None, 3))}, "again")
    for form in (("float64", (None, 3)), ("float32", (None, 4)), ("float32", (None,))):
        with pytest.raises(VqiError, match=r"array 'a': expected .* got float32 \(2, 3\); again"):
            check_forms(tmp_path, arrays, {"a": form}, "again")
    with pytest.raises(VqiError, match="expected the arrays b, got a; again"):
        check_forms(tmp_path, arrays, {"b": ("float32", (None, 3))}, "again")


@pytest.mark.parametrize("kind", ["folder", "pipe", "link to nothing"])
def test_what_is_no_file_neither_hangs_nor_tracebacks(tmp_path: Path, kind: str) -> None:
    import os

    path = tmp_path / "d"
    {"folder": path.mkdir, "pipe": lambda: os.mkfifo(path), "link to nothing": lambda: path.symlink_to("gone")}[kind]()
    assert refused(lambda: load_detector(path)) is None
    assert refused(lambda: read_scores(path)) is None
    assert refused(lambda: read_data_report(path)) is None


# -------------------------------------------------------------------------------------------------------- CSV and JSON


def scores_file(folder: Path) -> Path:
    write_scores(
        folder / "s", [ScoreRow("a.png", 1, "scratch", 0.25, 1, 0.5), ScoreRow("=b.png", 0, "good", 0.0, 0, 0.5)]
    )
    return folder / "s"


def log_file(folder: Path) -> Path:
    write_training_log(folder / "l", [Epoch(i, 1, 0.1, 0.5, 0.25, "accuracy", 0.75, 1.0, 12.5) for i in (1, 2)])
    return folder / "l"


def report_file(folder: Path) -> Path:
    write_data_report(folder / "r", data_report(sizes={"8x8": 3}, warnings=("one", "two")))
    return folder / "r"


def index_file(folder: Path) -> Path:
    return images_of(folder).with_name(INDEX_FILE)


def summary_file(folder: Path) -> Path:
    made = metrics(image_auroc=0.9, image_auroc_low=0.8, image_auroc_high=0.95, accuracy=0.5, test_images=3)
    (folder / "y").write_text(made.summary().model_dump_json())
    return folder / "y"


def read_summary(path: Path) -> Summary:
    return parse_json(Summary, path.read_bytes(), str(path), "run evaluate again")


TEXTS: list[tuple[Callable[[Path], Path], Callable[[Path], Any]]] = [
    (scores_file, read_scores),
    (log_file, read_training_log),
    (report_file, read_data_report),
    (index_file, lambda path: load_images(path.parent).index),
    (summary_file, read_summary),
]
PIECES = [
    b"NaN", b"Infinity", b"-1", b"1e999", b"", b"\0", b"\xff", b'"', b",", b"\n", b"\r", b"{", b"[" * 2000, b"9" * 5000,
    b"null", b"true", b"2", b"0.5", b"\\ud800", b'"a": 1, "a": 2,', b"\xef\xbb\xbf", b"'", b"x" * 200_000,
]  # fmt: skip


def changed_text(draw: random.Random, data: bytes) -> bytes:
    """A text with a piece put in, taken out, doubled or replaced."""
    begin = draw.randrange(len(data) + 1)
    end = min(len(data), begin + draw.choice([0, 1, 2, 8, 40]))
    match draw.randrange(5):
        case 0:
            return data[:begin] + data[end:]
        case 1:
            return data[:begin]
        case 2:
            return data[:end] + data[begin:]
        case _:
            return data[:begin] + draw.choice(PIECES) + data[end:]


@pytest.mark.parametrize(("write", "read"), TEXTS, ids=lambda one: getattr(one, "__name__", ""))
def test_a_changed_text_is_refused_in_one_line_or_read(
    tmp_path: Path, write: Callable[[Path], Path], read: Callable[[Path], Any]
) -> None:
    path = write(tmp_path)
    data, draw, read_anyway = path.read_bytes(), random.Random(0), 0
    assert read(path)
    for _ in range(fuzz_cases(60, 600)):
        path.write_bytes(changed_text(draw, data))
        read_anyway += refused(lambda: read(path)) is not None
    assert read_anyway < fuzz_cases(60, 600) / 2, "else little was damaged"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('0,"a.png","train",1,"good","","' + "0" * 64 + '",0,0', "row 0: expected '0', got '1'"),
        (
            '0,"a.png","trian",0,"good","","' + "0" * 64 + '",0,0',
            "row 0: expected 'train' or 'calibration' or 'test', got 'trian'",
        ),
        ('0,"a.png","train",0,"good","7","' + "0" * 64 + '",0,0', "1 masks but an index that names others"),
        (
            '1,"a.png","train",0,"good","","' + "0" * 64 + '",0,0',
            "3 images but an index of 3 rows that do not count up",
        ),
        ('0,"a.png","train",0,"good"', "row 0: 5 fields instead of 9"),
        ('0,"","train",0,"good","","' + "0" * 64 + '",0,0', "row 0: a path"),
    ],
)
def test_an_index_that_does_not_fit(tmp_path: Path, line: str, said: str) -> None:
    path = index_file(tmp_path)
    head, _, *rest = path.read_text().splitlines()
    path.write_text("\n".join([head, line, *rest]) + "\n")
    with pytest.raises(VqiError) as error:
        load_images(path.parent)
    assert said in str(error.value)
    assert str(error.value).endswith("run preprocess again")
