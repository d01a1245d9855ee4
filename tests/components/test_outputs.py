"""A step writes only where nothing is, or over what it wrote there itself."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from vqi.config import StepConfig
from vqi.errors import VqiError
from vqi.system.atomic import atomic_path, write_text
from vqi_components import step
from vqi_components.outputs import WRITTEN

OneError = Callable[[int], str]


class Made(StepConfig):
    """A step with a folder and a file."""

    folder: Path = Field(description="output: folder with a file")
    page: Path = Field(description="output: HTML file")


def make(arguments: Made) -> None:
    with atomic_path(arguments.folder) as temporary:
        temporary.mkdir()
        (temporary / "made.txt").write_text("made")
    write_text(arguments.page, "<p>")


def run(base: Path, work: Callable[[Made], None] = make, name: str = "made", **paths: Path) -> int:
    flags = {"folder": base / "folder", "page": base / "page.html", **paths}
    return step.main(name, Made, work, [text for key, path in flags.items() for text in (f"--{key}", str(path))])


def test_what_it_wrote_itself_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()  # empty: nothing is lost
    assert [run(tmp_path), run(tmp_path)] == [0, 0]
    assert sorted(path.name for path in tmp_path.iterdir()) == [WRITTEN, "folder", "page.html"]


def users_folder(base: Path) -> Path:
    (base / "photos").mkdir()
    (base / "photos" / "a.png").write_text("mine")
    return base / "photos"


def added_to(base: Path) -> Path:
    assert run(base) == 0
    (base / "folder" / "notes.txt").write_text("mine")
    return base / "folder"


def edited(base: Path) -> Path:
    assert run(base) == 0
    (base / "folder" / "made.txt").write_text("mine!")
    return base / "folder"


def of_another_step(base: Path) -> Path:
    assert run(base, name="other") == 0
    return base / "folder"


def link(base: Path) -> Path:
    (base / "folder").symlink_to(users_folder(base))
    return base / "folder"


def pipe(base: Path) -> Path:
    os.mkfifo(base / "folder")
    return base / "folder"


def file(base: Path) -> Path:
    (base / "folder").write_text("mine")
    return base / "folder"


def state(base: Path) -> list[tuple[str, int, bytes]]:
    found = sorted(path for path in base.rglob("*") if WRITTEN not in path.parts)
    return [(str(p), p.lstat().st_mode, p.read_bytes() if p.is_file() else b"") for p in found]


@pytest.mark.parametrize("make_it", [users_folder, added_to, edited, of_another_step, link, pipe, file])
def test_what_is_the_users_is_left_as_it_is(
    make_it: Callable[[Path], Path], tmp_path: Path, one_error: OneError
) -> None:
    place = make_it(tmp_path)
    before = state(tmp_path)
    assert f"--folder {place}: " in one_error(run(tmp_path, folder=place))
    assert state(tmp_path) == before


@pytest.mark.parametrize("place", ["/dev/null", "/dev/stdout", "/proc/self/fd/1"])
def test_devices_and_links_of_the_system(place: str, tmp_path: Path, one_error: OneError) -> None:
    assert f"--page {place}: " in one_error(run(tmp_path, page=Path(place)))


def test_two_outputs_at_one_place(tmp_path: Path, one_error: OneError) -> None:
    assert "name different paths" in one_error(run(tmp_path, page=tmp_path / "folder"))
    assert "name different paths" in one_error(run(tmp_path, page=tmp_path / "folder" / "page.html"))


def test_the_advice_works_when_followed(tmp_path: Path, one_error: OneError) -> None:
    place = file(tmp_path)
    assert "remove it first" in one_error(run(tmp_path))
    place.unlink()
    assert run(tmp_path) == 0


def test_a_step_that_failed_half_way_runs_again(tmp_path: Path, one_error: OneError) -> None:
    def fail(arguments: Made) -> None:
        make(arguments)
        raise VqiError("no")

    def nothing(arguments: Made) -> None:
        raise VqiError("nothing was written")

    one_error(run(tmp_path / "a", fail))
    assert run(tmp_path / "a") == 0
    one_error(run(tmp_path / "b", nothing))
    assert not list((tmp_path / "b").iterdir()), "nothing is left"


def test_a_step_that_was_killed_runs_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def killed(arguments: Made) -> None:
        make(arguments)
        monkeypatch.setattr("vqi_components.outputs._write", lambda *unused: None)  # nobody records anything any more
        raise Killed

    with pytest.raises(Killed):
        run(tmp_path, killed)
    monkeypatch.undo()
    assert run(tmp_path) == 0


def test_a_real_step_does_not_delete_photographs(chain: Any, tmp_path: Path, one_error: OneError) -> None:
    photos = users_folder(tmp_path)
    assert "--images" in one_error(
        chain.run("preprocess", images=photos, data_report=tmp_path / "r", data_page=tmp_path / "p")
    )
    assert (photos / "a.png").read_text() == "mine"
