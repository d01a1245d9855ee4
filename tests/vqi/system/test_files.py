"""Regular files are read, and nothing else is waited for."""

import os
from pathlib import Path

import pytest

from vqi.system.files import open_regular, read_regular


def test_a_file_and_a_link_to_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "b").symlink_to("a")
    assert read_regular(tmp_path / "a", 3) == read_regular(tmp_path / "b", 3) == b"abc"
    with pytest.raises(OSError, match="has 3 bytes, at most 2 are read"):
        read_regular(tmp_path / "a", 2)


@pytest.mark.parametrize("kind", ["a named pipe", "a folder", "a device"])
def test_what_is_none(tmp_path: Path, kind: str) -> None:
    path = Path("/dev/zero") if kind == "a device" else tmp_path / "x"
    if kind == "a named pipe":
        os.mkfifo(path)
    elif kind == "a folder":
        path.mkdir()
    with pytest.raises(OSError, match=f"is {kind}, not a file") as error:
        open_regular(path)
    assert error.value.filename == str(path)
