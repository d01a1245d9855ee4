"""vqi.datasets.public: consent, addresses, and each dataset's layout and split on a miniature of it."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.vqi.datasets.test_archive import content, packed
from vqi.config import Division, SourceRequest
from vqi.datasets import public
from vqi.datasets.arrangements import ARRANGEMENTS
from vqi.datasets.sources import SOURCES, TAKE_URL, resolve
from vqi.datasets.splits import divide
from vqi.digests import sha256_file
from vqi.errors import VqiError

ACCEPT = SourceRequest(accept_license=True)


def test_the_records() -> None:
    assert public.origins().keys() == TAKE_URL == {name for name, module in SOURCES.items() if module == "public"}
    for name, origin in public.origins().items():
        assert origin.arrangement in ARRANGEMENTS
        assert all(url.startswith("https://") for url in origin.urls)
        assert re.fullmatch("([0-9a-f]{64})?", origin.sha256)
        assert bool(origin.sha256) == bool(origin.sha256_stated_by)
        assert "commercial use" in origin.licence.notice
        assert origin.urls or name == "mpdd"
    assert len(public.origins()["mvtec-ad"].categories) == 15
    assert len(public.origins()["visa"].categories) == 12


@pytest.mark.parametrize("name", public.origins())
def test_nothing_happens_without_consent(name: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for refused in ("", "n", "yess"):
        monkeypatch.setenv("USER_CONSENT", refused)
        with pytest.raises(
            VqiError, match=r"is under (CC BY-NC-SA 4\.0|no stated licence) .*USER_CONSENT=y .*accept_license to true"
        ):
            resolve(name)
    assert not cache.exists()


@pytest.mark.parametrize("consent", ["y", "Y", "yes "])
def test_consent(consent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER_CONSENT", consent)
    with pytest.raises(VqiError, match="no archive at /nowhere"):
        resolve("mvtec-ad", SourceRequest(url="/nowhere"))


def test_mvtec_and_its_digest(
    tmp_path: Path, make_defect_dataset: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_defect_dataset(tmp_path / "m", ["bottle", "screw"], train=2, good=1, defective=1, size=16)
    (root / "readme.txt").write_text("hello")
    archive = packed(root, tmp_path / "mvtec_anomaly_detection.tar.xz")
    with pytest.raises(VqiError, match="expected sha256 cf4313b1"):
        resolve("mvtec-ad", SourceRequest(url=str(archive), accept_license=True))
    own = SourceRequest(url=str(archive), sha256=sha256_file(archive), accept_license=True)
    dataset = resolve("mvtec-ad", own)
    assert (dataset.name, dataset.licence and dataset.licence.name) == ("mvtec-ad", "CC BY-NC-SA 4.0")
    assert content(dataset) == content(resolve(f"folder:{root}"))
    assert "no sha256 is known" not in capsys.readouterr().err
    one = resolve("mvtec-ad", own.model_copy(update={"only_categories": ["screw"]}))
    assert list(one.categories) == ["screw"]


def test_an_unknown_category_is_said_before_anything_is_fetched() -> None:
    with pytest.raises(VqiError, match="unknown category 'screws': did you mean 'screw'"):
        resolve("mvtec-ad", SourceRequest(accept_license=True, only_categories=["screws"]))
    with pytest.raises(VqiError, match="set 'url' instead"):
        resolve("mvtec-ad:screw", ACCEPT)


def test_mirrors(
    tmp_path: Path,
    files: tuple[Path, str],
    make_defect_dataset: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, url = files
    packed(make_defect_dataset(tmp_path / "m", ["bottle"], train=2, size=16), folder / "m.zip")
    origin = public.origins()["mvtec-ad"]
    moved = public.replace(origin, urls=(f"{url}/moved.zip", f"{url}/m.zip"), sha256="")
    monkeypatch.setattr(public, "origins", lambda: {"mvtec-ad": moved})
    assert list(resolve("mvtec-ad", ACCEPT).categories) == ["bottle"]
    assert "answers 404 File not found" in capsys.readouterr().err
    gone = public.replace(origin, urls=(f"{url}/moved.zip",))
    monkeypatch.setattr(public, "origins", lambda: {"mvtec-ad": gone})
    with pytest.raises(VqiError, match="find the new one and set 'url'"):
        resolve("mvtec-ad", ACCEPT)


def test_a_stated_digest_holds_for_another_address_too(tmp_path: Path) -> None:
    (tmp_path / "VisA.tar").write_bytes(bytes(10240))
    with pytest.raises(VqiError, match="expected sha256 2eb8690c"):
        resolve("visa", SourceRequest(url=str(tmp_path / "VisA.tar"), accept_license=True))


def grey(value: int, ending: str = "png", size: tuple[int, int] = (24, 24)) -> bytes:
    out = io.BytesIO()
    noise = np.random.default_rng(value).integers(0, 60, (size[1], size[0]))
    Image.fromarray((noise + value % 100).astype(np.uint8)).save(out, {"jpg": "JPEG", "bmp": "BMP"}.get(ending, "PNG"))
    return out.getvalue()


def blob(marked: bool, ending: str = "png") -> bytes:
    out = io.BytesIO()
    pixels = np.zeros((24, 24), np.uint8)
    pixels[3:6, 3:6] = 255 * marked
    Image.fromarray(pixels).save(out, {"bmp": "BMP"}.get(ending, "PNG"))
    return out.getvalue()


def tree(root: Path, files: dict[str, bytes]) -> Path:
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return root


def paths(
    name: str, archive: Path, monkeypatch: pytest.MonkeyPatch, options: Division | None = None
) -> dict[str, list[str]]:
    """The paths in a miniature by category, whose digest is not that of the whole dataset."""
    miniature = public.replace(public.origins()[name], sha256="")
    monkeypatch.setattr(public, "origins", lambda: {name: miniature})
    dataset = resolve(name, SourceRequest(url=str(archive), accept_license=True))
    dataset = divide(dataset, options) if options else dataset
    return {category: sorted(e.path for e in entries) for category, entries in dataset.categories.items()}


def test_visa(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = "object,split,label,image,mask\n"
    made: dict[str, bytes] = {}
    for category in ("candle", "pcb1"):
        for number, (split, label) in enumerate([("train", "normal"), ("test", "normal"), ("test", "anomaly")]):
            kind = label.capitalize()
            image, mask = f"{category}/Data/Images/{kind}/{number:03}.JPG", ""
            made[image] = grey(number, "jpg")
            if label == "anomaly":
                mask = f"{category}/Data/Masks/Anomaly/{number:03}.png"
                made[mask] = blob(True)
            table += f"{category},{split},{label},{image},{mask}\n"
        made[f"{category}/image_anno.csv"] = b"image,label,mask\n"
    root = tree(tmp_path / "v", {**made, "split_csv/1cls.csv": table.encode(), "split_csv/2cls_highshot.csv": b"x"})
    expected = ["ground_truth/anomaly/002_mask.png", "test/anomaly/002.JPG", "test/good/001.JPG", "train/good/000.JPG"]
    for around in ("", "VisA_20220922/"):
        archive = packed(root, tmp_path / f"v{len(around)}.tar", around)
        with monkeypatch.context() as patch:
            assert paths("visa", archive, patch) == {"candle": expected, "pcb1": expected}


def test_visa_without_its_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree(tmp_path / "v", {"candle/Data/Images/Normal/0.JPG": grey(0, "jpg")})
    with pytest.raises(VqiError, match=r"expected one table split_csv/1cls\.csv with the split, found 0"):
        paths("visa", packed(root, tmp_path / "v.tar"), monkeypatch)


def test_btad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {}
    for category, ending in (("01", "bmp"), ("02", "png"), ("03", "bmp")):
        made[f"{category}/train/ok/0000.{ending}"] = grey(1, ending)
        made[f"{category}/test/ok/0001.{ending}"] = grey(2, ending)
        made[f"{category}/test/ko/0002.{ending}"] = grey(3, ending)
        made[f"{category}/ground_truth/ko/0002.png"] = blob(True)
    archive = packed(tree(tmp_path / "b", made), tmp_path / "btad.zip", "BTech_Dataset_transformed/")
    found = paths("btad", archive, monkeypatch)
    assert list(found) == ["01", "02", "03"]
    assert found["01"] == [
        "ground_truth/ko/0002_mask.png",
        "test/good/0001.bmp",
        "test/ko/0002.bmp",
        "train/good/0000.bmp",
    ]


def test_kolektor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {}
    for number in range(5):
        for part in range(2):
            made[f"kos{number:02}/Part{part}.jpg"] = grey(10 * number + part, "jpg")
            made[f"kos{number:02}/Part{part}_label.bmp"] = blob((number, part) == (3, 1), "bmp")
    archive = packed(tree(tmp_path / "k", made), tmp_path / "KolektorSDD.zip", "KolektorSDD/")
    (found,) = paths("kolektor-sdd", archive, monkeypatch, Division(train_fraction=2 / 3)).values()
    assert [path for path in found if "defective" in path] == [
        "ground_truth/defective/kos03_Part1_mask.bmp",
        "test/defective/kos03_Part1.jpg",
    ]
    folders = [path.rpartition("/")[0] for path in found]
    assert (folders.count("train/good"), folders.count("test/good")) == (6, 3)
    (tmp_path / "k/kos00/Part0_label.bmp").unlink()
    with pytest.raises(VqiError, match=r"kos00/Part0\.jpg has no .*Part0_label\.bmp"):
        paths("kolektor-sdd", packed(tmp_path / "k", tmp_path / "k.zip"), monkeypatch)


def test_mpdd(tmp_path: Path, make_defect_dataset: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    """Offered by a web page for people only; its layout is MVTec AD's, in a folder as the page packs it."""
    with pytest.raises(
        VqiError, match=r"download its archive by hand, as https://github.com/stepanje/MPDD says.*'url'"
    ):
        resolve("mpdd", ACCEPT)
    root = make_defect_dataset(tmp_path / "m", ["bracket_black", "tubes"], train=2, good=1, defective=1, size=16)
    archive = packed(root, tmp_path / "MPDD.zip", "MPDD/")
    dataset = resolve("mpdd", ACCEPT.model_copy(update={"url": str(archive)}))
    assert content(dataset) == content(resolve(f"folder:{root}"))
    assert re.search("no sha256 is known for mpdd; set sha256=[0-9a-f]{64}", capsys.readouterr().err)


