"""vqi.datasets.shards: fetched once, named by content, complete or absent."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from vqi.config import DatasetDownload
from vqi.datasets import download as making
from vqi.datasets.catalogs import dataset_uri
from vqi.datasets.download import download
from vqi.datasets.shards import open_shard
from vqi.digests import sha256_file
from vqi.errors import VqiError
from vqi.store.interface import Store
from vqi.store.opening import open_store
from vqi.transfer.unpacking import spool

Make = Callable[..., Path]


@pytest.fixture(params=["file", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "file":
        return open_store(str(tmp_path / "store"))
    request.getfixturevalue("s3_environment")
    return open_store(f"s3://vqi-shards/{tmp_path.name}")


@pytest.fixture
def parts(tmp_path: Path, make_defect_dataset: Make) -> Path:
    return make_defect_dataset(tmp_path / "parts", ["bracket", "fabric"], train=3, good=2, defective=1, size=16)


def test_round_trip(store: Store, parts: Path, tmp_path: Path) -> None:
    handle = download(DatasetDownload(source=f"folder:{parts}"), store)
    name = handle.uri.removeprefix(f"{store.uri}/")
    assert name.startswith("datasets/parts@")
    assert len(name) == len("datasets/parts@") + 12
    assert handle.categories == ["bracket", "fabric"]
    counts = {"ground_truth/scratch": 1, "ground_truth/spot": 1, "test/good": 2, "test/scratch": 1, "test/spot": 1}
    assert handle.catalog.categories["fabric"].files == counts | {"train/good": 3}
    shard = open_shard(handle.uri, "fabric", tmp_path / "scratch")
    assert shard.path.parent == tmp_path / "scratch"
    assert shard.sha256 == sha256_file(shard.path)
    with zipfile.ZipFile(shard.path) as archive:
        assert {i.compress_type for i in archive.infolist()} == {zipfile.ZIP_STORED}
        assert {i.date_time for i in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        content = {i.filename: archive.read(i) for i in archive.infolist()}
    expected = {p.relative_to(parts / "fabric").as_posix(): p.read_bytes() for p in (parts / "fabric").rglob("*.png")}
    assert content == expected
    assert list(content) == sorted(content)


@pytest.mark.parametrize("odd", ["line @ 2 % ", "..bracket", "a\\b", "a%2Fb"])
def test_names_that_a_store_would_take_for_something_else(
    store: Store, make_defect_dataset: Make, tmp_path: Path, odd: str
) -> None:
    category = odd.lstrip(".")  # hidden ones are refused
    parts = make_defect_dataset(tmp_path / odd, [category, "a"], train=1, good=0, defective=0, size=16)
    handle = download(DatasetDownload(source=f"folder:{parts}"), store)
    assert handle.catalog.name == odd
    assert handle.categories == sorted([category, "a"])
    path = open_shard(handle.uri, category, tmp_path / "scratch").path
    with zipfile.ZipFile(path) as archive:
        assert archive.read("train/good/000.png") == (parts / category / "train/good/000.png").read_bytes()


def test_what_is_complete_is_not_written_again(store: Store, parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = download(DatasetDownload(source=f"folder:{parts}"), store)

    def no_writing(*_: object) -> None:
        raise AssertionError("written again")

    monkeypatch.setattr(store, "put_file", no_writing)
    monkeypatch.setattr(store, "put_bytes", no_writing)
    assert download(DatasetDownload(source=f"folder:{parts}"), store) == first


def test_the_name_is_that_of_the_content(store: Store, parts: Path) -> None:
    everything = download(DatasetDownload(source=f"folder:{parts}"), store)
    both = DatasetDownload(source=f"folder:{parts}", only_categories=["fabric", "bracket", "fabric"])
    assert download(both, store).uri == everything.uri
    one = download(DatasetDownload(source=f"folder:{parts}", only_categories=["fabric"]), store)
    assert one.categories == ["fabric"]
    assert one.uri != everything.uri
    (parts / "fabric/train/good/000.png").rename(parts / "fabric/train/good/zzz.png")
    assert download(DatasetDownload(source=f"folder:{parts}"), store).uri != everything.uri


def test_same_images_same_shards_whenever_and_wherever(parts: Path, tmp_path: Path) -> None:
    digests = []
    for number in (1, 2):
        store = open_store(str(tmp_path / f"store{number}"))
        for path in parts.rglob("*.png"):
            os.utime(path, (number * 1_000_000_000,) * 2)
        catalog = download(DatasetDownload(source=f"folder:{parts}"), store).catalog
        digests.append([entry.sha256 for entry in catalog.categories.values()])
    assert digests[0] == digests[1]


def test_an_interrupted_download_is_not_complete_and_goes_on(
    store: Store, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_file = store.put_file

    def dies_at_the_second(key: str, path: Path) -> None:
        if key.endswith("fabric.zip"):
            raise KeyboardInterrupt
        put_file(key, path)

    with monkeypatch.context() as patch:
        patch.setattr(store, "put_file", dies_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            download(DatasetDownload(source=f"folder:{parts}"), store)
    (half,) = list(store.list("datasets/"))
    assert half.key.endswith("bracket.zip")
    with pytest.raises(VqiError, match=r"no complete dataset .*catalog\.json is missing; run dataset_download"):
        open_shard(store.uri_of(half.key.rpartition("/")[0]), "bracket", tmp_path)
    handle = download(DatasetDownload(source=f"folder:{parts}"), store)
    assert open_shard(handle.uri, "fabric", tmp_path).path.is_file()


def test_a_lost_shard_is_written_again(parts: Path, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    handle = download(DatasetDownload(source=f"folder:{parts}"), store)
    shard = Path(handle.uri.removeprefix("file://")) / "fabric.zip"
    shard.unlink()
    assert download(DatasetDownload(source=f"folder:{parts}"), store) == handle
    assert shard.is_file()


def test_a_shard_that_was_cut_is_written_again(parts: Path, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    handle = download(DatasetDownload(source=f"folder:{parts}"), store)
    shard = Path(handle.uri.removeprefix("file://")) / "fabric.zip"
    shard.write_bytes(shard.read_bytes()[:100])
    assert download(DatasetDownload(source=f"folder:{parts}"), store) == handle
    assert sha256_file(shard) == handle.catalog.categories["fabric"].sha256


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff\xfe", b'{"format": "vqi.dataset/1"}', b"[" * 100_000])
@pytest.mark.parametrize("noted", [True, False])
def test_a_damaged_manifest_is_a_miss_that_is_said_once(
    parts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: bytes, noted: bool
) -> None:
    store = open_store(str(tmp_path / "store"))
    handle = download(DatasetDownload(source=f"folder:{parts}"), store)
    folder = Path(handle.uri.removeprefix("file://"))
    (folder / "catalog.json").write_bytes(text)
    if not noted:
        (folder / ".sha256" / "catalog.json").unlink()
    for times in (1, 0):
        capsys.readouterr()
        assert download(DatasetDownload(source=f"folder:{parts}"), store) == handle
        assert capsys.readouterr().err.count("a damaged manifest of the dataset is replaced") == times
    assert open_shard(handle.uri, "fabric", tmp_path / "out").sha256 == handle.catalog.categories["fabric"].sha256


def test_what_was_left_out_travels_with_the_manifest(store: Store, parts: Path, tmp_path: Path) -> None:
    first = download(DatasetDownload(source=f"folder:{parts}"), store)
    (parts / "fabric/train/good/x.dng").touch()
    (parts / "bracket/train/good/.hidden").touch()
    (parts / "notes.txt").touch()
    second = download(DatasetDownload(source=f"folder:{parts}"), store)
    assert second.uri == first.uri, "the dataset is the same"
    assert first.address == first.uri
    assert dataset_uri(second.address) == second.uri != second.address, "a step that says what was left out runs again"
    shard = open_shard(second.address, "fabric", tmp_path / "out")
    assert [(one.category, one.reason, one.files) for one in shard.left_out] == [
        ("", "other", 1),
        ("fabric", "kind", 1),
    ]
    (parts / "notes.txt").unlink()
    third = download(DatasetDownload(source=f"folder:{parts}"), store)
    assert len(third.catalog.left_out) == 2, "as it is now"
    assert third.address not in (first.address, second.address)


def test_what_cannot_be_read_belongs_to_the_dataset(store: Store, parts: Path, tmp_path: Path) -> None:
    first = download(DatasetDownload(source=f"folder:{parts}"), store)
    (parts / "fabric/train/good/zz.png").symlink_to("/nowhere")
    second = download(DatasetDownload(source=f"folder:{parts}"), store)
    assert second.uri != first.uri, "its images may be too many bad ones"
    (bad,) = open_shard(second.uri, "fabric", tmp_path / "out").unreadable
    assert (bad.path, bad.reason.split(":")[0]) == ("train/good/zz.png", "a link to /nowhere")
    assert open_shard(second.uri, "bracket", tmp_path / "out").unreadable == ()


def test_a_dataset_of_which_nothing_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("path,label\n1.png,ok\n2.png,ng\n")
    with pytest.raises(VqiError, match=r"none of the 2 images of 't' can be read, .*are the paths right"):
        download(DatasetDownload(source=f"csv:{tmp_path}/t.csv"), open_store(str(tmp_path / "store")))


def test_unknown_categories(store: Store, parts: Path, tmp_path: Path) -> None:
    with pytest.raises(VqiError, match=r"unknown category 'fabrik': did you mean 'fabric'\?"):
        download(DatasetDownload(source=f"folder:{parts}", only_categories=["fabrik"]), store)
    assert list(store.list()) == []
    handle = download(DatasetDownload(source=f"folder:{parts}"), store)
    with pytest.raises(VqiError, match=r"unknown category 'braket': did you mean 'bracket'\?"):
        open_shard(handle.uri, "braket", tmp_path)


def test_a_damaged_shard_is_caught(parts: Path, tmp_path: Path) -> None:
    handle = download(DatasetDownload(source=f"folder:{parts}"), open_store(str(tmp_path / "store")))
    folder = Path(handle.uri.removeprefix("file://"))
    shard = folder / "fabric.zip"
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    with pytest.raises(VqiError, match="corrupted: expected sha256"):
        open_shard(handle.uri, "fabric", tmp_path / "out")
    (folder / ".sha256" / "fabric.zip").unlink()  # copied without its digest: the catalog still knows
    with pytest.raises(VqiError, match="damaged: expected sha256"):
        open_shard(handle.uri, "fabric", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"format": "other/1"})])
def test_a_damaged_catalog_is_caught(tmp_path: Path, text: str) -> None:
    (tmp_path / "catalog.json").write_text(text)
    with pytest.raises(VqiError, match="catalog"):
        open_shard(str(tmp_path), "fabric", tmp_path / "out")


def test_an_image_that_changes_meanwhile_is_caught(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_manifest = making.read_manifest

    def then_change(dataset: making.Dataset) -> making.Manifest:
        manifest = read_manifest(dataset)
        (parts / "fabric/train/good/000.png").write_bytes(b"other")
        return manifest

    monkeypatch.setattr(making, "read_manifest", then_change)
    store = open_store(str(tmp_path / "store"))
    with pytest.raises(VqiError, match=r"train/good/000\.png changed while"):
        download(DatasetDownload(source=f"folder:{parts}"), store)
    assert not [i for i in store.list() if i.key.endswith("catalog.json")]


def test_no_room_to_pack(parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "SPARE_BYTES", 1 << 60)
    store = open_store(str(tmp_path / "store"))
    with pytest.raises(VqiError, match=r"no room in .* name a folder on a larger disk in TMPDIR"):
        download(DatasetDownload(source=f"folder:{parts}"), store)
    assert not list(store.list())


def test_the_licence_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    handle = download(DatasetDownload(source="elpv", only_categories=["mono"]), open_store(str(tmp_path)))
    assert "CC BY-NC-SA 4.0" in capsys.readouterr().err
    assert handle.catalog.licence.name == "CC BY-NC-SA 4.0"
    assert open_shard(handle.uri, "mono", tmp_path / "out").licence == handle.catalog.licence
