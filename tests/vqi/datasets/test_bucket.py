"""vqi.datasets.bucket on a real S3 server: snapshots, only what is new, the same again from a snapshot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from vqi.config import DatasetDownload, SourceRequest
from vqi.datasets.download import download
from vqi.datasets.sources import resolve
from vqi.errors import VqiError
from vqi.store.interface import VersionInfo
from vqi.store.opening import open_store, read_uri
from vqi.store.s3 import S3Store


@pytest.fixture
def bucket(tmp_path: Path, s3_environment: object, make_defect_dataset: Callable[..., Path]) -> S3Store:
    root = make_defect_dataset(tmp_path / "parts", ["bracket", "fabric"], train=3, good=2, defective=1, size=16)
    store = open_store(f"s3://vqi-bucket/{tmp_path.name}/parts")
    assert isinstance(store, S3Store)
    for path in root.rglob("*.png"):
        store.put_file(path.relative_to(root).as_posix(), path)
    return store


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys that were asked for."""
    keys: list[str] = []
    get_version = S3Store.get_version

    def noted(self: S3Store, version: VersionInfo, path: Path) -> None:
        keys.append(version.key)
        get_version(self, version, path)

    monkeypatch.setattr(S3Store, "get_version", noted)
    return keys


def test_the_same_as_the_folder(bucket: S3Store, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    handle = download(DatasetDownload(source=f"bucket:{bucket.uri}"), store)
    assert handle.uri == download(DatasetDownload(source=f"folder:{tmp_path / 'parts'}"), store).uri
    assert handle.catalog.source == f"bucket:{bucket.uri}"
    assert handle.catalog.categories["fabric"].image_sizes == {"16x16": 7}


def test_only_what_is_new_is_fetched(bucket: S3Store, fetched: list[str], tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    first = download(DatasetDownload(source=f"bucket:{bucket.uri}"), store)
    assert len(fetched) == 2 * 9
    fetched.clear()
    bucket.put_bytes("fabric/train/good/new.png", b"new")
    bucket.put_bytes("fabric/test/good/000.png", b"changed")
    second = download(DatasetDownload(source=f"bucket:{bucket.uri}"), store)
    assert sorted(fetched) == ["fabric/test/good/000.png", "fabric/train/good/new.png"]
    assert second.uri != first.uri


def test_a_snapshot_gives_the_same_again(bucket: S3Store, fetched: list[str], tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    first = download(DatasetDownload(source=f"bucket:{bucket.uri}"), store)
    snapshot = f"{first.uri}/snapshot.json"
    objects = json.loads(read_uri(snapshot))["objects"]
    assert [one["key"] for one in objects] == sorted(one["key"] for one in objects)
    assert {"key", "etag", "size"} == set(objects[0])
    bucket.put_bytes("fabric/train/good/new.png", b"new")
    other = open_store(str(tmp_path / "other"))
    again = download(DatasetDownload(source=f"bucket:{bucket.uri}#snapshot={snapshot}"), other)
    assert again.catalog.digest == first.catalog.digest
    assert read_uri(f"{again.uri}/snapshot.json") == read_uri(snapshot)


def test_what_a_snapshot_names_and_the_bucket_has_no_more(
    bucket: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = download(DatasetDownload(source=f"bucket:{bucket.uri}"), open_store(str(tmp_path / "store")))
    bucket.put_bytes("fabric/test/good/000.png", b"changed")
    source = f"bucket:{bucket.uri}#snapshot={first.uri}/snapshot.json"
    assert resolve(source).categories, "the cache still has it"
    monkeypatch.setenv("VQI_CACHE", str(tmp_path / "empty"))
    with pytest.raises(VqiError, match=r"fabric/test/good/000\.png changed since it was listed .* new snapshot"):
        resolve(source)


def test_one_category_fetches_no_other(bucket: S3Store, fetched: list[str]) -> None:
    dataset = resolve(f"bucket:{bucket.uri}", SourceRequest(only_categories=["fabric"]))
    assert list(dataset.categories) == ["fabric"]
    assert {key.partition("/")[0] for key in fetched} == {"fabric"}
    with pytest.raises(VqiError, match="did you mean 'fabric'"):
        resolve(f"bucket:{bucket.uri}", SourceRequest(only_categories=["fabrik"]))


def test_a_killed_process_leaves_no_half_object(bucket: S3Store, cache: Path) -> None:
    (cache / "objects" / "00").mkdir(parents=True)
    (cache / "objects" / "00" / ".tmp-left").write_bytes(b"half")
    assert resolve(f"bucket:{bucket.uri}").categories


@pytest.mark.parametrize("argument", ["", "/a/path", "http://host/x"])
def test_other_places(argument: str) -> None:
    with pytest.raises(VqiError, match="expected bucket:s3://bucket/prefix"):
        resolve(f"bucket:{argument}")


def test_bad_snapshots(bucket: S3Store, tmp_path: Path) -> None:
    for text in ("no json", "[]", '{"objects": [{"key": "a"}]}'):
        (tmp_path / "s.json").write_text(text)
        with pytest.raises(VqiError, match="is not a snapshot: expected the snapshot"):
            resolve(f"bucket:{bucket.uri}#snapshot={tmp_path / 's.json'}")
    (tmp_path / "s.json").write_text('{"format": "vqi.snapshot/1", "uri": "s3://other", "objects": []}')
    with pytest.raises(VqiError, match="is a snapshot of 's3://other'"):
        resolve(f"bucket:{bucket.uri}#snapshot={tmp_path / 's.json'}")


def test_a_bucket_that_is_not_there(s3_environment: object) -> None:
    with pytest.raises(VqiError, match="there is no bucket 'vqi-gone'"):
        resolve("bucket:s3://vqi-gone/x")
