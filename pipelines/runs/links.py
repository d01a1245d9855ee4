"""The pages of a run that its reports link to, by where the local backend puts them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from vqi_pipelines.local.folders import LATEST
from vqi_pipelines.runs.index import INDEX

_RUN = "../.."  # from the folder of the step that writes a category's report: <run>/<category>/publish
_TABLE = "table.html"


def links_of(runs_dir: Path) -> dict[str, str]:
    """Of the next run: what each page is called, and its address relative to a report.

    Args:
        runs_dir: Of all runs.
    """
    links = {
        "Table of this run": f"{_RUN}/{_TABLE}",
        "Data page": "../preprocess/data_page.html",
        "All runs": f"{_RUN}/../{INDEX}",
    }
    with suppress(OSError):  # a folder that cannot be used is refused when the run begins
        before = (runs_dir / LATEST).resolve()
        if before.parent == runs_dir.resolve() and (before / _TABLE).is_file():
            links["Run before"] = f"{_RUN}/../{quote(before.name)}/{_TABLE}"
    return links
