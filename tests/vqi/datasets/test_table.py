"""vqi.datasets.table: images that a table lists, wherever they are; a line that makes no sense is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import fuzz_cases
from vqi.config import SourceRequest
from vqi.datasets.layout import place_of
from vqi.datasets.sources import resolve
from vqi.datasets.table_rows import read_table
from vqi.errors import VqiError
from vqi.photographs.decoding import UnreadableImage
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


def test_groups_are_sub_folders_and_calibration_is_a_split(tmp_path: Path) -> None:
    table = "path,split,label,group,mask\n1.png,train,0,2024/05,\n2.png,train,0,-,\n3.png,Calibration,0,late.1,\n"
    source = write(tmp_path, f"{table}4.png,test,1,late.1,m.png\n", "1.png", "2.png", "3.png", "4.png", "m.png")
    assert content(source)["parts"] == {
        "train/good/2024%2F05/1.png": b"1.png",
        "train/good/2.png": b"2.png",
        "calibration/good/late.1/3.png": b"3.png",
        "test/defective/late.1/4.png": b"4.png",
        "ground_truth/defective/late.1/4_mask.png": b"m.png",
    }
    assert all(place_of(path) is not None for path in content(source)["parts"])


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
    entries = {entry.path: entry for entry in resolve(f"csv:{store.uri}/parts.csv").categories["nut"]}
    assert entries["test/good/2.png"].read() == b"a/2.png"
    with pytest.raises(UnreadableImage, match=r"b/3\.jpg at .*: there is no such object"):
        entries["test/crack/3.jpg"].read()


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
        ("path,label\na.png,0\n,0\n", "line 3: expected the path of an image"),
        ("path,label\na.png,0,more\n", "line 2: expected one value per column, 2, got 3"),
        (
            "path,label,split\na.png,0,valid\n",
            "line 2: expected split train, calibration, test or nothing, got 'valid'; good",
        ),
        ("path,label\na.png,7\n", "line 2: expected label 0, 1, good or bad, or a defect_type, got '7'"),
        ("path,label\na.png,\n", "line 2: expected label"),
        ("path,label,defect_type\na.png,0,crack\n", "do not fit together"),
        ("path,label,defect_type\na.png,1,a/b\n", "do not fit together"),
        ("path,label,split\na.png,1,train\n", "line 2: a defective image cannot train"),
        ("path,label,split\na.png,1,calibration\n", "line 2: a defective image cannot set the threshold"),
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
        ("path,label\na.png,-1\n", "expected label 0, 1, good or bad"),
        ("path,label\na.png,true\n", "expected label 0, 1, good or bad"),
        ("path,label\na.png,crack\n", "types of defects belong into the column defect_type"),
        ("path,defect_type\na.png,golden\n", "is defect_type 'golden' a good part"),
        ("path,defect_type\na.png,nan\n", "expected label 0, 1, good or bad"),
        ("path,ok,ng\na.png,1,1\n", "ok '1' do not fit together"),
        ("path,is_anomaly\na.png,maybe\n", "expected 0, 1, true or false as is_anomaly, got 'maybe'"),
        ("path;label;splitt\na.png;0;test\n", "unknown column 'splitt': did you mean 'split'"),
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
    with pytest.raises(VqiError, match=r"cannot read a\\x00\.csv: embedded null byte"):
        resolve("csv:a\0.csv")


@pytest.mark.parametrize("path", ["gone.png", "folder.png", "pipe.png", "notes.dng", "~nobody-of-that-name/a.png"])
def test_one_bad_file_is_not_the_end(tmp_path: Path, path: str) -> None:
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    source = write(tmp_path, f"path,label,mask\na.png,0,\n{path},0,\nb.png,1,gone_mask.png\n", "a.png", "b.png")
    good, bad, defective, mask = resolve(source).categories["parts"]
    assert (good.read(), defective.read()) == (b"a.png", b"b.png")
    for entry in (bad, mask):
        with pytest.raises(UnreadableImage):
            entry.read()


def test_a_file_that_its_server_has_not(files: tuple[Path, str]) -> None:
    folder, url = files
    write(folder, "path,label\na.png,0\nb.png,0\n", "a.png")
    good, bad = resolve(f"csv:{url}/parts.csv").categories["parts"]
    assert good.read() == b"a.png"
    with pytest.raises(UnreadableImage, match="the server answers 404"):
        bad.read()


PLAIN = {"all/good/1.png": b"1.png", "all/defective/2.png": b"2.png"}
TABLES = {
    "semicolons": b"path;label\n1.png;good\n2.png;bad\n",
    "tabs": b"path\tlabel\n1.png\tgood\n2.png\tbad\n",
    "bars": b"path|label\n1.png|good\n2.png|bad\n",
    "mark of UTF-8": b"\xef\xbb\xbfpath,label\r\n1.png,good\r\n2.png,bad\r\n",
    "UTF-16": "path\tlabel\r\n1.png\tgood\r\n2.png\tbad\r\n".encode("utf-16"),
    "separator named": b"sep=;\r\npath;label\r\n1.png;good\r\n2.png;bad\r\n",
    "everything in quotes": b'"path";"label"\r\n"1.png";"good"\r\n"2.png";"bad"\r\n',
    "old line ends": b"path,label\r1.png,good\r2.png,bad\r",
    "blank lines": b"\n\npath,label\n\n1.png,good\n,\n2.png,bad\n\n",
    "blanks": b" Path , LABEL \n 1.png , Good \n 2.png , BAD \n",
    "index of pandas": b",path,label\n0,1.png,good\n1,2.png,bad\n",
    "index of R": b'"path","label"\n"1","1.png","good"\n"2","2.png","bad"\n',
    "other columns": b"id,operator,path,label,remark\n7,me,1.png,good,\n8,me,2.png,bad,deep\n",
    "other names": b"image_path,label_index,Class\n1.png,0,good\n2.png,1,bad\n",
    "commas at the end": b"path,label\n1.png,good,,\n2.png,bad,,\n",
    "a column of yes and no": b"filename,is_anomaly\n1.png,False\n2.png,TRUE\n",
    "a column of good": b"file,OK\n1.png,1\n2.png,0\n",
    "no defect": b"path,defect_type\n1.png,none\n2.png,defective\n",
    "floats": b"path,label\n1.png,0.0\n2.png,1.0\n",
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_as_people_have_them(tmp_path: Path, name: str) -> None:
    source = write(tmp_path, "", "1.png", "2.png")
    (tmp_path / "parts.csv").write_bytes(TABLES[name])
    assert content(source) == {"parts": PLAIN}


LABELS = "OK NG, pass FAIL, gut schlecht, io nio, 正常 不良, Normal Anomaly, non-defective defective, ok not-ok"


@pytest.mark.parametrize(("good", "bad"), [pair.split() for pair in LABELS.split(", ")])
def test_labels_as_people_write_them(tmp_path: Path, good: str, bad: str) -> None:
    assert content(write(tmp_path, f"path,label\n1.png,{good}\n2.png,{bad}\n", "1.png", "2.png")) == {"parts": PLAIN}


def test_paths_with_backslashes_throughout(tmp_path: Path) -> None:
    source = write(tmp_path, "path,label,mask\na\\1.png,ok,\na\\2.png,ng,m\\2.png\n", "a/1.png", "a/2.png", "m/2.png")
    assert content(source)["parts"] == {
        "all/good/1.png": b"a/1.png",
        "all/defective/2.png": b"a/2.png",
        "ground_truth/defective/2_mask.png": b"m/2.png",
    }


def test_columns_that_mean_nothing_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    resolve(write(tmp_path, "path,label,operator\n1.png,ok,me\n"))
    assert "columns that mean nothing here are left out: operator" in capsys.readouterr().err


def refusal(data: bytes) -> str:
    """What is said of a table that is refused; '' of one that is read."""
    try:
        return "" if read_table(data, "t.csv", ".", "t") else "nothing"
    except VqiError as error:
        return str(error)


@given(data=st.binary(max_size=200) | st.text('pathlbe,;\t"\n01good.\r', max_size=200).map(str.encode))
@settings(max_examples=fuzz_cases(100, 3000))
def test_any_bytes_are_a_table_or_one_line(data: bytes) -> None:
    assert not refusal(data) or (refusal(data).startswith("t.csv") and "\n" not in refusal(data))


@given(data=st.data())
@settings(max_examples=fuzz_cases(100, 3000))
def test_a_damaged_table_is_read_or_refused_in_one_line(data: st.DataObject) -> None:
    text = bytearray(TABLES[data.draw(st.sampled_from(sorted(TABLES)))])
    for _ in range(data.draw(st.integers(1, 4))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    assert refusal(bytes(text)) == "" or refusal(bytes(text)).startswith(("t.csv", "two images"))
