"""The pages of a run, which link to each other: by where the local backend puts them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from vqi.artifacts.files import read_text, write_text
from vqi.errors import VqiError
from vqi.pages.of_run import PLACE, with_run
from vqi.progress import message
from vqi.system.os_errors import explain
from vqi_components.environment import DATA_PAGE, REPORT, RUN_BEFORE
from vqi_pipelines.local.folders import LATEST
from vqi_pipelines.local.private import PRIVATE
from vqi_pipelines.runs.index import INDEX
from vqi_pipelines.runs.listing import run_at

TABLE, MODELS = "table.html", "models.html"
_RUN = "../.."  # from the folder of a step of a category: <run>/<category>/<step>
_TABLE_OF, _MODELS_OVER, _ALL = "Table of this run", "Models over time", "All runs"


def links_of(runs_dir: Path) -> dict[str, str]:
    """Of the next run: what each page is called, and its address relative to a step of a category.

    Args:
        runs_dir: Of all runs.
    """
    links = {
        REPORT: "../publish/decided_report.html",
        _TABLE_OF: f"{_RUN}/{TABLE}",
        DATA_PAGE: "../preprocess/data_page.html",
        _ALL: f"{_RUN}/../{INDEX}",
    }
    with suppress(OSError):  # a folder that cannot be used is refused when the run begins
        before = (runs_dir / LATEST).resolve()
        if before.parent == runs_dir.resolve() and (before / TABLE).is_file():
            links[RUN_BEFORE] = f"{_RUN}/../{quote(before.name)}/{TABLE}"
    return links


def complete_pages(folder: Path) -> None:
    """Let the table of a run and the page of its models say which run they are of, and link to the other pages.

    What goes wrong is said, and is no failure of the run.
    """
    try:
        run = run_at(folder)
        if not (folder / TABLE).is_file():
            return
        reports = {one.name: _address(folder, one.report) for one in run.categories if one.report}
        data = {one.name: _address(folder, one.data_page) for one in run.categories if one.data_page}
        beside = {_MODELS_OVER: MODELS} if (folder / MODELS).is_file() else {}
        pages = {
            TABLE: (beside, {name: members for name, members in (("Reports", reports), ("Data", data)) if members}),
            MODELS: ({_TABLE_OF: TABLE}, {}),
        }
        for name, (links, groups) in pages.items():
            path = folder / name
            if path.is_file() and PLACE in (page := read_text(path, "run the pipeline again")):
                told = with_run(page, run.name, run.started, {**links, _ALL: f"../{INDEX}"}, groups=groups)
                write_text(path, told, PRIVATE)
    except VqiError as error:
        message(f"note: the table in {folder} has no links: {error}")
    except OSError as error:
        message(f"note: the table in {folder} has no links: {explain(error, folder)}")


def _address(folder: Path, page: str) -> str:
    """Of a page, relative to the run's folder; as it is, where it is in an object store."""
    return page if "://" in page else quote(page)
