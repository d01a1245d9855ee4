"""The command ``vqi predict``: every photograph has a row as soon as it is scored, and what cannot be written is said
before anything is.

The model is made up: its score is the mean of the pixels. What reads files, and what is written, is real.
"""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from click.testing import Result as Done
from PIL import Image

from vqi.errors import VqiError
from vqi.models.reading import Reader
from vqi.models.result import Box, Result
from vqi.models.scorer import Read, Scorer
from vqi.sizes import square
from vqi_pipelines.commands.group import vqi

THRESHOLD = 100.0


class MadeUp(Scorer):
    version = 7

    def __init__(self, uri: str, engine: str = "auto", precision: str = "auto") -> None:
        super().__init__(Reader(square(8), 4096, None))

    def _scored(self, read: Read) -> Result:
        score, decoded = float(read.decoded.pixels.mean()), read.decoded
        return Result(
            score, THRESHOLD, score > THRESHOLD, 0.25, np.full((2, 2), 3, np.float32), (Box(1, 2, 3, 4), Box(5, 6, 1, 2)),
            7, 0.5, read.name, decoded.width, decoded.height, 1.0, decoded.whole,
        )  # fmt: skip


def use(scorer: type[Scorer], monkeypatch: pytest.MonkeyPatch | None = None) -> None:
    """Let the command find it in the place of the model, which would import torch."""
    module = ModuleType("vqi.models.model")
    module.Model = scorer  # type: ignore[attr-defined]
    if monkeypatch is None:
        sys.modules[module.__name__] = module
    else:
        monkeypatch.setitem(sys.modules, module.__name__, module)


HEAD = "path,score,threshold,decision,p_value,boxes,map,error\n"
BOXES = "1 2 3 4; 5 6 1 2"


@pytest.fixture(autouse=True)
def _made_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use(MadeUp, monkeypatch)
    monkeypatch.chdir(tmp_path)


def draw(name: str | bytes, value: int = 150) -> None:
    path = Path(os.fsdecode(name))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        Image.new("RGB", (8, 8), (value, value, value)).save(file, "PNG")


def predict(*arguments: str) -> Done:
    return CliRunner().invoke(vqi, ["predict", "model", *arguments])


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def test_all_is_well(tmp_path: Path) -> None:
    draw("p/a.png", 150)
    draw("p/b.png", 50)
    done = predict("p")
    expected = f"{HEAD}p/a.png,150.0,100.0,1,0.25,{BOXES},,\np/b.png,50.0,100.0,0,0.25,{BOXES},,\n"
    assert (done.exit_code, done.stdout, done.stderr) == (0, expected, "")


def test_every_odd_file_has_its_row_and_does_not_end_the_others(tmp_path: Path) -> None:
    for name in ("p/good.png", "p/folder.png/in.png", "p/.hidden/no.png", "p/._no.png", "outside/far.png"):
        draw(name)
    Path("p/empty.png").touch()
    Path("p/text.png").write_text("no image")
    Path("p/notes.txt").touch()
    Path("p/dangling.png").symlink_to("/nowhere/x.png")
    Path("p/round").symlink_to("..")
    Path("p/large.png").touch()
    os.truncate("p/large.png", 1 << 40)
    os.mkfifo("p/pipe.png")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("p/socket.png")
        done = predict("p", "gone.png", "p/._no.png", "/dev/null", "p/.hidden")
    found = {row["path"]: row for row in rows(done.stdout)}
    said = {
        "p/empty.png": "p/empty.png: the file is empty",
        "p/text.png": "p/text.png: not an image of a known format",
        "p/dangling.png": "cannot read p/dangling.png: No such file or directory",
        "p/large.png": "cannot read p/large.png: has 1,099,511,627,776 bytes, at most",
        "p/pipe.png": "cannot read p/pipe.png: is a named pipe, not a file",
        "p/socket.png": "cannot read p/socket.png: is a socket, not a file",
        "gone.png": "gone.png: no such file or folder",
        "/dev/null": "cannot read /dev/null: is a device, not a file",
    }
    scored = ["p/good.png", "p/folder.png/in.png", "p/round/outside/far.png", "p/._no.png", "p/.hidden/no.png"]
    assert sorted(found) == sorted([*said, *scored])
    for path, why in said.items():
        assert [found[path][name] for name in ("score", "threshold", "decision", "p_value")] == [""] * 4
        assert found[path]["error"].startswith(why)
    for path in scored:
        assert (found[path]["decision"], found[path]["error"]) == ("1", "")
    assert done.exit_code == 3
    lines = done.stderr.splitlines()
    assert [line for line in lines if line.startswith("error: ")] == lines[-len(said) :]
    assert "note: 1 file in p left out: the names are not those of images" in lines


