"""Runs the step ``summarize``."""

import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from vqi.artifacts.files import write_text
from vqi.artifacts.metrics import Summary
from vqi.config import Summarize
from vqi.errors import VqiError
from vqi.pages.table import to_csv, to_html, to_markdown
from vqi.progress import message
from vqi.records import parse_json
from vqi_components import executor_output, step


class Arguments(Summarize):
    """The result table over all categories."""

    table: Path = Field(description="output: folder with table.md, table.csv and table.html")
    table_page: Path = Field(description="output: the table as a Markdown file")
    executor_input: str = Field(default="", description=step.EXECUTOR_INPUT)


def run(arguments: Arguments) -> None:
    """Load, call, save."""
    texts = enumerate(arguments.summaries, start=1)
    rows = [parse_json(Summary, text, f"summaries: text {number}", "run evaluate again") for number, text in texts]
    categories = [row.category for row in rows]
    failed = [name for name in arguments.categories if name not in categories]
    if not rows:
        raise VqiError("there is no category with a result: see why each of them failed, and run the pipeline again")
    for name, render in {"table.md": to_markdown, "table.csv": to_csv, "table.html": to_html}.items():
        write_text(arguments.table / name, render(rows, failed))
    write_text(arguments.table_page, to_markdown(rows, failed))
    if failed:
        message(f"the table is without {', '.join(failed)}: failed, as the logs of their steps say")
    executor_output.write_metadata(arguments.executor_input, {"table_page": {"categories": categories}})


def main(argv: Sequence[str] | None = None) -> int:
    """Run the step; returns the exit code."""
    return step.main("summarize", Arguments, run, argv)


if __name__ == "__main__":
    sys.exit(main())
