"""``index.html`` beside the runs, for people: written anew when one of them ended, was noted on, or removed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from vqi.artifacts.files import write_text
from vqi.errors import VqiError
from vqi.pages.runs_page import CategoryOfRun, RunOnPage, runs_page
from vqi.progress import message
from vqi.redaction import shown_line
from vqi.system.locks import held_folder
from vqi.system.os_errors import explain
from vqi_pipelines.local.cache import CACHE
from vqi_pipelines.local.private import PRIVATE
from vqi_pipelines.local.run_record import RUN_FILE
from vqi_pipelines.runs.categories import Category
from vqi_pipelines.runs.listing import Run, folders_in, runs_in

INDEX = "index.html"
_GENERATOR, _HEAD = b'name="generator" content="vqi ', 4096  # in the first bytes of a page of ours
_MOST = 100  # runs on the page: it is read as a whole, and written at the end of each run


def renew_index(runs_dir: Path) -> Path | None:
    """Write the page anew. What goes wrong is said, and is no failure of what changed the runs.

    Returns:
        The page; None where it could not be written.
    """
    path = runs_dir / INDEX
    try:
        if not _is_ours(runs_dir):
            message(f"note: {path} is not written: there are no runs in that folder, or the page is somebody else's")
            return None
        with held_folder(runs_dir.resolve()):  # of two runs that end now, the second one sees both
            write_text(path, index_of(runs_dir), PRIVATE)
    except VqiError as error:
        message(f"note: {path} is not up to date: {error}")
        return None
    except OSError as error:
        message(f"note: {path} is not up to date: {explain(error, path)}")
        return None
    return path


def _is_ours(runs_dir: Path) -> bool:
    """Whether the page may be written: it is one of these, or none is there and the folder is one of runs."""
    path = runs_dir / INDEX
    if path.exists():
        with path.open("rb") as file:
            return _GENERATOR in file.read(_HEAD)
    return (runs_dir / CACHE).is_dir() or any((one / RUN_FILE).is_file() for one in folders_in(runs_dir))


def index_of(runs_dir: Path) -> str:
    """The page.

    Raises:
        VqiError: There is no such folder, or it cannot be read.
    """
    found, now = runs_in(runs_dir, _MOST), datetime.now(UTC)
    more = len(folders_in(runs_dir)) - len(found.runs) - len(found.strangers)
    strangers = [(one.name, shown_line(one.why)) for one in found.strangers]
    return runs_page([_run(one, now) for one in found.runs], more, strangers, now)


def _run(run: Run, now: datetime) -> RunOnPage:
    def link(path: str) -> str:
        return quote(f"{run.name}/{path}") if path and (run.folder / path).exists() else ""

    def category(one: Category) -> CategoryOfRun:
        reasons = one.decision.reasons if one.decision else ()
        return CategoryOfRun(
            one.name, one.row, one.decided, reasons, one.failure, link(one.report), link(one.data_page)
        )

    return RunOnPage(
        run.name,
        run.started,
        run.seconds(now),
        run.state,
        run.source or run.record.pipeline,
        run.mean_auroc,
        run.decided,
        run.note.text,
        run.note.tags,
        tuple(map(category, run.categories)),
        folder=f"{quote(run.name)}/",
        table=link("table.html"),
        models=link("models.html"),
        problem=shown_line(run.problem),
    )
