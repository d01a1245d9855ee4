"""What the documents link to exists: files, and headings in them."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "chart" / "README.md", *sorted((ROOT / "docs").rglob("*.md")),
]  # fmt: skip
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")


def anchors(document: Path) -> set[str]:
    """The anchors of its headings, as GitHub makes them."""
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for file, anchor in LINK.findall(document.read_text()):
        target = document.parent / file if file else document
        assert target.exists(), f"{document.name}: {file}"
        assert not anchor or anchor in anchors(target), f"{document.name}: {file}#{anchor}"


def test_every_guide_is_named_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    guides = [path.relative_to(ROOT) for path in (ROOT / "docs").glob("*.md")]
    assert guides
    assert not [str(guide) for guide in guides if str(guide) not in text]
