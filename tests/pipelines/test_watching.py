"""``vqi predict --watch``: each photograph of a folder once, as soon as it is completely written."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.pipelines.test_predict import CLOSED
from vqi.errors import VqiError
from vqi_pipelines.commands import watching
from vqi_pipelines.commands.watching import Seen, Sight, until_signalled, watched

ROOT = Path(__file__).parents[2]
LONG = 60.0  # seconds that a busy machine may take


def draw(path: Path, value: int = 150) -> None:
    Image.new("RGB", (8, 8), (value, value, value)).save(path)


class Watching:
    """The command on folder ``in`` with the made-up model of test_predict, in a process of its own."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.output = folder / "out.csv"
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
        command = [sys.executable, "-c", CLOSED, "--watch", "in", "-o", "out.csv", *arguments]
        self.process = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)

    def rows(self) -> list[dict[str, str]]:
        return list(csv.DictReader(self.output.read_text().splitlines())) if self.output.exists() else []

    def wait_for(self, count: int) -> list[str]:
        """The names in the rows, once there are so many."""
        until = time.monotonic() + LONG
        while len(self.rows()) < count and time.monotonic() < until and self.process.poll() is None:
            time.sleep(0.05)
        return [row["path"] for row in self.rows()]

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=LONG)
        return self.process.returncode, said


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "in").mkdir()
    return tmp_path


@pytest.mark.slow
def test_each_photograph_has_one_row_whatever_happens_meanwhile(folder: Path) -> None:
    draw(folder / "in" / "first.png")
    running = Watching(folder, "--maps", "maps")
    assert running.wait_for(1) == ["in/first.png"]
    draw(folder / "in" / "second.png", 50)
    (folder / "in" / "deep").mkdir()
    draw(folder / "in" / "deep" / "third.png")
    (folder / "in" / "bad.png").write_bytes(b"no image")
    draw(folder / "in" / ".hidden.png")
    (folder / "in" / "notes.txt").touch()
    assert sorted(running.wait_for(4)) == ["in/bad.png", "in/deep/third.png", "in/first.png", "in/second.png"]
    assert running.stop() == (3, "error: in/bad.png: not an image of a known format (PNG, JPEG, TIFF, BMP, WebP, GIF, "
                                 "JPEG 2000 or PNM), it starts with b'no image'\n")  # fmt: skip

    draw(folder / "in" / "while away.png")
    draw(folder / "in" / "second.png", 200)  # the same name, other contents
    with (folder / "out.csv").open("a") as file:
        file.write("half a ro")  # as a crash leaves it
    again = Watching(folder, "--maps", "maps", "--fail-on-anomaly")
    names = again.wait_for(6)
    assert sorted(names[4:]) == ["in/second.png", "in/while away.png"], "no other for a second time"
    assert again.stop(signal.SIGINT) == (1, "")
    rows = again.rows()
    assert len(rows) == 6
    assert [row["score"] for row in rows if row["path"] == "in/second.png"] == ["50.0", "200.0"]
    maps = [row["map"] for row in rows if row["map"]]
    assert len(set(maps)) == 5, "the pictures of a later run do not replace those of an earlier one"
    assert all((folder / name).is_file() for name in maps)


@pytest.mark.slow
def test_a_file_is_left_alone_until_it_is_written(folder: Path) -> None:
    draw(folder / "whole.png")
    data = (folder / "whole.png").read_bytes()
    stop, seen = threading.Event(), Seen(folder / "in", None)
    with (folder / "in" / "slow.png").open("wb") as file, until_signalled():
        file.write(data[:20])
        file.flush()
        found = watched(folder / "in", seen, stop)
        threading.Timer(2 * watching.SETTLED, draw, [folder / "in" / "other.png"]).start()
        assert next(found).name == "other.png", "the one that is open for writing is not taken, though it rests"
        file.write(data[20:])
        file.close()
        assert next(found).name == "slow.png"
        stop.set()
        assert list(found) == []
    assert seen.has(folder / "in" / "slow.png", Sight(len(data), (folder / "in" / "slow.png").stat().st_mtime_ns))


