"""The command ``vqi predict``: every image has a row, and what cannot be written is said before anything is scored.

The model is made up: its score is the mean of the pixels. What reads files, and what is written, is real.
"""

import csv
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from vqi.models import model
from vqi.models.model import Model, Prediction
from vqi_pipelines.commands.group import vqi

THRESHOLD = 100.0


class MadeUp(Model):
    def __init__(self, uri: str, engine: str = "auto", precision: str = "auto") -> None:
        self.image_size, self.max_pixels, self.white, self.threshold = 8, 4096, None, THRESHOLD

    def _prediction(self, name: str, pixels: np.ndarray) -> Prediction:
        score = float(pixels.mean())
        return Prediction(name, score, THRESHOLD, int(score > THRESHOLD), 0.25, pixels, np.ones((8, 8), np.float32))


@pytest.fixture(autouse=True)
def _made_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(model, "Model", MadeUp)
    monkeypatch.chdir(tmp_path)


def draw(name: str | bytes, value: int = 150) -> None:
    path = Path(os.fsdecode(name))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        Image.new("RGB", (8, 8), (value, value, value)).save(file, "PNG")


def predict(*arguments: str) -> Result:
    return CliRunner().invoke(vqi, ["predict", "model", *arguments])


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def test_all_is_well(tmp_path: Path) -> None:
    draw("p/a.png", 150)
    draw("p/b.png", 50)
    done = predict("p")
    expected = "path,score,threshold,decision,p_value\np/a.png,150.0,100.0,1,0.25\np/b.png,50.0,100.0,0,0.25\n"
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
    assert done.exit_code == 2
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
    done = predict("empty", "a.png", "--format", "json")
    first, second = json.loads(done.stdout)
    assert (first["path"], first["score"], second["decision"]) == ("empty", None, 1)
    assert first["error"].startswith("empty: expected image files (")
    assert done.exit_code == 2


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
    as_json = predict(os.fsdecode(name), "--format", "json").stdout
    assert [row["path"] for row in json.loads(as_json)] == [os.fsdecode(name)], "exact"
    assert all(line.isprintable() for line in as_json.splitlines())
    draw(name + b".txt")
    os.truncate(name + b".txt", 0)
    failed = predict(os.fsdecode(name + b".txt")).stderr
    assert failed.count("\n") == 1
    assert failed.rstrip("\n").isprintable()


def test_what_was_there_stays_until_all_is_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw("a.png")
    Path("out.csv").write_text("of yesterday")

    def fails(self: MadeUp, name: str, pixels: np.ndarray) -> Prediction:
        assert Path("out.csv").read_text() == "of yesterday"
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(MadeUp, "_prediction", fails)
        assert isinstance(predict("a.png", "-o", "out.csv").exception, MemoryError)
    assert Path("out.csv").read_text() == "of yesterday"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "out.csv"]
    assert predict("a.png", "-o", "out.csv").exit_code == 0
    assert Path("out.csv").read_text() == "path,score,threshold,decision,p_value\na.png,150.0,100.0,1,0.25\n"
    assert predict("a.png", "-o", "new/folder/out.csv").exit_code == 0
    assert Path("new/folder/out.csv").is_file()
    assert predict("a.png", "-o", "/dev/null").exit_code == 0
    assert Path("/dev/null").is_char_device()


def test_pictures_have_names_that_any_disk_takes(tmp_path: Path) -> None:
    long = "ü" * 120 + ".png"
    draw(long)
    draw("a\nb.png")
    Path("bad.png").touch()
    done = predict("bad.png", long, "a\nb.png", "--maps", "maps")
    assert done.exit_code == 2
    assert sorted(path.name for path in Path("maps").iterdir()) == [f"1-{'ü' * 80}.png", "2-a_b.png"]


CLOSED = """
import sys
from tests.pipelines import test_predict
from vqi.models import model
model.Model = test_predict.MadeUp
from vqi_pipelines.cli import main
sys.argv = ["vqi", "predict", "model", *sys.argv[1:]]
main()
"""


@pytest.mark.parametrize(
    ("end", "said"), [(">&-", "error: standard output is closed"), ("> /dev/full", "No space left")]
)
def test_standard_output_that_takes_nothing(end: str, said: str, tmp_path: Path) -> None:
    draw("a.png")
    root = Path(__file__).parents[2]
    command = f'"$0" -c "$1" a.png {end}'
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run(
        ["/bin/sh", "-c", command, sys.executable, CLOSED], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
