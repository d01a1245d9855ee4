"""vqi.datasets.folder: one's own images; what does not fit is reported."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from vqi.datasets.sources import resolve
from vqi.errors import VqiError
from vqi.store.opening import open_store


def touch(root: Path, *paths: str) -> Path:
    for path in paths:
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.encode())
    return root


def paths_of(source: str) -> dict[str, list[str]]:
    return {name: [e.path for e in entries] for name, entries in resolve(source).categories.items()}


def test_a_tree_of_categories(tmp_path: Path, make_defect_dataset: Callable[..., Path]) -> None:
    root = make_defect_dataset(tmp_path / "parts", ["b", "a"], train=2, good=1, defective=1)
    dataset = resolve(f"folder:{root}")
    assert (dataset.name, list(dataset.categories), dataset.licence) == ("parts", ["a", "b"], None)
    assert [e.path for e in dataset.categories["a"]] == [
        "ground_truth/scratch/000_mask.png",
        "ground_truth/spot/000_mask.png",
        "test/good/000.png",
        "test/scratch/000.png",
        "test/spot/000.png",
        "train/good/000.png",
        "train/good/001.png",
    ]
    assert dataset.categories["a"][2].read() == (root / "a/test/good/000.png").read_bytes()


def test_one_category_that_is_the_folder_itself(tmp_path: Path) -> None:
    root = touch(tmp_path / "widget", "train/good/a.png", "test/good/b.png")
    assert paths_of(f"folder:{root}") == {"widget": ["test/good/b.png", "train/good/a.png"]}
    assert resolve(f"folder:{root}").categories["widget"][1].read() == b"train/good/a.png"


def test_any_known_ending_in_any_case_and_any_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [
        "a.PNG",
        "b.JPeG",
        "c.jpg",
        "d.bmp",
        "e.TIF",
        "f.tiff",
        "g.webp",
        "h.gif",
        "i.jfif",
        "j.JPE",
        "k.pgm",
        "l.jp2",
        "m.HEIC",
        "né 良品 #1%41?.png",
        "n" * 240 + ".png",
    ]
    root = touch(tmp_path, *(f"widget/train/good/{name}" for name in names))
    touch(tmp_path, "readme.txt", "widget/license.txt", "widget/train/good/notes.txt", "widget/train/good/._a.png")
    found = resolve(f"folder:{root}").categories["widget"]
    assert [e.path for e in found] == sorted(f"train/good/{name}" for name in names)
    assert all(e.read().decode().endswith(e.path) for e in found)
    assert "outside the layout" not in capsys.readouterr().err


def test_the_same_through_uris(tmp_path: Path, s3_environment: object) -> None:
    root = touch(tmp_path / "parts", "ä/train/good/a.png", "ä/test/zig/b.png")
    store = open_store(f"s3://vqi-sources/{tmp_path.name}/parts")
    for path in ("ä/train/good/a.png", "ä/test/zig/b.png"):
        store.put_file(path, root / path)
    expected = {"ä": ["test/zig/b.png", "train/good/a.png"]}
    for uri in (str(root), f"file://{root}", store.uri):
        assert paths_of(f"folder:{uri}") == expected
        assert resolve(f"folder:{uri}").name == "parts"
        assert resolve(f"folder:{uri}").categories["ä"][1].read() == "ä/train/good/a.png".encode()


def test_images_outside_the_layout_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = touch(tmp_path, "w/train/good/a.png", "w/train/bad/b.png", "w/c.png", "w/test/good/deep/d.png")
    assert paths_of(f"folder:{root}") == {"w": ["train/good/a.png"]}
    assert "3 of 4 images are outside the layout" in capsys.readouterr().err


def test_a_folder_that_does_not_fit(tmp_path: Path) -> None:
    root = touch(tmp_path, "x.png", "ok/1.png", "ok/2.png", "nok/1.png")
    with pytest.raises(VqiError, match=r"expected <category>/train/good/.*found nok/1\.png, ok/1\.png, .* and 1 more"):
        resolve(f"folder:{root}")
    with pytest.raises(VqiError, match="found no files at all"):
        resolve(f"folder:{tmp_path}/gone")
    with pytest.raises(VqiError, match="expected folder:<path"):
        resolve("folder:")


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    touch(tmp_path, "w/train/good/a.png")
    with open(os.fsencode(str(tmp_path / "w/train/good")) + b"/\xff.png", "wb"):  # noqa: PTH123 - a Path cannot say it
        pass
    with pytest.raises(VqiError, match=r"not UTF-8: rename"):
        resolve(f"folder:{tmp_path}")


def test_unknown_sources() -> None:
    with pytest.raises(VqiError, match=r"unknown dataset source 'elvp': did you mean 'elpv'\?"):
        resolve("elvp")
    with pytest.raises(VqiError, match="did you mean 'folder'"):
        resolve("foldr:x")
    with pytest.raises(VqiError, match="write 'folder:/data/parts'"):
        resolve("/data/parts")
    with pytest.raises(VqiError, match="write 'folder:s3://bucket/parts'"):
        resolve("s3://bucket/parts")
