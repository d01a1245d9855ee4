"""docs/examples: the cells of each notebook run from top to bottom, and give what is shown under them.

UPDATE_GOLDEN=1 writes what they give into the notebook. nbclient would do it, with twenty more packages.
"""

from __future__ import annotations

import ast
import base64
import io
import json
import os
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"


def given_by(source: str, name: str, namespace: dict[str, Any]) -> list[dict[str, Any]]:
    """The outputs of a cell in the notebook's format: what it prints, and the picture that its last line is."""
    tree, printed = ast.parse(source), io.StringIO()
    *_, last = tree.body
    outputs: list[dict[str, Any]] = []
    with redirect_stdout(printed):
        shown = ast.Expression(tree.body.pop().value) if isinstance(last, ast.Expr) else None  # type: ignore[attr-defined]
        exec(compile(tree, name, "exec"), namespace)  # noqa: S102 - our own notebook
        value = eval(compile(shown, name, "eval"), namespace) if shown else None  # noqa: S307 - our own notebook
    if printed.getvalue():
        outputs.append(
            {"name": "stdout", "output_type": "stream", "text": printed.getvalue().splitlines(keepends=True)}
        )
    if hasattr(value, "_repr_png_"):
        picture = base64.b64encode(value._repr_png_()).decode()
        outputs.append({"data": {"image/png": picture}, "metadata": {}, "output_type": "display_data"})
    return outputs


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_gives_what_it_shows(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook, namespace, number = json.loads(path.read_text()), dict[str, Any](), 0
    monkeypatch.chdir(tmp_path)
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        number += 1
        outputs = given_by("".join(cell["source"]), f"{path.name}, cell {number}", namespace)
        if os.environ.get("UPDATE_GOLDEN"):
            cell["outputs"], cell["execution_count"] = outputs, number
        kinds = [[one["output_type"] for one in shown] for shown in (outputs, cell["outputs"])]
        assert kinds[0] == kinds[1], f"cell {number}: UPDATE_GOLDEN=1 writes its outputs into the notebook"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
    flagged = namespace["flagged"]
    assert sum(flagged[:10]) <= 3, "good parts"
    assert sum(flagged[10:]) >= 9, "scratched ones"
