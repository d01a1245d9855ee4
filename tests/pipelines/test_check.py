"""``vqi check``: data pages without a run, and whether the photographs can be used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from vqi_pipelines.commands.group import vqi


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_defect_dataset: Callable[..., Path]) -> Path:
    monkeypatch.chdir(tmp_path)
    return make_defect_dataset(tmp_path / "parts", train=19, good=2, defective=1)


def checked(*arguments: object) -> Result:
    return CliRunner().invoke(vqi, ["check", *map(str, arguments)])


def verdicts(done: Result) -> list[str]:
    return [line for line in done.stdout.splitlines() if " be used" in line]


def test_each_category_has_a_page(parts: Path) -> None:
    done = checked("parts")
    assert done.exit_code == 0, done.output
    assert [line.partition(":")[0] for line in verdicts(done)] == ["bracket", "fabric"]
    assert "  page: data-pages/fabric.html" in done.stdout.splitlines()
    page = Path("data-pages/bracket.html").read_text()
    assert "bracket" in page
    assert "data:image/" in page, "with pictures of what it complains about"
    assert {path.name for path in Path.cwd().iterdir()} == {"parts", "data-pages"}, "no store, no run"


def test_a_category_that_would_stop_a_run(parts: Path) -> None:
    for number in range(4):
        (parts / "bracket/train/good" / f"x{number}.png").write_bytes(b"no image")
    for path in sorted((parts / "fabric/train/good").iterdir())[2:]:
        path.unlink()
    done = checked("parts", "-o", "out")
    assert done.exit_code == 1, done.output
    bracket, fabric = verdicts(done)
    assert bracket.startswith("bracket: cannot be used: category 'bracket': 4 of 27 images are unreadable, max_bad_")
    assert fabric == "fabric: cannot be used: 2 good images to train on: expected at least 3"
    assert "x3.png" in Path("out/bracket.html").read_text(), "the page is there to see what is wrong"
    done = checked("parts", "-o", "out", "-p", "max_bad_fraction=0.2", "-p", "categories=bracket")
    assert done.exit_code == 0, done.output
    said = [line for line in done.stdout.splitlines() if "cannot be read" in line]
    assert len(said) == 1, "once"
    assert said[0].startswith("  warning: 4 of 27 photographs cannot be read, such as train/good/x0.png: ")


def test_what_cannot_be_prepared_has_no_page(parts: Path) -> None:
    done = checked("parts/fabric", "-p", "group_by=shift")
    assert done.exit_code == 1
    assert verdicts(done)[0].startswith("fabric: cannot be used: category 'fabric': group_by 'shift' is found in none")
    assert not list(Path("data-pages").iterdir())


@pytest.mark.parametrize(
    "arguments", [["gone"], ["parts", "-p", "folds=x"], ["parts", "-o", "parts/bracket/train/good/000.png"]]
)
def test_what_was_not_looked_at(parts: Path, arguments: list[str]) -> None:
    done = checked(*arguments)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("error: ")
