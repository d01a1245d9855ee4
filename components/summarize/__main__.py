"""Runs the step ``summarize``."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from vqi.artifacts.files import write_text
from vqi.config import Summarize
from vqi.models.field import newest_in_the_field
from vqi.models.models_page import PAGE, write_models
from vqi.outcomes import conclude, forget_old, read_outcomes
from vqi.pages.field import first_contradicted
from vqi.pages.table import to_csv, to_html, to_markdown
from vqi.store.opening import open_store, store_uri
from vqi_components import executor_output, step


class Arguments(Summarize):
    """The result table over all categories, and the page of the dataset's models."""

    table: Path = Field(description="output: folder with table.md, table.csv, table.html and models.html")
    table_page: Path = Field(description="output: the table as a Markdown file")
    decisions: Path = Field(description="output: file that receives what became of each category, on one line")
    executor_input: str = Field(default="", description=step.EXECUTOR_INPUT)


def run(arguments: Arguments) -> None:
    """Load, call, save."""
    store = open_store(store_uri(os.environ))
    found = read_outcomes(store, arguments.run, arguments.dataset)
    fields = newest_in_the_field(store, found.datasets)
    of = {row.category: row for row in found.rows}
    rows = [of[name] for name in first_contradicted(list(of), fields)]
    # the terminal has the gate's decisions elsewhere
    write_text(arguments.table / "table.md", to_markdown(rows, found.failed, found.unchanged, fields=fields))
    write_text(arguments.table / "table.csv", to_csv(rows, found.failed))
    datasets = sorted({*found.datasets.values()})
    page = to_html(rows, found.failed, found.unchanged, found.decisions, fields, datasets)
    write_text(arguments.table / "table.html", page)
    write_text(arguments.table_page, to_markdown(rows, found.failed, found.unchanged, found.decisions, fields))
    write_text(arguments.decisions, found.line)
    write_models(store, arguments.dataset, arguments.table / PAGE)
    executor_output.write_metadata(arguments.executor_input, {"table_page": {"categories": len(rows)}})
    forget_old(store, arguments.run)
    # Those who hand over an executor input discard what a failed step wrote. Argo keeps it, and its retry runs nothing
    # again that a step has succeeded after.
    conclude(found, partial=bool(arguments.executor_input))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the step; returns the exit code."""
    return step.main("summarize", Arguments, run, argv)


if __name__ == "__main__":
    sys.exit(main())