def test_magnetic_tile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {}
    for kind, count in (("Free", 10), ("Blowhole", 2), ("Uneven", 1)):
        for number in range(count):
            stem = f"MT_{kind}/Imgs/exp1_num_{number}"
            made[f"{stem}.jpg"] = grey(37 * number + count, "jpg")
            if (kind, number) != ("Free", 3):  # one of the real ones has no mask either
                made[f"{stem}.png"] = blob(kind != "Free")
    made["README.md"] = b"cite us"
    around = "Magnetic-tile-defect-datasets.-master/"
    archive = packed(tree(tmp_path / "t", made), tmp_path / "t.zip", around)
    (found,) = paths("magnetic-tile", archive, monkeypatch, Division()).values()
    folders = [path.rpartition("/")[0] for path in found]
    assert (folders.count("train/good"), folders.count("test/good")) == (8, 2)
    assert [path for path in found if "good" not in path] == [
        "ground_truth/blowhole/exp1_num_0_mask.png",
        "ground_truth/blowhole/exp1_num_1_mask.png",
        "ground_truth/uneven/exp1_num_0_mask.png",
        "test/blowhole/exp1_num_0.jpg",
        "test/blowhole/exp1_num_1.jpg",
        "test/uneven/exp1_num_0.jpg",
    ]