@pytest.mark.slow
def test_files_that_grow_vanish_or_are_empty(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_is_being_written", lambda path: False)  # as on a disk that does not tell
    monkeypatch.setattr(watching, "EMPTY", 4.0)
    stop = threading.Event()
    growing, gone, empty = (folder / "in" / name for name in ("growing.png", "gone.png", "empty.png"))
    for path in (growing, gone):
        path.write_bytes(b"x")
    empty.touch()

    def grow() -> None:
        for _ in range(10):
            time.sleep(watching.SETTLED / 4)
            with growing.open("ab") as file:
                file.write(b"x")

    writer = threading.Thread(target=grow)
    with until_signalled():
        found = watched(folder / "in", Seen(folder / "in", None), stop)
        gone.unlink()
        writer.start()
        assert next(found) == growing
        assert growing.stat().st_size == 11, "not before it rests"
        writer.join()
        assert next(found) == empty
        stop.set()
        assert list(found) == []


def test_the_folder_itself(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "SEARCH", 0.0)
    with pytest.raises(VqiError, match=r"--watch .*: expected a folder, got nothing"):
        next(watched(folder / "none", Seen(folder, None), threading.Event()))
    with until_signalled():
        draw(folder / "in" / "a.png")
        found = watched(folder / "in", Seen(folder / "in", None), threading.Event())
        assert next(found).name == "a.png"
        shutil.rmtree(folder / "in")
        with pytest.raises(VqiError, match="the folder is gone"):
            next(found)


def test_what_is_noted(folder: Path) -> None:
    notes, a, b = folder / "notes", folder / "in" / "a.png", folder / "in" / os.fsdecode(b"\xff.png")
    for path in (a, b):
        path.touch()
    with Seen(folder / "in", notes) as seen:
        seen.note(a, Sight(1, 2))
        seen.note(b, Sight(3, 4))
        seen.note(a, Sight(5, 6))
    with notes.open("ab") as file:
        file.write(b'{"path": "half')
    with Seen(folder / "in", notes) as seen:
        assert seen.has(a, Sight(5, 6))
        assert not seen.has(a, Sight(1, 2))
        assert seen.has(b, Sight(3, 4))
        assert seen.scored == 3
    a.unlink()
    with Seen(folder / "in", notes) as seen:
        assert not seen.has(a, Sight(5, 6)), "what is gone is forgotten"
        assert seen.scored == 3
    assert len(notes.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nonsense\n", "line 1: "),
        ("", "line 1: "),
        ('{"format": "vqi.watched/0"}\n', "format 'vqi.watched/0', expected 'vqi.watched/1'"),
        ('{"format": "vqi.watched/1", "folder": "/other", "scored": 0}\n', "folder '/other'"),
        ('{"format": "vqi.watched/1", "folder": "FOLDER", "scored": 0}\n{"path": "x"}\n', "line 2: 'size'"),
    ],
)
def test_notes_that_are_none(text: str, said: str, folder: Path) -> None:
    notes = folder / "notes"
    notes.write_text(text.replace("FOLDER", str(folder / "in")))
    with pytest.raises(VqiError, match="expected the notes of --watch") as error, Seen(folder / "in", notes):
        pass
    assert said in str(error.value)
    assert "or delete it to score all files again" in str(error.value)
    assert notes.read_text() == text.replace("FOLDER", str(folder / "in"))


def test_notes_are_json_lines(folder: Path) -> None:
    with Seen(folder / "in", folder / "notes") as seen:
        seen.note(folder / "in" / "a.png", Sight(1, 2))
    head, line = map(json.loads, (folder / "notes").read_text().splitlines())
    assert head == {"format": "vqi.watched/1", "folder": str(folder / "in"), "scored": 0}
    assert line == {"path": str(folder / "in" / "a.png"), "size": 1, "mtime_ns": 2}
