"""vqi.datasets.advice: what to write instead of a wrong source is what works."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

from vqi.datasets.sources import resolve, split_source
from vqi.errors import VqiError


def proposed(source: str) -> str:
    """What the error for a source says to write."""
    with pytest.raises(VqiError) as error:
        resolve(source)
    return re.findall(r"write '([^']+)'", str(error.value))[0]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("https://host/parts.zip", "archive:https://host/parts.zip"),
        ("https://host/parts.tar.zst", "archive:https://host/parts.tar.zst"),
        ("https://host/download?id=3", "archive:https://host/download?id=3"),
        ("https://host/parts.csv?sig=a/b", "csv:https://host/parts.csv?sig=a/b"),
        ("file:///data/parts", "folder:file:///data/parts"),
        ("s3://bucket/parts", "folder:s3://bucket/parts"),
        ("s3://bucket/parts.zip", "archive:s3://bucket/parts.zip"),
        ("parts", "folder:parts"),
        ("./archive.zip", "archive:./archive.zip"),
        ("table.csv", "csv:table.csv"),
        ("~/parts", "folder:~/parts"),
        ("C:\\data\\parts", "folder:C:\\data\\parts"),
        ("folder:https://host/parts.zip", "archive:https://host/parts.zip"),
        ("folder:parts.csv", "csv:parts.csv"),
        ("csv:parts.tgz", "archive:parts.tgz"),
        ("bucket:https://host/p.zip", "archive:https://host/p.zip"),
    ],
)
def test_what_to_write(given: str, expected: str) -> None:
    assert proposed(given) == expected
    assert split_source(expected)[1] in given


def test_the_advice_is_right_when_it_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = tmp_path / "folder" / "w" / "train" / "good" / "a.png"  # called as a source is
    image.parent.mkdir(parents=True)
    image.write_bytes(b"a")
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.write(image, "w/train/good/a.png")
    (tmp_path / "p.csv").write_text(f"path,label,category,split\n{image},good,w,train\n")
    monkeypatch.chdir(tmp_path)
    places = [f"{tmp_path}/folder", f"file://{tmp_path}/folder", "./folder", "folder/../folder", "p.zip", "p.csv"]
    wrong = [f"archive:{tmp_path}/folder", f"csv:{tmp_path}/folder", "folder:p.zip", "bucket:folder", "archive:p.csv"]
    for given in [*places, *wrong]:
        dataset = resolve(proposed(given))
        assert [entry.read() for entry in dataset.categories["w"]] == [b"a"], given


def test_misspelt_names_and_servers_without_folders() -> None:
    for given, meant in (("elvp", "elpv"), ("Folder:/x", "folder"), ("arhive:/x.zip", "archive")):
        with pytest.raises(VqiError, match=f"did you mean '{meant}'"):
            resolve(given)
    with pytest.raises(VqiError, match=r"pack it as a zip, and write archive:<its address>"):
        resolve("folder:https://host/parts")
    with pytest.raises(VqiError, match="the sources are archive, btad, bucket, csv"):
        resolve("nothing of the kind")
