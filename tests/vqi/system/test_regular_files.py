"""vqi.system.regular_files: what opens, and what must not be waited for."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from vqi.system.regular_files import open_regular


def test_a_file_and_a_link_to_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").symlink_to("a")
    for name in ("a", "b"):
        with open_regular(tmp_path / name) as file:
            assert file.read() == b"1"


def test_what_has_no_end_or_lets_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
    for path in (tmp_path / "pipe", tmp_path / "socket", Path("/dev/zero"), tmp_path, tmp_path / "none"):
        with pytest.raises(OSError, match=path.name):
            open_regular(path)
