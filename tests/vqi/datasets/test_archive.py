"""vqi.datasets.archive: archives in the layout, from a path, a server and a bucket; and only what was asked for."""

from __future__ import annotations

import hashlib
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.vqi.transfer.unpacking.crafted import names, plain, special, tar_of
from vqi.config import SourceRequest
from vqi.datasets.layout import Dataset
from vqi.datasets.sources import resolve
from vqi.errors import VqiError
from vqi.photographs.decoding import UnreadableImage
from vqi.store.opening import open_store
from vqi.transfer.unpacking.unpack import Spool

Make = Callable[..., Path]


@pytest.fixture
def parts(tmp_path: Path, make_defect_dataset: Make) -> Path:
    return make_defect_dataset(tmp_path / "parts", ["bracket", "fabric"], train=3, good=2, defective=1, size=16)


def content(dataset: Dataset) -> dict[str, dict[str, bytes]]:
    return {name: {entry.path: entry.read() for entry in entries} for name, entries in dataset.categories.items()}


def packed(root: Path, target: Path, around: str = "") -> Path:
    """The tree as an archive, below the folder ``around``."""
    paths = sorted(path for path in root.rglob("*") if path.is_file())
    if target.suffix == ".zip":
        with zipfile.ZipFile(target, "w") as archive:
            for path in paths:
                archive.write(path, f"{around}{path.relative_to(root)}")
        return target
    if target.suffix == ".zst":
        plain_tar = packed(root, target.with_suffix(""), around)
        from backports import zstd

        target.write_bytes(zstd.compress(plain_tar.read_bytes()))
        return target
    mode = {".gz": "w:gz", ".xz": "w:xz", ".bz2": "w:bz2"}.get(target.suffix, "w")
    with tarfile.open(target, mode) as tar:
        for path in paths:
            tar.add(path, f"{around}{path.relative_to(root)}")
    return target


@pytest.mark.parametrize("name", ["p.tar", "p.tar.gz", "p.tar.bz2", "p.tar.xz", "p.tar.zst", "p.zip"])
@pytest.mark.parametrize("around", ["", "./", "a/b/"])
def test_the_same_as_the_folder(tmp_path: Path, parts: Path, name: str, around: str) -> None:
    archive = packed(parts, tmp_path / name, around)
    dataset = resolve(f"archive:{archive}")
    assert dataset.name == "p"
    assert content(dataset) == content(resolve(f"folder:{parts}"))


def test_what_the_tar_command_packs(tmp_path: Path, parts: Path) -> None:
    subprocess.run(["tar", "-czf", tmp_path / "p.tgz", "-C", parts, "."], check=True)
    assert content(resolve(f"archive:{tmp_path / 'p.tgz'}")) == content(resolve(f"folder:{parts}"))


@pytest.mark.parametrize("around", ["", "train/", "a/test/"])
def test_sub_folders_and_calibration_as_in_a_folder(tmp_path: Path, around: str) -> None:
    for path in (
        "train/good/day 1/late/a.png",
        "train/good/a.png",
        "train/good/test/a.png",
        "calibration/good/x/b.png",
    ):
        (tmp_path / "p" / "w" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "p" / "w" / path).write_bytes(path.encode())
    archive = packed(tmp_path / "p", tmp_path / "q.zip", around)
    dataset = resolve(f"archive:{archive}")
    assert content(dataset) == content(resolve(f"folder:{tmp_path / 'p'}"))
    assert len(dataset.categories["w"]) == 4


def test_one_category_reads_what_it_needs(tmp_path: Path, parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = packed(parts, tmp_path / "p.tar.gz")
    added: list[str] = []
    add = Spool.add
    monkeypatch.setattr(Spool, "add", lambda self, name, *rest: (added.append(name), add(self, name, *rest))[1])
    dataset = resolve(f"archive:{archive}", SourceRequest(only_categories=["fabric"]))
    assert list(dataset.categories) == ["fabric"]
    assert added
    assert all(name.startswith("fabric/") for name in added)


def test_an_archive_that_is_one_category(tmp_path: Path, parts: Path) -> None:
    archive = packed(parts / "bracket", tmp_path / "widget.zip")
    assert content(resolve(f"archive:{archive}")) == {"widget": content(resolve(f"folder:{parts}"))["bracket"]}


def test_over_http(files: tuple[Path, str], parts: Path, cache: Path) -> None:
    folder, url = files
    archive = packed(parts, folder / "p.tar.xz")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    dataset = resolve(f"archive:{url}/p.tar.xz", SourceRequest(sha256=digest))
    assert content(dataset) == content(resolve(f"folder:{parts}"))
    assert [path.suffix for path in sorted(cache.iterdir())] == [".xz", ".json", ".lock"]
    archive.unlink()
    assert content(resolve(f"archive:{url}/p.tar.xz", SourceRequest(sha256=digest))), "it is in the cache"


def test_from_a_bucket(s3_environment: object, tmp_path: Path, parts: Path, cache: Path) -> None:
    store = open_store(f"s3://vqi-archives/{tmp_path.name}")
    store.put_file("ä b/p.zip", packed(parts, tmp_path / "p.zip"))
    assert content(resolve(f"archive:{store.uri}/ä b/p.zip")) == content(resolve(f"folder:{parts}"))
    assert not [path for path in cache.iterdir() if "Signature" in path.name]
    with pytest.raises(VqiError, match="there is no such object"):
        resolve(f"archive:{store.uri}/gone.zip")


@pytest.mark.parametrize("place", ["path", "http"])
def test_wrong_digest(tmp_path: Path, files: tuple[Path, str], parts: Path, place: str) -> None:
    archive = packed(parts, files[0] / "p.zip")
    source = f"archive:{archive}" if place == "path" else f"archive:{files[1]}/p.zip"
    with pytest.raises(VqiError, match=f"expected sha256 {'0' * 64}, got [0-9a-f]{{64}}; nothing was unpacked"):
        resolve(source, SourceRequest(sha256="0" * 64))


def test_a_category_twice(tmp_path: Path) -> None:
    (tmp_path / "p.tar").write_bytes(names("a/w/train/good/1.png", "b/w/train/good/1.png"))
    with pytest.raises(VqiError, match="has category 'w' twice: a/w/train/good/1"):
        resolve(f"archive:{tmp_path / 'p.tar'}")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("", "needs a place"),
        ("/nowhere/p.tar", "no archive at /nowhere/p.tar"),
        ("ftp://host/p.tar", "cannot be fetched: expected http"),
    ],
)
def test_bad_places(argument: str, message: str) -> None:
    with pytest.raises(VqiError, match=message):
        resolve(f"archive:{argument}")


