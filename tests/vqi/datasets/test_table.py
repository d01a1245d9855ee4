"""vqi.datasets.table: images that a table lists, wherever they are; a line that makes no sense is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from vqi.config import SourceRequest
from vqi.datasets.sources import resolve
from vqi.errors import VqiError
from vqi.store.opening import open_store
from vqi.store.s3 import S3Store


def write(root: Path, table: str, *images: str) -> str:
    for image in images:
        path = root / image
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image.encode())
    (root / "parts.csv").write_text(table)
    return f"csv:{root / 'parts.csv'}"


def content(source: str, request: SourceRequest | None = None) -> dict[str, dict[str, bytes]]:
    dataset = resolve(source, request or SourceRequest())
    return {name: {entry.path: entry.read() for entry in entries} for name, entries in dataset.categories.items()}


FULL = """path,split,label,defect_type,mask,category
a/1.png,train,0,,,nut
a/2.png,test,good,good,,nut
b/3.jpg,test,1,crack,m/3.bmp,nut
c/4.png,,bad,,,bolt
c/5.png,,,good,,bolt
"""
IMAGES = ("a/1.png", "a/2.png", "b/3.jpg", "m/3.bmp", "c/4.png", "c/5.png")
EXPECTED = {
    "nut": {
        "train/good/1.png": b"a/1.png",
        "test/good/2.png": b"a/2.png",
        "test/crack/3.jpg": b"b/3.jpg",
        "ground_truth/crack/3_mask.bmp": b"m/3.bmp",
    },
    "bolt": {"all/defective/4.png": b"c/4.png", "all/good/5.png": b"c/5.png"},
}


def test_a_local_table(tmp_path: Path) -> None:
    source = write(tmp_path, FULL, *IMAGES)
    assert content(source) == EXPECTED
    assert content(source, SourceRequest(only_categories=["nut"])) == {"nut": EXPECTED["nut"]}
    with pytest.raises(VqiError, match="did you mean 'nut'"):
        resolve(source, SourceRequest(only_categories=["nutt"]))


def test_behind_a_server(files: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    folder, url = files
    write(folder, FULL, *IMAGES)
    assert content(f"csv:{url}/parts.csv") == EXPECTED
    assert capsys.readouterr().err.count("fetch http") == 1, "one line for the table, none for each image"


def test_in_a_bucket(tmp_path: Path, s3_environment: object, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "t", FULL, *IMAGES)
    store = open_store(f"s3://vqi-tables/{tmp_path.name}")
    for name in (*IMAGES, "parts.csv"):
        store.put_file(name, tmp_path / "t" / name)
    fetched: list[str] = []
    get_version = S3Store.get_version
    monkeypatch.setattr(
        S3Store, "get_version", lambda self, one, path: (fetched.append(one.key), get_version(self, one, path))
    )
    assert content(f"csv:{store.uri}/parts.csv") == EXPECTED
    assert len(fetched) == len(IMAGES)
    store.put_bytes("a/1.png", b"changed")
    fetched.clear()
    assert content(f"csv:{store.uri}/parts.csv")["nut"]["train/good/1.png"] == b"changed"
    assert fetched == [f"{tmp_path.name}/a/1.png"], "only what is new"
    store.delete("b/3.jpg")
    with pytest.raises(VqiError, match=r"b/3\.jpg at .*: there is no such object"):
        content(f"csv:{store.uri}/parts.csv")


def test_signed_addresses(files: tuple[Path, str]) -> None:
    folder, url = files
    write(folder, f"path,label,mask\n{url}/a/1.png?sig=a/b,1,{url}/m/3.bmp?sig=c\n", "a/1.png", "m/3.bmp")
    found = content(f"csv:{url}/parts.csv?sig=x/y")["parts"]
    assert found == {"all/defective/1.png": b"a/1.png", "ground_truth/defective/1_mask.bmp": b"m/3.bmp"}


@pytest.mark.parametrize("place", ["/etc/secret.png", "file:///etc/secret.png", "~/secret.png"])
def test_a_table_from_elsewhere_names_no_local_file(files: tuple[Path, str], place: str) -> None:
    folder, url = files
    write(folder, f"path,label\n{place},0\n")
    with pytest.raises(VqiError, match="line 2: a table from elsewhere may not name files of this machine"):
        resolve(f"csv:{url}/parts.csv")


def test_absolute_places_and_the_tables_own_name(tmp_path: Path) -> None:
    write(tmp_path, "", "a/1.png")
    source = write(tmp_path, f"path,label\n{tmp_path}/a/1.png,0\nfile://{tmp_path}/a/1.png,0\n")
    with pytest.raises(VqiError, match="two images of the table would have the same name"):
        resolve(source)
    source = write(tmp_path, f"path,label,split\n{tmp_path}/a/1.png,0,train\n")
    assert content(source) == {"parts": {"train/good/1.png": b"a/1.png"}}


def test_images_of_the_same_name(tmp_path: Path) -> None:
    source = write(tmp_path, "path,label,split\na/1.png,0,train\nb/1.png,0,train\n", "a/1.png", "b/1.png")
    found = content(source)["parts"]
    assert found == {"train/good/a_1.png": b"a/1.png", "train/good/b_1.png": b"b/1.png"}, "wherever the table lies"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("path,label\na.txt,0\n", "line 2: expected the path of an image"),
        ("path,label\na.png,0\n,0\n", "line 3: expected the path of an image"),
        ("path,label\na.png,0,more\n", "line 2: expected .* one value per column"),
        ("path,label,split\na.png,0,valid\n", "line 2: expected split train, test or nothing, got 'valid'"),
        ("path,label\na.png,7\n", "line 2: expected label 0, 1, good or bad, or a defect_type, got '7'"),
        ("path,label\na.png,\n", "line 2: expected label"),
        ("path,label,defect_type\na.png,0,crack\n", "do not fit together"),
        ("path,label,defect_type\na.png,1,a/b\n", "do not fit together"),
        ("path,label,split\na.png,1,train\n", "line 2: a defective image cannot train"),
        ("path,label,category\na.png,0,a/b\n", "a category has no slash"),
        ("path,label,category\na.png,0,..\n", r"a category of 'parts' is called '\.\.'"),
        ("path,label,category\na.png,0,.hidden\n", "is called '.hidden'"),
        ("path,defect_type\na.png,..\n", r"has a file 'all/\.\./a\.png'"),
        ("path,label,mask\na.png,1,m/none\n", "line 2: expected an image as mask, got 'm/none'"),
        ("path,label\nftp://host/a.png,0\n", "'ftp://host/a.png' cannot be read"),
        ("path,label\na.png,0\na.png,0\n", "is listed twice"),
        ("path,lable\na.png,0\n", "unknown column 'lable': did you mean 'label'"),
        ("path\na.png\n", "expected the columns path and label or defect_type, got path"),
        ("path,label\n", "lists no images"),
        ("", "expected the columns path and label or defect_type, got none"),
        ('path,label\n"a.png,0\n', "is not a CSV table"),
    ],
)
def test_lines_that_make_no_sense(tmp_path: Path, table: str, message: str) -> None:
    with pytest.raises(VqiError, match=message):
        resolve(write(tmp_path, table))


def test_places_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(VqiError, match=r"cannot read /nowhere/parts\.csv: No such file"):
        resolve("csv:/nowhere/parts.csv")
    with pytest.raises(VqiError, match="needs a table"):
        resolve("csv:")
    dataset = resolve(write(tmp_path, "path,label\ngone.png,0\n"))
    with pytest.raises(VqiError, match=r"cannot read .*gone\.png: .* is the path in the table right"):
        dataset.categories["parts"][0].read()
