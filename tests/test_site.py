"""The site of the documents: built as ``make docs`` builds it, complete, searched without a network, accessible."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.browser import Browser
from tests.test_documents import DOCUMENTS, ROOT

pytestmark = pytest.mark.slow
STRICT = ("--fresh-env", "--fail-on-warning", "--keep-going", "--quiet")
LOADED = {"link": "href", "script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src"}


def build(root: Path, to: Path) -> "subprocess.CompletedProcess[str]":
    flags = ["--builder", "html", "--conf-dir", "docs/site", "--doctree-dir", str(to / "doctrees"), *STRICT]
    command = [sys.executable, "-m", "sphinx", *flags, ".", str(to / "site")]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("built")
    done = build(ROOT, to)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return to / "site"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


class Loads(HTMLParser):
    """The addresses that a page loads by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name == LOADED.get(tag)]


def test_the_flags_are_those_of_make() -> None:
    (line,) = [line for line in (ROOT / "Makefile").read_text().splitlines() if "-m sphinx" in line]
    assert all(flag in line for flag in STRICT)


def test_each_document_is_a_page(site: Path) -> None:
    wanted = [*DOCUMENTS, ROOT / "CHANGELOG.md"]
    assert not [page for page in wanted if not (site / page.relative_to(ROOT)).with_suffix(".html").is_file()]
    assert "README.html" in (site / "index.html").read_text()


def test_nothing_comes_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > len(DOCUMENTS)
    for page in pages:
        loads = Loads()
        loads.feed(page.read_text())
        assert loads.found or page.name == "index.html"
        for address in loads.found:
            assert not re.match("[a-z]+:|//", address) or address.startswith("data:"), f"{page}: {address}"
    for sheet in site.rglob("*.css"):
        assert not re.search(r"""(url\(|@import)\s*["']?(https?:)?//""", sheet.read_text()), sheet


def test_a_link_and_an_anchor_that_lead_nowhere_fail_the_build(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs" / "site", tmp_path / "docs" / "site")
    shutil.copy(ROOT / "docs" / "gallery.py", tmp_path / "docs")
    (tmp_path / "README.md").write_text(
        "# Home\n\n[a](docs/nowhere.md) [b](docs/there.md#nowhere) [c](docs/there.md#it)\n"
    )
    (tmp_path / "docs" / "there.md").write_text("# There\n\n## It\n")
    done = build(tmp_path, tmp_path / "built")
    assert done.returncode == 1
    (link, anchor) = [line for line in done.stderr.splitlines() if "myst.xref_missing" in line]
    assert "docs/nowhere.md" in link
    assert "'nowhere'" in anchor


def test_the_search_works_on_files(site: Path, browser: Browser) -> None:
    browser.troubles.clear()
    browser.open(f"{site.as_uri()}/search.html?q=max_regression")
    browser.wait_for("document.querySelector('#search-results').innerText.includes('Reference: parameters')")
    found = "[...document.querySelectorAll('script, link[rel=stylesheet], img')].map((one) => one.src || one.href)"
    loaded = [address for address in browser.evaluate(found) if address]  # also what a script added
    assert any(address.endswith("searchindex.js") for address in loaded)
    assert all(address.startswith(site.as_uri()) for address in loaded)
    assert browser.troubles == []


@pytest.mark.parametrize(
    ("page", "width", "dark"),
    [
        ("README.html", 390, False),
        ("docs/reference/parameters.html", 1200, True),
        ("search.html?q=threshold", 1200, False),
    ],
)
def test_nothing_keeps_people_from_reading(page: str, width: int, dark: bool, site: Path, browser: Browser) -> None:
    browser.open(f"{site.as_uri()}/{page}", width, dark=dark)
    assert browser.barriers() == []
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
