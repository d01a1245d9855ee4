"""The photographs that a user names: files, folders, patterns, addresses."""

from pathlib import Path

import pytest

from tests.conftest import SeaweedFS
from vqi.models.inputs import find_images, images_below
from vqi.models.reading import Failure, Stored
from vqi.store.opening import open_store


def found(*names: str | Path, patterns: bool = False) -> list[str]:
    """Names of what was found; of what was not, the error."""
    return [
        str(one.error) if isinstance(one, Failure) else one.name if isinstance(one, Stored) else str(one)
        for one in find_images(names, patterns=patterns)
    ]


def test_folders_are_searched_to_the_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("b/2.png", "b/deep/1.JPG", "b/notes.txt", "b/.hidden/3.png", "b/.4.png", "a.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    assert found("b", "a.png") == ["b/2.png", "b/deep/1.JPG", "a.png"]
    assert found(Path("b/notes.txt")) == ["b/notes.txt"], "a file that is named is tried"
    assert found(f"file://{tmp_path}/b/2.png") == [f"{tmp_path}/b/2.png"]
    assert [str(path) for path in images_below(Path("b"))] == ["b/2.png", "b/deep/1.JPG"]
    assert found("*.png") == ["*.png: no such file or folder"]
    assert found("*", patterns=True) == ["a.png", "b/2.png", "b/deep/1.JPG"]


def test_what_is_not_there(tmp_path: Path) -> None:
    assert found(tmp_path / "gone") == [f"{tmp_path}/gone: no such file or folder"]
    (none,) = found(tmp_path)
    assert none.startswith(f"{tmp_path}: expected image files (")
    assert found("", "a\0b", "file://x") == [
        "expected a path, got an empty text",
        "'a\\x00b' is not a path: a path has no character of value 0",
        "'file://x' is not an absolute file URI: expected file:///absolute/path",
    ]
    (unknown,) = found("ftp://x/y")
    assert unknown.startswith("unknown kind of store 'ftp://'")


def test_objects_of_a_store(s3_environment: SeaweedFS, capsys: pytest.CaptureFixture[str]) -> None:
    store = open_store("s3://photographs/line 1")
    for key in ("day/b.png", "day/a.jpg", "day/notes.txt", "day/c.heic", ".hidden/x.png", "day/.y.png"):
        store.put_bytes(key, key.encode())
    day = "s3://photographs/line 1/day"
    assert found("s3://photographs/line 1") == [f"{day}/a.jpg", f"{day}/b.png"]
    assert found(f"{day}/") == found(day) == [f"{day}/a.jpg", f"{day}/b.png"]
    (one,) = find_images([f"{day}/notes.txt"])
    assert isinstance(one, Stored), "an object that is named is tried"
    assert one.read() == b"day/notes.txt"
    assert "note: 1 file in s3://photographs/line 1/day left out" in capsys.readouterr().err
    (nothing,) = found("s3://photographs/line 2")
    assert nothing.startswith("s3://photographs/line 2: expected image files (")


def test_a_store_that_cannot_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VQI_S3_ENDPOINT", raising=False)
    (error,) = found("s3://photographs/x")
    assert "VQI_S3_ENDPOINT" in error
