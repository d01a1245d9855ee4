"""vqi.datasets.folder: one's own images; what does not fit is reported."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from vqi.config import DatasetDownload, SourceRequest
from vqi.datasets import download, sources
from vqi.datasets.layout import Dataset
from vqi.datasets.sources import resolve
from vqi.errors import VqiError
from vqi.photographs.decoding import UnreadableImage
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


def test_any_known_ending_in_any_case_and_any_name(tmp_path: Path) -> None:
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
        "né 良品 #1%41?.png",
        "n" * 240 + ".png",
    ]
    root = touch(tmp_path, *(f"widget/train/good/{name}" for name in names))
    touch(tmp_path, "readme.txt", "widget/license.txt", "widget/train/good/notes.txt", "widget/train/good/._a.png")
    found = resolve(f"folder:{root}").categories["widget"]
    assert [e.path for e in found] == sorted(f"train/good/{name}" for name in names)
    assert all(e.read().decode().endswith(e.path) for e in found)
    assert {one.reason for one in resolve(f"folder:{root}").left_out} == {"hidden", "other"}


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


def left_out(source: str) -> dict[tuple[str, str], int]:
    return {(one.category, one.reason): one.files for one in resolve(source).left_out}


def test_what_is_left_out_is_counted_by_reason(tmp_path: Path) -> None:
    root = touch(
        tmp_path, "w/train/good/a.png", "w/train/bad/b.png", "w/c.png", "w/test/cut/deep/d.png", "w/train/good/e.DNG",
        "w/train/good/.f.png", "w/.git/train/good/g.png", "w/test/.ipynb_checkpoints/h.png", "w/~$i.xlsx", "w/j.png~",
        ".trash/train/good/k.png", "readme.txt", "v/train/good/l.png", "__MACOSX/w/train/good/m.png",
    )  # fmt: skip
    assert paths_of(f"folder:{root}") == {"v": ["train/good/l.png"], "w": ["train/good/a.png"]}
    assert left_out(f"folder:{root}") == {
        ("", "hidden"): 2, ("", "other"): 1, ("w", "kind"): 1, ("w", "sub-folder"): 1, ("w", "train"): 1,
        ("w", "outside"): 1, ("w", "temporary"): 2, ("w", "hidden"): 3,
    }  # fmt: skip
    only = resolve(f"folder:{root}", SourceRequest(only_categories=["v"])).left_out
    assert {one.category for one in only} == {""}, "nothing of a category that was not asked for"
    kind = next(one for one in resolve(f"folder:{root}").left_out if one.reason == "kind")
    assert kind.text == (
        "1 photograph of a kind that is not read (.dng 1), for example w/train/good/e.DNG; save as PNG, JPEG or TIFF"
    )


def test_sub_folders_of_good_parts(tmp_path: Path) -> None:
    """Shifts, days, cameras: mixed with images next to them, nested, with equal names."""
    paths = (
        "train/good/a.png", "train/good/2024-05-01/a.png", "train/good/2024-05-02/a.png",
        "train/good/2024-05-02/late/a.png", "train/good/new/a.png", "test/good/camera 2/a.png",
    )  # fmt: skip
    root = touch(tmp_path / "w", *paths)
    assert paths_of(f"folder:{tmp_path}") == paths_of(f"folder:{root}") == {"w": sorted(paths)}
    touch(tmp_path / "other", "w/train/OK/day/a.png")
    entry = resolve(f"folder:{tmp_path}/other").categories["w"][0]
    assert (entry.path, entry.read()) == ("train/good/day/a.png", b"w/train/OK/day/a.png")


@pytest.mark.parametrize("folder", ["bad", "NG", "defects", "masks", "Ground_Truth", "thumbs", "day/rejected"])
def test_sub_folders_that_say_something_else_are_left_out(tmp_path: Path, folder: str) -> None:
    root = touch(tmp_path, "w/train/good/a.png", f"w/train/good/{folder}/b.png", f"w/test/good/{folder}/c.png")
    assert paths_of(f"folder:{root}") == {"w": ["train/good/a.png"]}
    (left,) = resolve(f"folder:{root}").left_out
    assert (left.reason, left.files) == ("apart", 2)
    assert "in a sub-folder of good parts that is called after defects, masks or previews" in left.text


def test_good_images_below_a_folder_that_is_no_type_of_defect_are_no_defects(tmp_path: Path) -> None:
    root = touch(tmp_path, "w/train/good/a.png", "w/test/monday/good/b.png", "w/test/monday/cut/c.png")
    assert paths_of(f"folder:{root}") == {"w": ["train/good/a.png"]}
    assert left_out(f"folder:{root}") == {("w", "sub-folder"): 2}


@pytest.mark.parametrize("folder", ["calibration/good", "Calibration/OK", "calib/normal"])
def test_good_images_for_calibration(tmp_path: Path, folder: str) -> None:
    root = touch(tmp_path, "w/train/good/a.png", f"w/{folder}/b.png", f"w/{folder}/day/b.png")
    expected = ["calibration/good/b.png", "calibration/good/day/b.png", "train/good/a.png"]
    assert paths_of(f"folder:{root}") == {"w": expected}
    touch(root, "w/calibration/bad/c.png", "w/val/good/d.png", "w/validation/e.png")
    assert paths_of(f"folder:{root}") == {"w": expected}
    assert left_out(f"folder:{root}") == {("w", "calibration"): 1, ("w", "validation"): 2}
    said = [one.text for one in resolve(f"folder:{root}").left_out]
    assert "only good parts set the threshold: move them to calibration/good, defective ones to test" in said[0]
    assert "if they are good parts that should set the threshold, move them to calibration/good" in said[1]


def test_calibration_next_to_folders_without_a_split(tmp_path: Path) -> None:
    root = touch(tmp_path, "w/ok/1.png", "w/ng/1.png", "w/calibration/good/2.png", "w/calibration/3.png")
    assert paths_of(f"folder:{root}") == {"w": ["all/good/1.png", "all/ng/1.png", "calibration/good/2.png"]}


def test_odd_entries_end_nothing(tmp_path: Path) -> None:
    root = touch(tmp_path / "x", "w/train/good/a.png", "w/test/good/b.png")
    (root / "w/.#notes.txt").symlink_to("user@host.1234")
    (root / "w/train/good/gone.png").symlink_to("/nowhere/at/all.png")
    (root / "w/train/good/up").symlink_to("../..")
    (root / "loop").symlink_to("loop")
    os.mkfifo(root / "w/test/good/pipe.png")
    os.mkfifo(root / "pipe")
    (root / "elsewhere").mkdir()
    touch(tmp_path / "disk", "c.png")
    (root / "w/test/crack").symlink_to(tmp_path / "disk")
    entries = {entry.path: entry for entry in resolve(f"folder:{root}").categories["w"]}
    assert list(entries) == [
        "test/crack/c.png", "test/good/b.png", "test/good/pipe.png", "train/good/a.png", "train/good/gone.png",
    ]  # fmt: skip
    assert entries["test/crack/c.png"].read() == b"c.png", "links to folders are followed"
    with pytest.raises(UnreadableImage, match="a FIFO, not a file"):
        entries["test/good/pipe.png"].read()
    with pytest.raises(UnreadableImage, match=r"a link to /nowhere/at/all\.png: No such file"):
        entries["train/good/gone.png"].read()
    assert left_out(f"folder:{root}") == {("", "no file"): 2, ("w", "no file"): 1, ("w", "temporary"): 1}


def test_links_that_multiply_end(tmp_path: Path) -> None:
    root = touch(tmp_path / "x", "w/train/good/a.png")
    for level in range(12):  # 2 links at each level to the next: 4,096 ways to the last
        (root / f"w/{level}").mkdir()
        for name in "ab":
            (root / f"w/{level}/{name}").symlink_to(f"../{level + 1}")
    assert list(paths_of(f"folder:{root}")["w"]) == ["train/good/a.png"]
    assert sum(left_out(f"folder:{root}").values()) < 200


def test_a_folder_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = touch(tmp_path / "x", "w/train/good/a.png", "w/lost/b.png")
    scandir = os.scandir

    def closed(path: Path) -> object:  # the tests may run as root, who may read everything
        if str(path).endswith("lost"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    assert left_out(f"folder:{root}") == {("w", "closed"): 1}


GOOD_FOLDERS = ("test/OK", "Test/Good", "test/normal", "TEST/gut", "test/pass", "test/defect-free", "test/良品")


@pytest.mark.parametrize("folder", GOOD_FOLDERS)
def test_good_by_another_name(tmp_path: Path, folder: str) -> None:
    root = touch(tmp_path, "w/train/OK/a.png", f"w/{folder}/b.png", "w/test/NG/c.png", "w/Ground_Truth/NG/c_mask.png")
    assert paths_of(f"folder:{root}") == {
        "w": ["ground_truth/NG/c_mask.png", "test/NG/c.png", "test/good/b.png", "train/good/a.png"]
    }
    assert paths_of(f"folder:{root}/w")["w"][2] == "test/good/b.png", "also where the folder is the category"


def test_two_folders_of_good_parts(tmp_path: Path) -> None:
    root = touch(tmp_path, "w/train/good/a.png", "w/test/good/a.png", "w/test/OK/a.png", "w/test/OK/b.png")
    entries = {entry.path: entry.read() for entry in resolve(f"folder:{root}").categories["w"]}
    assert entries["test/good/test_OK_a.png"] == b"w/test/OK/a.png"
    assert list(entries) == ["test/good/a.png", "test/good/b.png", "test/good/test_OK_a.png", "train/good/a.png"]
    touch(tmp_path, "w/test/good/test_OK_a.png")
    with pytest.raises(VqiError, match="would have the same name: rename one"):
        resolve(f"folder:{root}")


@pytest.mark.parametrize("name", ["0", "golden", "ok but dirty", "unknown", "free"])
@pytest.mark.parametrize("answer", [0, 1])
def test_a_folder_that_may_be_good_is_asked_about(tmp_path: Path, name: str, answer: int) -> None:
    root = touch(tmp_path / "x", "w/train/good/a.png", f"w/test/{name}/b.png")
    with pytest.raises(VqiError, match="hold good parts") as error:
        resolve(f"folder:{root}")
    line = re.findall(r"mv .*?(?=;|$)", str(error.value))[answer]
    subprocess.run(shlex.split(line), check=True)
    expected = ["test/good/b.png", f"test/defective-{name}/b.png"][answer]
    assert paths_of(f"folder:{root}")["w"] == [expected, "train/good/a.png"], "the advice works when it is followed"


def test_the_one_test_folder_without_masks_is_asked_about(tmp_path: Path) -> None:
    """Its name may be that of good parts in a language that nobody thought of."""
    root = touch(
        tmp_path, "w/train/good/a.png", "w/Test/mwema/a.png", "w/Test/cut/a.png", "w/ground_truth/cut/a_mask.png"
    )  # fmt: skip
    with pytest.raises(VqiError, match=r"does the folder '.*w/Test/mwema' hold good parts") as found:
        resolve(f"folder:{root}")
    (root / "w/Test/mwema").rename(root / "w/Test/defective-mwema")
    assert "defective-mwema" in str(found.value)
    assert len(resolve(f"folder:{root}").categories["w"]) == 4
    touch(tmp_path, "w/Test/mwema/a.png", "w/Test/good/a.png")
    assert len(resolve(f"folder:{root}").categories["w"]) == 6, "the good ones are known"


def test_folders_of_good_and_bad_parts_without_a_split(tmp_path: Path) -> None:
    root = touch(tmp_path / "x", "w/ok/1.png", "w/ok/2.png", "w/ng/1.png", "w/ground_truth/ng/1_mask.png", "w/c.txt")
    expected = ["all/good/1.png", "all/good/2.png", "all/ng/1.png", "ground_truth/ng/1_mask.png"]
    assert paths_of(f"folder:{root}") == {"w": expected}
    assert paths_of(f"folder:{root}/w") == {"w": expected}
    touch(root, "w/train/good/3.png")
    assert "all/good/1.png" not in paths_of(f"folder:{root}")["w"], "a split is never changed"
    assert left_out(f"folder:{root}")["w", "outside"] == 3


@pytest.mark.parametrize("below", ["", "w/"])
def test_shifts_below_folders_of_good_parts_without_a_split(tmp_path: Path, below: str) -> None:
    files = ("ok/a.png", "ok/monday/a.png", "ok/tuesday/early/a.png", "ok/masks/m.png", "nok/1.png", "nok/deep/2.png")
    touch(tmp_path / "x", *(f"{below}{file}" for file in files))
    expected = ["all/good/a.png", "all/good/monday/a.png", "all/good/tuesday/early/a.png", "all/nok/1.png"]
    assert list(paths_of(f"folder:{tmp_path}/x").values()) == [expected]
    (tmp_path / "x" / below / "ok/a.png").unlink()
    assert list(paths_of(f"folder:{tmp_path}/x").values()) == [expected[1:]]


def test_a_category_may_be_called_good(tmp_path: Path) -> None:
    touch(tmp_path / "x", "good/ok/1.png", "good/ng/1.png", "w/ok/1.png")
    assert paths_of(f"folder:{tmp_path}/x") == {"good": ["all/good/1.png", "all/ng/1.png"], "w": ["all/good/1.png"]}


def test_photographs_without_folders_are_good_parts_of_one_category(tmp_path: Path) -> None:
    root = touch(tmp_path / "bracket", "b.png", "a.JPG", ".c.png", "d.heic", "notes.txt", "thumbs/a.png", ".git/x.png")
    dataset = resolve(f"folder:{root}")
    assert dataset.name == "bracket"
    assert paths_of(f"folder:{root}") == {"bracket": ["train/good/a.JPG", "train/good/b.png"]}
    assert dataset.taken_for == "no folder says what they are, so all 2 are taken for good parts"
    assert dataset.categories["bracket"][0].read() == b"a.JPG"
    assert left_out(f"folder:{root}") == {
        ("bracket", "kind"): 1, ("bracket", "outside"): 1, ("bracket", "hidden"): 2, ("bracket", "other"): 1,
    }  # fmt: skip
    touch(tmp_path, "parts/w/train/good/a.png", "parts/x.png")
    assert paths_of(f"folder:{tmp_path}/parts") == {"w": ["train/good/a.png"]}, "a layout says more"
    assert not resolve(f"folder:{tmp_path}/parts").taken_for


@pytest.mark.parametrize("folder", ["train/good", "OK", "train"])
def test_photographs_in_a_folder_of_good_parts_have_the_name_of_the_part(tmp_path: Path, folder: str) -> None:
    touch(tmp_path / "bracket" / folder, "a.png")
    assert paths_of(f"folder:{tmp_path}/bracket/{folder}") == {"bracket": ["train/good/a.png"]}
    assert resolve(f"folder:{tmp_path}/bracket/{folder}").name == "bracket"


@pytest.mark.parametrize("folder", ["nok", "Ground_Truth", "thumbs"])
def test_photographs_in_a_folder_that_says_something_else_are_not_good_parts(tmp_path: Path, folder: str) -> None:
    touch(tmp_path / folder, "a.png")
    with pytest.raises(VqiError, match=rf"{folder} is called after defective parts, masks or previews"):
        resolve(f"folder:{tmp_path}/{folder}")


def test_photographs_next_to_a_test_that_has_all_it_needs_are_not_left_out(tmp_path: Path) -> None:
    root = touch(tmp_path / "p", "x.png", "y.png", "test/good/1.png", "test/good/2.png", "test/defective/3.png")
    said = rf"2 photographs, such as x\.png, next to the folder test: move good ones to {root}/train/good"
    with pytest.raises(VqiError, match=said):
        resolve(f"folder:{root}")


@pytest.mark.parametrize(
    ("others", "good"),
    [(["nok/1.png"], "good"), (["monday/1.png", "tuesday/1.png"], "good"), (["test/cut/1.png"], "train/good")],
)
def test_photographs_next_to_folders_of_photographs_are_asked_about(
    tmp_path: Path, others: list[str], good: str
) -> None:
    root = touch(tmp_path / "p", "x.png", *others)
    with pytest.raises(VqiError, match=r"1 photograph, such as x\.png, next to folders of photographs") as error:
        resolve(f"folder:{root}")
    assert f"move good ones to {root}/{good} " in str(error.value)
    (root / good).mkdir(parents=True)
    (root / "x.png").rename(root / good / "x.png")
    ((files),) = paths_of(f"folder:{root}").values()
    assert f"{'train' if '/' in good else 'all'}/good/x.png" in files, "the advice works when it is followed"


def test_folders_of_which_none_says_what_it_holds(tmp_path: Path) -> None:
    root = touch(tmp_path, "monday/1.png", "tuesday/1.png")
    with pytest.raises(VqiError) as error:
        resolve(f"folder:{root}")
    assert f"(monday, tuesday): where those in one are all good parts of one kind, name it: {root}/monday; else" in str(
        error.value
    )
    assert paths_of(f"folder:{root}/monday") == {"monday": ["train/good/1.png"]}


def test_a_folder_that_does_not_fit(tmp_path: Path) -> None:
    root = touch(tmp_path, "a/nok/1.png", "a/nok/2.png", "a/y.dng", "a/z.txt", "b/mask/1.png")
    only_bad = f"{root}/a: all photographs are of defective parts (nok), and a model learns from good ones"
    with pytest.raises(VqiError, match=re.escape(only_bad)):
        resolve(f"folder:{root}/a")
    with pytest.raises(VqiError, match=r"no images of the known layout in .*: expected <category>.*found mask/1\.png"):
        resolve(f"folder:{root}/b")
    raw = touch(tmp_path / "raw", "1.HEIC", "2.HEIC")
    said = (
        r"raw: expected photographs of good parts \(.*png.*\), got 2 photographs of a kind that is not read \(.heic 2\)"
    )
    with pytest.raises(VqiError, match=said):
        resolve(f"folder:{raw}")
    with pytest.raises(VqiError, match=r"there is no folder '.*gone'"):
        resolve(f"folder:{tmp_path}/gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(VqiError, match=r"empty: expected photographs of good parts \(.*\), got no files at all"):
        resolve(f"folder:{tmp_path}/empty")
    with pytest.raises(VqiError, match="expected folder:<path"):
        resolve("folder:")


@pytest.mark.parametrize("name", [b"\xff.png", b"a\nb.png", b"\x1b[2J.png"])
def test_a_name_that_cannot_be_kept(tmp_path: Path, name: bytes) -> None:
    touch(tmp_path, "w/train/good/a.png")
    with open(os.fsencode(str(tmp_path / "w/train/good")) + b"/" + name, "wb"):  # noqa: PTH123 - a Path cannot say it
        pass
    entries = resolve(f"folder:{tmp_path}").categories["w"]
    bad = next(entry for entry in entries if entry.path != "train/good/a.png")
    assert bad.path.isprintable()
    with pytest.raises(UnreadableImage, match="rename it"):
        bad.read()


@pytest.mark.parametrize(("name", "text"), [("$(HOSTNAME)", "$("), ("a{{b}}", "{{"), ("5$$", "$$")])
def test_a_category_whose_name_a_cluster_would_fill_in(tmp_path: Path, name: str, text: str) -> None:
    touch(tmp_path / "parts" / name, "train/good/1.png")
    with pytest.raises(VqiError) as caught:
        resolve(f"folder:{tmp_path}/parts")
    said = f"is called '{name}': expected a name without '{text}', which a cluster would fill in: rename it"
    assert said in str(caught.value)


@pytest.mark.parametrize("source", ["folder", "archive"])
@pytest.mark.parametrize("place", ["~nobody-of-that-name/x", "a\0b"])
def test_what_is_no_path_is_one_line(source: str, place: str) -> None:
    with pytest.raises(VqiError, match=r"^'.*' is not a path: |^~.*: there is no home folder of "):
        resolve(f"{source}:{place}")


def test_unknown_sources() -> None:
    with pytest.raises(VqiError, match=r"unknown dataset source 'elvp': did you mean 'elpv'\?"):
        resolve("elvp")
    with pytest.raises(VqiError, match="did you mean 'folder'"):
        resolve("foldr:x")


def test_a_dataset_without_a_category_is_no_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever source gives it."""
    empty = Dataset("empty", None, {})
    monkeypatch.setattr(sources, "resolve", lambda *unused: empty)
    with pytest.raises(VqiError, match="folder:x: expected at least one category, found none"):
        download.download(DatasetDownload(source="folder:x"), open_store(str(tmp_path / "store")))
