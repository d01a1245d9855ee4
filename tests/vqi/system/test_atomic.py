"""What is written is there completely or not at all, whoever writes and however it ends."""

import errno
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vqi.system.atomic import atomic_path, clear_old, is_temporary, write_text


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_what_fails_leaves_what_was_there(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b.txt", "old")
    with pytest.raises(ZeroDivisionError), atomic_path(tmp_path / "a" / "b.txt") as path:
        path.write_text("half")
        raise ZeroDivisionError
    assert (tmp_path / "a" / "b.txt").read_text() == "old"
    assert left(tmp_path) == ["a", "b.txt"]


def test_two_writers_at_once_do_not_meet(tmp_path: Path) -> None:
    """With a name that both use, one would get the bytes of the other, or nothing to rename."""
    texts = [str(number) * 200_000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: write_text(tmp_path / "one.txt", text), texts * 10))
    assert (tmp_path / "one.txt").read_text() in texts
    assert left(tmp_path) == ["one.txt"]


def test_a_folder_takes_the_place_of_one_with_files(tmp_path: Path) -> None:
    for content in ("old", "new"):
        with atomic_path(tmp_path / "images") as folder:
            folder.mkdir()
            (folder / content).write_text(content)
    assert left(tmp_path) == ["images", "new"]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("mine")
    (tmp_path / "folder").mkdir()
    for name, to in (("file", "elsewhere"), ("to-folder", "folder"), ("to-nothing", "nothing")):
        (tmp_path / name).symlink_to(to)
        write_text(tmp_path / name, "written")
        assert not (tmp_path / name).is_symlink()
        assert (tmp_path / name).read_text() == "written"
    assert (tmp_path / "elsewhere").read_text() == "mine"
    assert list((tmp_path / "folder").iterdir()) == []


def test_a_link_can_be_written_too(tmp_path: Path) -> None:
    for run in ("one", "two"):
        (tmp_path / run).mkdir()
        with atomic_path(tmp_path / "latest") as link:
            link.symlink_to(run)
    assert (tmp_path / "latest").readlink() == Path("two")
    with pytest.raises(ZeroDivisionError), atomic_path(tmp_path / "latest") as link:
        link.symlink_to("one")
        raise ZeroDivisionError
    assert left(tmp_path) == ["latest", "one", "two"]


def test_a_device_or_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    (tmp_path / "stdout").symlink_to("/proc/self/fd/1")
    for name in ("pipe", "null", "stdout"):
        with pytest.raises(OSError, match="is a device, a pipe or a socket"):
            write_text(tmp_path / name, "text")
    assert left(tmp_path) == ["null", "pipe", "stdout"]
    assert (tmp_path / "pipe").is_fifo()


def test_permissions_are_those_of_the_umask_or_those_asked_for(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        for name, mode in (("own", None), ("all", 0o644)):
            with atomic_path(tmp_path / name, mode) as path:
                path.write_text("text")
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("own", "all")] == [0o600, 0o644]


def test_an_error_names_what_was_to_be_written(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space") as full, atomic_path(tmp_path / "table.csv"):
        raise OSError(errno.ENOSPC, "No space left on device")  # as a write reports it
    assert full.value.filename == str(tmp_path / "table.csv")
    with pytest.raises(FileNotFoundError) as inside, atomic_path(tmp_path / "images") as folder:
        (folder / "index.csv").write_text("")
    assert inside.value.filename == str(tmp_path / "images" / "index.csv")
    with pytest.raises(FileNotFoundError) as other, atomic_path(tmp_path / "images"):
        (tmp_path / "source").read_bytes()
    assert other.value.filename == str(tmp_path / "source")
    with pytest.raises(ConnectionError) as network, atomic_path(tmp_path / "images"):
        raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
    assert network.value.filename is None


def test_what_a_killed_process_leaves_can_be_told(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom vqi.system.atomic import atomic_path\n"
        "with atomic_path(Path(sys.argv[1])) as path:\n    path.write_text('half')\n    print('there', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "table.csv")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        process.kill()
    (name,) = left(tmp_path)
    assert is_temporary(name)
    assert not is_temporary("table.csv")


def test_what_a_killed_writer_left_is_removed_a_day_later(tmp_path: Path) -> None:
    old, new, other = (tmp_path / name for name in (".tmp-old", ".tmp-new", "old"))
    for path in (old, new, other):
        path.mkdir()
        (path / "file").touch()
    for path in (old, other):
        os.utime(path, (0, 0))
    clear_old(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".tmp-new", "old"]
