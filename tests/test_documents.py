"""Links of the documents lead to files, and to headings in them; bounds of packages are those of the project."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "chart" / "README.md", *sorted((ROOT / "docs").rglob("*.md")),
]  # fmt: skip
RUN = ("torch", "onnx", "openvino", "command", "serve", "mqtt", "pipelines")  # extras that are needed to run something
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


def test_the_bounds_of_packages_are_those_of_the_project() -> None:
    """Each package that is needed to run anything has a row, with the bound of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    needed = [*project["dependencies"], *(one for name in RUN for one in extras[name])]
    ours = ("vqi", "intel-extension-for-pytorch")  # the second is why torch is what it is
    names = {re.match("[A-Za-z0-9._-]+", one)[0]: one.partition(";")[0] for one in needed}
    declared = {name: one.removeprefix(name) for name, one in names.items() if name not in ours}
    told = {}
    for line in (ROOT / "docs" / "security.md").read_text().splitlines():
        cells = [re.findall("`([^`]*)`", cell) for cell in line.split("|")[1:3]]
        if len(cells) == 2 and cells[0] and cells[1]:
            bounds = cells[1] if len(cells[1]) == len(cells[0]) else cells[1] * len(cells[0])
            told |= dict(zip(cells[0], bounds, strict=True))
    assert told == declared
    for requirement in re.findall("`([a-z0-9]+>=[0-9.]+)`", (ROOT / "docs" / "security.md").read_text()):
        assert any(one.startswith(requirement) for one in extras["dev"]), requirement