def test_nothing_of_the_layout(tmp_path: Path) -> None:
    (tmp_path / "p.tar").write_bytes(names("readme.txt", "a/b.png"))
    with pytest.raises(VqiError, match=r"no images of the known layout in archive 'p': expected <category>/train/good"):
        resolve(f"archive:{tmp_path / 'p.tar'}")


def test_an_unknown_category(tmp_path: Path) -> None:
    (tmp_path / "p.tar").write_bytes(names("widget/train/good/1.png"))
    with pytest.raises(VqiError, match="unknown category 'widgit': did you mean 'widget'"):
        resolve(f"archive:{tmp_path / 'p.tar'}", SourceRequest(only_categories=["widgit"]))


def test_odd_members_and_what_is_left_out(tmp_path: Path) -> None:
    data = tar_of(
        plain("a/w/train/good/1.png"), special("a/w/train/good/2.png", tarfile.LNKTYPE, "a/backup/3.png"),
        plain("a/backup/3.png", b"three"), special("a/w/train/good/4.png", tarfile.SYMTYPE, "../5.png"),
        special("a/.#lock", tarfile.SYMTYPE, "user@host"), special("a/latest", tarfile.SYMTYPE, "w"),
        plain("a/w/train/good/6.dng"), plain("a/v/train/good/7.png"), plain("a/v/test/8.png"),
        plain("a/w/test/OK/9.png"),
    )  # fmt: skip
    (tmp_path / "p.tar").write_bytes(data)
    dataset = resolve(f"archive:{tmp_path / 'p.tar'}", SourceRequest(only_categories=["w"]))
    entries = {entry.path: entry for entry in dataset.categories["w"]}
    assert set(entries) == {"train/good/1.png", "train/good/2.png", "train/good/4.png", "test/good/9.png"}
    assert entries["train/good/2.png"].read() == b"three"
    with pytest.raises(UnreadableImage, match=r"a link to '\.\./5\.png': pack the files themselves \(tar -h\)"):
        entries["train/good/4.png"].read()
    found = {(one.category, one.reason): one.files for one in dataset.left_out}
    assert found == {("", "outside"): 1, ("", "temporary"): 1, ("", "no file"): 1, ("w", "kind"): 1}


def test_folders_of_good_and_bad_parts_alone(tmp_path: Path) -> None:
    (tmp_path / "p.tar").write_bytes(names("w/ok/1.png", "w/ng/2.png"))
    with pytest.raises(VqiError, match=r"2 images outside the layout.*unpack it and write folder:"):
        resolve(f"archive:{tmp_path / 'p.tar'}")


def test_a_folder_that_may_be_good(tmp_path: Path) -> None:
    (tmp_path / "p.tar").write_bytes(names("w/train/good/1.png", "w/test/golden/2.png"))
    with pytest.raises(VqiError, match="does the folder 'w/test/golden' hold good parts"):
        resolve(f"archive:{tmp_path / 'p.tar'}")


def test_a_hostile_archive(tmp_path: Path) -> None:
    (tmp_path / "p.tar").write_bytes(tar_of(plain("w/train/good/1.png"), plain("../x")))
    with pytest.raises(VqiError, match=r"archive p\.tar is refused: '\.\./x' leaves the folder"):
        resolve(f"archive:{tmp_path / 'p.tar'}")


def test_parameters_that_a_source_does_not_take(parts: Path) -> None:
    with pytest.raises(VqiError, match="the source 'folder' takes no sha256: only archive, btad"):
        resolve(f"folder:{parts}", SourceRequest(sha256="0" * 64))
    with pytest.raises(VqiError, match="the source 'archive' takes no url"):
        resolve("archive:x", SourceRequest(url="y"))
