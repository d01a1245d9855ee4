"""The step preprocess: a shard becomes one memory-mappable file of images and a data report."""

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vqi.artifacts.files import read_json
from vqi.artifacts.images import load_images
from vqi.digests import sha256_file
from vqi.system.atomic import is_temporary

OneError = Callable[[int], str]
TINY = {"train": 3, "good": 1, "defective": 1, "size": 48}


def outputs(folder: Path) -> dict[str, object]:
    return {"images": folder / "images", "data_report": folder / "data_report.json", "data_page": folder / "page.html"}


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_images_masks_and_report(chain: Any) -> None:
    images = load_images(chain.folder / "images")
    assert images.images.shape == (12 + 4 + 6, 64, 64, 3)
    assert images.images.dtype == np.uint8
    assert images.masks.shape == (6, 64, 64)
    assert images.masks.any(axis=(1, 2)).all()
    assert [row.label for row in images.index] == [0] * 16 + [1] * 6
    assert images.record.category == "bracket"
    report = read_json(chain.folder / "data_report.json")
    assert (report["images"], report["masks"], report["unreadable"]) == (22, 6, [])


def test_same_input_same_bytes(chain: Any, tmp_path: Path) -> None:
    assert chain.run("preprocess", **outputs(tmp_path)) == 0
    assert bytes_of(tmp_path / "images") == bytes_of(chain.folder / "images")
    assert (tmp_path / "page.html").read_bytes() == (chain.folder / "data_page.html").read_bytes()
    assert (tmp_path / "data_report.json").read_bytes() == (chain.folder / "data_report.json").read_bytes()


def test_the_data_page_links_to_other_pages_of_its_run(
    chain: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = {"Report": "../r.html", "Data page": "d.html", "Run before": "../../b.html", "All runs": "../../../i.html"}
    monkeypatch.setenv("VQI_PAGE_LINKS", json.dumps(pages))
    assert chain.run("preprocess", **outputs(tmp_path)) == 0
    links = re.findall('<a href="([^"]+)">([^<]+)</a>', (tmp_path / "page.html").read_text())
    assert links == [("../r.html", "Report"), ("../../../i.html", "All runs")], "not to itself, nor to what may change"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"category": "bracked"}, "unknown category 'bracked': did you mean 'bracket'?"),
        ({"image_size": 8}, "image_size: expected pixels per side from 32 to 2048, such as 320; width x height"),
        ({"image_size": "big"}, "image_size"),
        ({"max_bad_fraction": 2}, "max_bad_fraction"),
        ({"dataset": "file:///nowhere/datasets/x@1"}, "no complete dataset at file:///nowhere/datasets/x@1"),
    ],
)
def test_bad_input(chain: Any, tmp_path: Path, one_error: OneError, changed: dict[str, object], message: str) -> None:
    assert message in one_error(chain.run("preprocess", **{**outputs(tmp_path), **changed}))
    assert not list(tmp_path.iterdir())


def test_output_that_cannot_be_written(chain: Any, tmp_path: Path, one_error: OneError) -> None:
    """A folder below a file: nobody, not even root, can write there."""
    (tmp_path / "file").write_text("")
    message = one_error(chain.run("preprocess", **outputs(tmp_path) | {"images": tmp_path / "file" / "images"}))
    assert str(tmp_path / "file") in message


def made(chain: Any, source: Path, tmp_path: Path) -> Any:
    """The chain up to preprocess on another source."""
    other = type(chain)(tmp_path / "out", source)
    other.folder.mkdir()
    assert other.run("dataset_download") == 0
    return other


def test_no_train_images(
    chain: Any, tmp_path: Path, one_error: OneError, make_defect_dataset: Callable[..., Path]
) -> None:
    source = make_defect_dataset(tmp_path / "parts", ("bracket", "fabric"), **TINY)
    shutil.rmtree(source / "bracket" / "train")
    other = type(chain)(tmp_path / "out", source)
    other.folder.mkdir()
    code = other.run("dataset_download") or other.run("preprocess")  # whichever notices it first
    assert "'bracket'" in one_error(code)


@pytest.mark.parametrize(("copies", "message"), [(1, "at least 3 good training images, got 1"), (4, "same features")])
def test_one_or_identical_train_images(
    chain: Any,
    tmp_path: Path,
    one_error: OneError,
    make_defect_dataset: Callable[..., Path],
    copies: int,
    message: str,
) -> None:
    """Prepared and extracted as usual; the fit reports that there is nothing to learn from."""
    source = make_defect_dataset(tmp_path / "parts", ("bracket",), **TINY)
    train = source / "bracket" / "train" / "good"
    (first, *others) = sorted(train.iterdir())
    for path in others:
        path.unlink()
    for i in range(1, copies):
        shutil.copy(first, train / f"copy{i}.png")
    other = made(chain, source, tmp_path)
    for name in ("preprocess", "ssl_finetune", "feature_extract"):
        assert other.run(name) == 0, name
    report = read_json(other.folder / "data_report.json")
    assert [len(group) for group in report["duplicates_within_splits"]] == ([copies] if copies > 1 else [])
    assert message in one_error(other.run("pca_fit"))
    assert not (other.folder / "detector.safetensors").exists()


def test_unreadable_images_up_to_the_limit(
    chain: Any, tmp_path: Path, one_error: OneError, make_defect_dataset: Callable[..., Path]
) -> None:
    source = make_defect_dataset(tmp_path / "parts", ("bracket",), **TINY)
    (source / "bracket" / "train" / "good" / "text.png").write_text("no image")
    other = made(chain, source, tmp_path)
    assert "train/good/text.png" in one_error(other.run("preprocess", max_bad_fraction=0))
    assert other.run("preprocess") == 0, "one is no reason to stop"
    assert [one["path"] for one in read_json(other.folder / "data_report.json")["unreadable"]] == [
        "train/good/text.png"
    ]


def test_a_shard_is_hashed_once(chain: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between store and step: it is checked against the catalog, and the images record its digest as their source."""
    hashed = []

    def counted(path: Path) -> str:
        hashed.append(path.name)
        return sha256_file(path)

    for name, module in list(sys.modules.items()):
        if name.startswith("vqi.") and getattr(module, "sha256_file", None) is sha256_file:
            monkeypatch.setattr(module, "sha256_file", counted)
    assert chain.run("preprocess", **outputs(tmp_path)) == 0
    assert len(hashed) == 1
    assert is_temporary(hashed[0])
