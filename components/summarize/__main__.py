"""Runs the step ``summarize``."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from vqi.artifacts.files import write_text
from vqi.config import Summarize
from vqi.outcomes import conclude, forget_old, read_outcomes
from vqi.pages.table import to_csv, to_html, to_markdown
from vqi.store.opening import open_store, store_uri
from vqi_components import executor_output, step


class Arguments(Summarize):
    """The result table over all categories."""

    table: Path = Field(description="output: folder with table.md, table.csv and table.html")
    table_page: Path = Field(description="output: the table as a Markdown file")
    executor_input: str = Field(default="", description=step.EXECUTOR_INPUT)


def run(arguments: Arguments) -> None:
    """Load, call, save."""
    store = open_store(store_uri(os.environ))
    found = read_outcomes(store, arguments.run, arguments.dataset)
    for name, render in {"table.md": to_markdown, "table.csv": to_csv, "table.html": to_html}.items():
        write_text(arguments.table / name, render(found.rows, found.failed))
    write_text(arguments.table_page, to_markdown(found.rows, found.failed))
    categories = [row.category for row in found.rows]
    executor_output.write_metadata(arguments.executor_input, {"table_page": {"categories": len(categories)}})
    forget_old(store, arguments.run)
    # Those who hand over an executor input discard what a failed step wrote. Argo keeps it, and its retry runs nothing
    # again that a step has succeeded after.
    conclude(found, partial=bool(arguments.executor_input))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the step; returns the exit code."""
    return step.main("summarize", Arguments, run, argv)


if __name__ == "__main__":
    sys.exit(main())
