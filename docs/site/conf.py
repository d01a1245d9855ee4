"""The site of the documents, which Sphinx builds: ``make docs`` (docs/decisions/0040).

Its pages are the Markdown files where they are in the repository, so that a link is the same there and on the site.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from sphinx.application import Sphinx

import vqi
from docs.gallery import pages

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
GALLERY = os.environ.get("VQI_GALLERY", "")  # the folder with the pages that docs/gallery.py made

project = "vqi"
release = vqi.__version__
project_copyright = "the authors of vqi, Apache-2.0"
extensions = ["myst_parser"]
root_doc = "README"
include_patterns = ["*.md", "chart/README.md", "docs/**"]
exclude_patterns = [one.name for one in ROOT.iterdir() if one.is_dir() and one.name not in ("chart", "docs")]

nitpicky = True
smartquotes = False
highlight_language = "none"
myst_heading_anchors = 4

html_theme = "furo"
html_title = f"vqi {release}"
html_static_path = [str(HERE / "static")]
html_extra_path = [str(HERE / "extra")]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_copy_source = False
html_show_sphinx = False

# The side bar. A document that is in neither of them fails the build.
NAVIGATION = {
    "Guides": [
        "docs/data-sources", "docs/operations", "docs/fine-tuning", "docs/python", "docs/export", "docs/serving",
        "docs/containers", "docs/cluster", "docs/sizing", "docs/editors", "docs/benchmarks",
        "docs/gallery",
    ],
    "Reference": ["docs/reference/parameters", "docs/reference/commands", "docs/reference/python", "chart/README"],
    "The project": ["docs/architecture", "docs/security", "docs/decisions/README", "CONTRIBUTING", "CHANGELOG"],
}  # fmt: skip
DECISIONS = sorted(f"docs/decisions/{one.stem}" for one in (ROOT / "docs" / "decisions").glob("[0-9]*.md"))
# What the theme leaves out for those who see no pages, or have no mouse.
ACCESSIBLE = {
    'role="heading"': 'role="heading" aria-level="2"',
    '<aside class="sidebar-drawer"': '<aside aria-label="All pages" class="sidebar-drawer"',
    '<aside class="toc-drawer': '<aside aria-label="This page" class="toc-drawer',
    "<pre>": '<pre tabindex="0">',
    '<div class="table-wrapper': '<div tabindex="0" class="table-wrapper',
    '<div id="search-results">': '<h1 class="heard">Search</h1><div id="search-results">',
}


def setup(app: Sphinx) -> None:
    """What Sphinx calls."""
    app.connect("source-read", add_pages)
    app.connect("build-finished", finish)


def add_pages(app: Sphinx, name: str, source: list[str]) -> None:
    """Add to documents what only the site has: the trees behind its side bar, and the gallery."""
    if name == root_doc:
        source[0] += "".join(tree(documents, caption) for caption, documents in NAVIGATION.items())
    elif name == "docs/decisions/README":
        source[0] += tree(DECISIONS, "Decisions")
    elif name == "docs/gallery" and GALLERY:
        links = [f'<li><a href="../gallery/{place}">{said}</a></li>' for place, said in pages(Path(GALLERY))]
        source[0] += "\n".join(["\n<ul>", *links, "</ul>\n"])


def tree(documents: list[str], caption: str) -> str:
    """A tree of documents in MyST's Markdown."""
    places = "\n".join(f"/{one}" for one in documents)
    return f'\n\n```{{toctree}}\n:hidden:\n:caption: "{caption}"\n\n{places}\n```\n'


def finish(app: Sphinx, error: Exception | None) -> None:
    """Make the pages accessible, and copy those of the gallery."""
    if error is not None:
        return
    for name in [*app.env.found_docs, "search"]:
        page = Path(app.outdir) / f"{name}.html"
        text = page.read_text(encoding="utf-8")
        for old, new in ACCESSIBLE.items():
            text = text.replace(old, new)
        page.write_text(text, encoding="utf-8")
    if GALLERY:
        shutil.copytree(GALLERY, Path(app.outdir) / "gallery")
