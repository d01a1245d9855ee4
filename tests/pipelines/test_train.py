"""``vqi train``: what it says of photographs before it starts, what it asks, what it starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from vqi_pipelines.commands import train as module
from vqi_pipelines.commands.group import vqi
from vqi_pipelines.commands.running import Running


def save(root: Path, **folders: int) -> Path:
    for folder, number in folders.items():
        for one in range(number):
            path = root / folder.replace("__", "/") / f"{one}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (40, 30), (one, 0, 0)).save(path)
    return root


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What is run, instead of running it."""
    found: list[dict[str, Any]] = []

    def train(running: Running, given: dict[str, Any]) -> int:
        found.append(given)
        return 7

    monkeypatch.setattr(Running, "train", train)
    monkeypatch.chdir(tmp_path)
    return found


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_on_terminal", lambda: True)


def said(*arguments: object, answer: str | None = None) -> Result:
    return CliRunner().invoke(vqi, ["train", *map(str, arguments)], input=answer)


def test_photographs_alone_in_a_folder(tmp_path: Path, started: list[dict[str, Any]]) -> None:
    root = save(tmp_path, bracket=25)
    (root / "bracket/a.HEIC").touch()
    (root / "bracket/notes.txt").touch()
    (root / "bracket/x.jpg").write_bytes(b"no")
    done = said("bracket", "-p", "seed=3")
    assert (done.exit_code, started) == (7, [{"seed": "3", "source": "folder:bracket"}]), done.output
    assert done.output.splitlines() == [
        "folder:bracket",
        "",
        "  category  to learn from  for the threshold  to test  pixels",
        "  bracket   26             the same           none     40x30",
        "",
        "no folder says what they are, so all 26 are taken for good parts",
        "bracket: nothing to test on: a model is made, and nothing is measured",
        "left out: 1 photograph of a kind that is not read (.heic 1), for example a.HEIC; save as PNG, JPEG or TIFF",
        "left out: 1 file that is no image (.txt 1), for example notes.txt",
        "warning: bracket: 1 of 26 photographs that were looked at cannot be read, such as train/good/x.jpg: not an image "
        "of a known format (PNG, JPEG, TIFF, BMP, WebP, GIF, JPEG 2000 or PNM), it starts with b'no'",
        "",
    ]


def test_a_layout_with_shifts(tmp_path: Path, started: list[dict[str, Any]]) -> None:
    root = save(tmp_path / "parts", w__train__ok__mon=12, w__train__ok__tue=9, w__calibration__good=20, w__test__cut=2,
                w__test__good=1, v__ok=10, v__nok=3)  # fmt: skip
    done = said(root, "--dry-run")
    assert (done.exit_code, started) == (0, []), done.output
    assert done.output.splitlines()[2:] == [
        "  category  to learn from   for the threshold  to test        pixels",
        "  v         8 of 10         the same           2 good, 3 nok  40x30",
        "  w         21 in 2 groups  20                 1 good, 2 cut  40x30",
        "",
        "v: no train and test, so 80 % of the good ones train (train_fraction), fewer where photographs show one part",
        "groups are calibrated together: sub-folders, or what group_by says (group_by=none: each by itself)",
        "warning: v: 8 good training images allow a false-alarm rate of 11.1 % at best; the requested 5 % needs 19.",
        "",
        "nothing was started: --dry-run",
    ]
    assert "w         21 " in said(root, "--dry-run", "-p", "group_by=none", "-p", "categories=w").stdout


def test_many_categories_fit_on_one_screen(tmp_path: Path, started: list[dict[str, Any]]) -> None:
    save(tmp_path / "parts", **{f"c{number:02}__train__good": 3 for number in range(40)})
    done = said("parts", "--dry-run")
    assert "  ... and 25 more categories" in done.output.splitlines()
    assert len(done.output.splitlines()) < 45


@pytest.mark.parametrize(("answer", "starts"), [("\n", True), ("y\n", True), ("n\n", False)])
def test_on_a_terminal_it_asks(
    tmp_path: Path, started: list[dict[str, Any]], on_terminal: None, answer: str, starts: bool
) -> None:
    save(tmp_path, parts=19)
    done = said("parts", answer=answer)
    assert "Start? [Y/n]" in done.output
    assert (done.exit_code, len(started)) == ((7, 1) if starts else (1, 0))


def test_it_does_not_ask_who_said_yes(tmp_path: Path, started: list[dict[str, Any]], on_terminal: None) -> None:
    save(tmp_path, parts=19)
    assert "Start?" not in said("parts", "--yes").output
    assert len(started) == 1


def test_one_category_that_cannot_be_trained_leaves_the_others(tmp_path: Path, started: list[dict[str, Any]]) -> None:
    save(tmp_path, parts__a__train__good=3, parts__b__test__good=3)
    assert "warning: cannot be trained: category 'b' has no train images" in said("parts").stdout
    assert len(started) == 1
    done = said("parts", "-p", "categories=b")
    assert (done.exit_code, len(started)) == (2, 1)
    assert done.stderr == "error: category 'b' has no train images: expected some in train/good, found test/good\n"
    assert said("parts", "-p", "group_by=shift").exit_code == 2, "no path has such a group"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone"], "there is no folder 'gone': expected the folder of your photographs"),
        (["file"], "'file' is a file: expected the folder of your photographs"),
        (["elvp:x"], "there is no folder 'elvp:x'"),
        (["parts", "-p", "source=elpv"], "the parameter source: it is what you name, 'parts'"),
        (["parts", "-p", "bakbone=x"], "unknown parameter 'bakbone': did you mean 'backbone'?"),
        (["parts", "-p", "backbone=resnet5"], "unknown backbone 'resnet5': did you mean 'resnet50'?"),
        (["parts", "-p", "folds=many"], "folds: "),
        (["parts", "-p", "categories=x"], "unknown category 'x': known: parts; write categories='[\"parts\"]'"),
    ],
)
def test_what_is_refused_at_once(
    tmp_path: Path, started: list[dict[str, Any]], arguments: list[str], message: str
) -> None:
    save(tmp_path, parts=19)
    (tmp_path / "file").touch()
    done = said(*arguments)
    assert (done.exit_code, done.stdout, done.stderr.count("\n"), started) == (2, "", 1, [])
    assert done.stderr.startswith(f"error: {message}")


def test_it_has_the_options_of_run() -> None:
    options = {name: {one.name for one in vqi.commands[name].params} for name in ("run", "train")}
    assert options["run"] - options["train"] == {"file", "name"}
    assert options["train"] - options["run"] == {"photographs", "dry_run", "yes"}
