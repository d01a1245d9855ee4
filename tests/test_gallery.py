"""The gallery: the pages of a run on the site, and none in the repository."""

from pathlib import Path

import pytest

from docs.gallery import SHOWN, collect, pages

ROOT = Path(__file__).parents[1]
PICTURES = {".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".avif"}
PLACES = ["table.html", "mono/publish/decided_report.html", "mono/preprocess/data_page.html", "models.html"]


def write_run(folder: Path, places: list[str]) -> Path:
    for place in places:
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(place)
    return folder


def test_each_page_of_a_run_is_copied_and_listed(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [*PLACES, "poly/publish/decided_report.html", "mono/evaluate/report.html"])
    write_run(tmp_path / "pages", ["old/publish/decided_report.html"])
    collect(run, tmp_path / "pages")
    listed = {str(place): said for place, said in pages(tmp_path / "pages")}
    assert sorted(listed) == sorted([*PLACES, "poly/publish/decided_report.html"])
    assert all((tmp_path / "pages" / place).read_text() == place for place in listed)
    assert listed["mono/preprocess/data_page.html"] == f"mono, {SHOWN['*/preprocess/data_page.html']}"


def test_a_run_without_a_page_is_named(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", PLACES[:-1])
    with pytest.raises(FileNotFoundError, match=r"run: expected models\.html"):
        collect(run, tmp_path / "pages")


def test_the_places_are_those_of_a_run() -> None:
    """By the names of the steps and of their outputs."""
    for pattern in SHOWN:
        *folders, name = Path(pattern).parts
        step = folders[-1] if folders else "summarize"
        declared = ROOT / "components" / step / ("component.py" if folders else "__main__.py")
        assert (name.removesuffix(".html") if folders else name) in declared.read_text(), pattern


def test_no_photograph_and_no_page_of_a_run_is_in_the_documents() -> None:
    """Those of the embedded dataset are not ours to give away; a page holds them as text. A notebook draws its own."""
    files = [path for path in (ROOT / "docs").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert len(files) > 50
    for file in files:
        assert file.suffix.lower() not in PICTURES, file
        assert file.suffix != ".html" or file.parent == ROOT / "docs" / "site" / "extra", file
        text = file.read_text(encoding="utf-8")
        if any(mark in text for mark in ("data:image/", '"image/png"', '"image/jpeg"')):
            assert file.suffix == ".ipynb", file
            assert "elpv" not in text, file