def test_photographs_of_a_kind_that_is_not_read(tmp_path: Path) -> None:
    draw("p/a.png")
    for name in ("p/b.HEIC", "p/in/c.dng", "p/readme.txt", "p/.d.heic"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    done = predict("p", "p/b.HEIC")
    assert (
        "warning: 2 photographs in p not scored, because their kind is not read, for example b.HEIC: save "
        in done.stderr
    )
    assert "note: 1 file in p left out" in done.stderr
    found = {row["path"]: row.get("error", "") for row in rows(done.stdout)}
    assert found.keys() == {"p/a.png", "p/b.HEIC"}
    assert found["p/b.HEIC"].startswith("p/b.HEIC: a HEIC image, which is not read: convert it to JPEG or PNG")


def test_a_folder_that_holds_nothing_does_not_end_the_others(tmp_path: Path) -> None:
    Path("empty").mkdir()
    draw("a.png")
    done = predict("empty", "a.png", "--format", "jsonl")
    first, second = map(json.loads, done.stdout.splitlines())
    assert (first["path"], first["score"], second["decision"]) == ("empty", None, 1)
    assert second["boxes"] == [[1, 2, 3, 4], [5, 6, 1, 2]]
    assert list(first) == list(second)
    assert first["error"].startswith("empty: expected image files (")
    assert done.exit_code == 3


def test_of_many_failures_some_are_named_on_the_terminal(tmp_path: Path) -> None:
    done = predict(*(f"gone{number}" for number in range(30)))
    assert len(rows(done.stdout)) == 30
    assert done.stderr.splitlines()[-1] == "error: ... and 10 more: see the output"
    assert len(done.stderr.splitlines()) == 21


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"=cmd|x.png", "'=cmd|x.png"),
        (b"+1.png", "'+1.png"),
        (b"@SUM(A1).png", "'@SUM(A1).png"),
        (b"'=1.png", "''=1.png"),
        (b"a\x1b[31m\nb.png", "a\\x1b[31m\\nb.png"),
        (b"a\xff.png", "a\\xff.png"),
        ("a\u202eb\x9b.png".encode(), "a\\u202eb\\x9b.png"),
        ("ü.png".encode(), "ü.png"),
    ],
)
def test_names_run_nothing_on_a_terminal_or_in_a_spreadsheet(name: bytes, shown: str, tmp_path: Path) -> None:
    draw(name)
    done = predict(os.fsdecode(name))
    assert [row["path"] for row in rows(done.stdout)] == [shown]
    assert done.exit_code == 0
    as_json = predict(os.fsdecode(name), "--format", "jsonl").stdout
    assert [json.loads(line)["path"] for line in as_json.splitlines()] == [os.fsdecode(name)], "exact"
    assert all(line.isprintable() for line in as_json.splitlines())
    draw(name + b".txt")
    os.truncate(name + b".txt", 0)
    failed = predict(os.fsdecode(name + b".txt")).stderr
    assert failed.count("\n") == 1
    assert failed.rstrip("\n").isprintable()


