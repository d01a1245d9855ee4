"""Writes the chart's README: its values, with what the ``# --`` above each says. ``make compile`` runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parent
HEAD = """# The chart `vqi`

Installs the training pipeline as a WorkflowTemplate of Argo Workflows (3.7 or 4, which has to be there already), with
what its runs need. Written by `make compile` from `values.yaml`.

| value | default | |
|---|---|---|
"""


def documented(text: str) -> list[tuple[str, str]]:
    """The values with a ``# --`` above them, as dotted names, and what it says.

    Args:
        text: Of values.yaml, two spaces a level.
    """
    found, path, said = [], [""] * 8, ""
    for line in text.splitlines():
        stripped = line.lstrip(" ")
        if stripped.startswith("# -- "):
            said = stripped.removeprefix("# -- ")
        elif ":" in stripped:
            depth = (len(line) - len(stripped)) // 2
            path[depth] = stripped.split(":", 1)[0]
            if said:
                found.append((".".join(path[: depth + 1]), said))
            said = ""
    return found


def default_of(values: Any, name: str) -> str:
    """The default of a dotted name, as it stands in a table; of a long one that it is to be looked up."""
    for key in name.split("."):
        values = values[key]
    text = json.dumps(values)
    return f"`{text}`" if len(text) <= 60 else "see `values.yaml`"


def readme(text: str) -> str:
    """The README of the values in a text."""
    values = yaml.safe_load(text)
    rows = [f"| `{name}` | {default_of(values, name)} | {said} |\n" for name, said in documented(text)]
    return HEAD + "".join(rows)


if __name__ == "__main__":
    (CHART / "README.md").write_text(readme((CHART / "values.yaml").read_text()))
