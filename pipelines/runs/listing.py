"""The runs in a folder, the newest first, and what is beside them that is no run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vqi.errors import VqiError, unknown
from vqi.pages.table import means_of
from vqi.system.os_errors import explain, reason
from vqi_pipelines.local.folders import LATEST, goes_on
from vqi_pipelines.local.run_record import RUN_FILE, Note, RunRecord, read_note, read_run
from vqi_pipelines.local.state import RUNNING
from vqi_pipelines.runs.categories import Category, categories_of

KILLED = "killed"  # it did not come to write how it ended


@dataclass(frozen=True)
class Run:
    """A run, and what a person says of it."""

    folder: Path
    record: RunRecord
    note: Note
    state: str  # as in the record, or KILLED
    categories: tuple[Category, ...]  # of the training pipeline
    problem: str = ""  # why it is not all known

    @property
    def name(self) -> str:
        """Of its folder, and of the run."""
        return self.folder.name

    @property
    def started(self) -> datetime | None:
        """When it began; None where that is not known."""
        try:
            began = datetime.fromisoformat(self.record.started_at or _moment_in(self.name))
        except ValueError:
            return None
        return began if began.tzinfo else began.replace(tzinfo=UTC)

    def seconds(self, now: datetime) -> float | None:
        """How long it took, or takes so far; None where that is not known."""
        if self.state != RUNNING:
            return None if self.state == KILLED else self.record.seconds
        return (now - self.started).total_seconds() if self.started else None

    @property
    def source(self) -> str:
        """What the photographs are from; '' for another pipeline."""
        return str(self.record.parameters.get("source", ""))

    @property
    def mean_auroc(self) -> float | None:
        """The mean image AUROC of the categories that have one."""
        return means_of([one.row for one in self.categories if one.row])["image_auroc"]

    @property
    def decided(self) -> str:
        """What the gate decided: of one category in words, of several how many, as ``3 promoted, 1 held``."""
        if len(self.categories) == 1:
            return self.categories[0].decided
        said = [_word(one) for one in self.categories]
        return ", ".join(f"{said.count(word)} {word}" for word in dict.fromkeys(said) if word)


def _word(category: Category) -> str:
    return category.decision.verdict if category.decision and not category.failure else category.decided


@dataclass(frozen=True)
class Stranger:
    """A folder that is no run."""

    name: str
    why: str


@dataclass(frozen=True)
class Runs:
    """What is in a folder of runs."""

    runs: list[Run]  # the newest first
    strangers: list[Stranger]


def runs_in(runs_dir: Path, most: int | None = None) -> Runs:
    """The runs in a folder.

    Args:
        runs_dir: The folder.
        most: How many of the newest are read; all when None.

    Raises:
        VqiError: There is no such folder, or it cannot be read.
    """
    runs: list[Run] = []
    strangers: list[Stranger] = []
    for folder in folders_in(runs_dir):
        if most is not None and len(runs) >= most:
            break
        try:
            runs.append(run_at(folder))
        except VqiError as error:
            strangers.append(Stranger(folder.name, str(error)))
        except OSError as error:  # another user's, for example, or removed just now
            strangers.append(Stranger(folder.name, explain(error, folder)))
    return Runs(sorted(runs, key=lambda run: (_order(run), run.name), reverse=True), strangers)


def folders_in(runs_dir: Path) -> list[Path]:
    """The folders that may be runs, the last one by name first; names of runs begin with their time.

    Raises:
        VqiError: There is no such folder, or it cannot be read.
    """
    try:
        found = [*os.scandir(runs_dir)]
    except OSError as error:
        expected = f"{runs_dir}: expected the folder of runs that 'vqi run' writes"
        raise VqiError(f"{expected}, got: {reason(error)}; name it with --runs-dir") from error
    names = [one.name for one in found if one.is_dir(follow_symlinks=False)]
    return [runs_dir / name for name in sorted(names, reverse=True) if not name.startswith(".")]


def run_at(folder: Path) -> Run:
    """The run whose folder it is.

    Raises:
        VqiError: It is none, or its record is damaged.
        OSError: It cannot be read.
    """
    if not (folder / RUN_FILE).exists():
        raise VqiError(f"there is no {RUN_FILE} in it: it is no run, or one that was killed as it began")
    record = read_run(folder)
    state = record.state
    if state == RUNNING and not goes_on(folder):
        record = read_run(folder)  # it may have ended just now
        state = KILLED if record.state == RUNNING else record.state
    problems: list[str] = []
    note = Note()
    categories: tuple[Category, ...] = ()
    try:
        note = read_note(folder)
        categories = categories_of(folder, {label: task.state for label, task in record.tasks.items()})
    except VqiError as error:
        problems.append(str(error))
    return Run(folder, record, note, state, categories, "; ".join(problems))


def find_run(name: str, runs_dir: Path) -> Run:
    """The run of that name, or whose folder it is; ``latest`` is one.

    Raises:
        VqiError: There is none, or it is damaged.
    """
    named = Path(name)
    folder = named if named.name != name or (named / RUN_FILE).exists() else runs_dir / name
    if not folder.is_dir():
        if folder.parent != runs_dir:
            raise VqiError(f"{name}: expected the name of a run ('vqi runs' lists them) or its folder: it is not there")
        known = [one.name for one in folders_in(runs_dir) if (one / RUN_FILE).exists()]
        raise unknown("run", name, [*known, LATEST])
    folder = folder.resolve()  # 'latest' may change
    try:
        return run_at(folder)
    except VqiError as error:
        raise VqiError(f"{folder}: {error}") from error


def _moment_in(name: str) -> str:
    """The time in a run's name, ``20261201-002515-training``, as ISO 8601."""
    return name[:15].replace("-", "T")


def _order(run: Run) -> datetime:
    return run.started or datetime.fromtimestamp(0, UTC)


def as_json(run: Run, now: datetime) -> dict[str, Any]:
    """A run for programs."""
    return {
        "run": run.name,
        "folder": str(run.folder.absolute()),
        "pipeline": run.record.pipeline,
        "started": run.started.isoformat() if run.started else None,
        "seconds": run.seconds(now),
        "state": run.state,
        "source": run.source or None,
        "mean_image_auroc": run.mean_auroc,
        "note": run.note.text,
        "tags": list(run.note.tags),
        "categories": [_category_as_json(one) for one in run.categories],
        "parameters": run.record.parameters,
        "problem": run.problem or None,
    }


def _category_as_json(one: Category) -> dict[str, Any]:
    return {
        "category": one.name,
        "trained": one.trained,
        "decided": one.decided or None,
        "reasons": list(one.decision.reasons) if one.decision else [],
        "failure": one.failure or None,
        "figures": one.row.model_dump(mode="json", exclude={"category"}) if one.row else None,
    }