def test_what_was_there_stays_until_there_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw("a.png")
    draw("b.png", 50)
    Path("out.csv").write_text("of yesterday, and longer than one row of today would ever be: " + "x" * 200)
    there: list[str] = []

    def looks(self: MadeUp, read: Read) -> Result:
        there.append(Path("out.csv").read_text())
        return MadeUp._scored(self, read)

    def fails(self: MadeUp, *given: str) -> None:
        raise VqiError("no such model")

    with monkeypatch.context() as patched:
        patched.setattr(MadeUp, "__init__", fails)
        for name in ("out.csv", "new.csv"):
            assert predict("a.png", "-o", name).stderr == "error: no such model\n"
    assert Path("out.csv").read_text().startswith("of yesterday")
    assert not Path("new.csv").exists()

    class Looks(MadeUp):
        _scored = looks  # type: ignore[assignment]

    with monkeypatch.context() as patched:
        use(Looks, patched)
        assert predict("a.png", "b.png", "-o", "out.csv").exit_code == 0
    assert there[0].startswith("of yesterday")
    first = f"{HEAD}a.png,150.0,100.0,1,0.25,{BOXES},,\n"
    assert there[1] == first, "a row is in the file before the next photograph is scored"
    assert Path("out.csv").read_text() == f"{first}b.png,50.0,100.0,0,0.25,{BOXES},,\n"
    assert predict("a.png", "-o", "new/folder/out.csv").exit_code == 0
    assert Path("new/folder/out.csv").read_text() == first
    assert predict("a.png", "-o", "/dev/null").exit_code == 0
    assert Path("/dev/null").is_char_device()
    assert predict("a.png", "-o", "-").stdout == first


def test_rows_stay_when_it_is_killed_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.png", "b.png"):
        draw(name)

    class Dies(MadeUp):
        def _scored(self, read: Read) -> Result:
            if read.name == "b.png":
                raise MemoryError
            return super()._scored(read)

    use(Dies, monkeypatch)
    assert isinstance(predict("a.png", "b.png", "-o", "out.csv").exception, MemoryError)
    assert Path("out.csv").read_text() == f"{HEAD}a.png,150.0,100.0,1,0.25,{BOXES},,\n"


@pytest.mark.parametrize(
    ("names", "flags", "code"),
    [
        (["good.png"], ["--fail-on-anomaly"], 0),
        (["good.png", "bad.png"], [], 0),
        (["bad.png", "good.png"], ["--fail-on-anomaly"], 1),
        (["bad.png", "gone.png"], ["--fail-on-anomaly"], 3),
        (["good.png", "gone.png"], [], 3),
    ],
)
def test_exit_codes(names: list[str], flags: list[str], code: int) -> None:
    draw("good.png", 50)
    draw("bad.png", 150)
    assert predict(*names, *flags).exit_code == code


def test_what_was_scored_stays_when_it_is_interrupted(tmp_path: Path) -> None:
    draw("a.png")
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    command = [sys.executable, "-c", CLOSED, "-"]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"a.png\n")
        process.stdin.flush()
        assert process.stdout.readline() == HEAD.encode(), "before the next name is there"
        assert process.stdout.readline().startswith(b"a.png,150.0,")
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130


def test_patterns_and_names_on_standard_input(tmp_path: Path) -> None:
    for name in ("p/a.png", "p/b.png", "p/in/c.png", "p/a[1].png", "p/.h.png"):
        draw(name)
    draw(b"p/\xff.png")

    def paths(*arguments: str, given: bytes = b"") -> list[str]:
        done = CliRunner().invoke(vqi, ["predict", "model", "--format", "jsonl", *arguments], input=given)
        return [json.loads(line)["path"] for line in done.stdout.splitlines()]

    assert paths("p/?.png") == ["p/a.png", "p/b.png", os.fsdecode(b"p/\xff.png")]
    assert paths("p/**/c.png") == ["p/in/c.png"]
    assert paths("p/a[1].png") == ["p/a[1].png"], "a file of that name is there"
    assert paths("-", given=b"p/b.png\n\np/\xff.png\r\np/in\n") == ["p/b.png", os.fsdecode(b"p/\xff.png"), "p/in/c.png"]
    assert paths("p/a.png", "-", "p/b.png", given=b"p/in/c.png") == ["p/a.png", "p/in/c.png", "p/b.png"]
    nothing = predict("p/*.tiff")
    assert "p/*.tiff: no file matches this pattern" in nothing.stdout
    listed = CliRunner().invoke(vqi, ["predict", "model", "-"], input="p/?.png\n")
    assert "p/?.png: no such file or folder" in listed.stdout, "a name on standard input is no pattern"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "expected IMAGES, or --watch FOLDER"),
        (["a.png", "--watch", "p"], "expected IMAGES or --watch FOLDER, got both: leave out 'a.png'"),
        (["a.png", "--state", "s"], "--state is for --watch FOLDER"),
        (["--watch", "p", "--maps", "p/in/../maps"], "--maps p/in/../maps is in the folder that is watched"),
    ],
)
def test_what_does_not_go_together(arguments: list[str], said: str) -> None:
    done = predict(*arguments)
    assert done.exit_code == 2
    assert said in done.stderr


def test_memory_does_not_grow_with_the_photographs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither pixels nor results nor rows are kept: the peak of many is that of few."""
    for number in range(300):
        draw(f"p/{number}.png")
    side = 400  # pixels of a photograph in memory: 480 kB each

    class Large(MadeUp):
        def _read(self, image: Any, name: str, *, keep: bool) -> Read:
            read = super()._read(image, name, keep=keep)
            return read._replace(decoded=replace(read.decoded, whole=np.zeros((side, side, 3), np.uint8)))

    use(Large, monkeypatch)

    def peak(pattern: str) -> int:
        tracemalloc.start()
        done = predict(pattern, "-o", "out.csv")
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert done.exit_code == 0
        return found

    peak("p/1*.png")  # what is imported, and made once
    few, many = peak("p/1?.png"), peak("p/*.png")
    assert len(Path("out.csv").read_text().splitlines()) == 301
    assert many < few + 5 * side * side * 3, "10 photographs and 300"


def test_pictures_have_names_that_any_disk_takes_and_rows_name_them(tmp_path: Path) -> None:
    long = "ü" * 120 + ".png"
    draw(long)
    draw("a\nb.png")
    Path("bad.png").touch()
    done = predict("bad.png", long, "a\nb.png", "--maps", "maps")
    assert done.exit_code == 3
    names = [f"000001-{'ü' * 80}.png", "000002-a_b.png"]
    assert sorted(path.name for path in Path("maps").iterdir()) == names
    assert [row["map"] for row in rows(done.stdout)] == ["", *(f"maps/{name}" for name in names)]
    with Image.open(f"maps/{names[0]}") as picture:
        assert picture.size == (8, 8)


def test_whoever_reads_may_stop_reading(tmp_path: Path) -> None:
    for number in range(200):
        draw(f"p/{number}.png")
    done = run_in_shell('"$0" -c "$1" p --maps maps | head -1')
    assert done.stdout == HEAD
    assert done.stderr == "error: whoever reads the output has closed it\n"


CLOSED = """
import sys
from tests.pipelines import test_predict
from vqi.errors import VqiError
test_predict.use(test_predict.MadeUp)
from vqi_pipelines.cli import main
sys.argv = ["vqi", "predict", "model", *sys.argv[1:]]
main()
"""


def run_in_shell(command: str) -> subprocess.CompletedProcess[str]:
    """``$0 -c "$1"`` in it is ``vqi predict model`` with the made-up model."""
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    return subprocess.run(
        ["/bin/sh", "-c", command, sys.executable, CLOSED], capture_output=True, text=True, env=environment, check=False
    )


@pytest.mark.parametrize(
    ("end", "said"), [(">&-", "error: standard output is closed"), ("> /dev/full", "No space left")]
)
def test_standard_output_that_takes_nothing(end: str, said: str, tmp_path: Path) -> None:
    draw("a.png")
    done = run_in_shell(f'"$0" -c "$1" a.png {end}')
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
