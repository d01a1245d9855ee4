"""What old runs left on this machine and nobody needs: what steps passed on, whole runs, what the cache knows of both.

Nothing is touched of a run that goes on, of one that a person noted something on or gave the tag ``keep``, of the
newest ones, and of one that is younger than an age. What the cache knows goes first: a run that begins now runs a step
again instead of looking for what is gone.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from vqi.system.atomic import TEMPORARY
from vqi.system.locks import held_folder
from vqi.system.os_errors import explain
from vqi_pipelines.local.cache import CACHE, entries_in
from vqi_pipelines.local.folders import LATEST, goes_on
from vqi_pipelines.local.run_record import Note, read_note
from vqi_pipelines.local.task_record import TASK_FILE
from vqi_pipelines.runs.listing import Run, runs_in

KEEP = "keep"  # the tag of runs that stay
AGE, NEWEST = timedelta(days=7), 3
# What steps of the training pipeline pass on, by the folder of the step: large; what a model needs is in the store.
# What people read stays: tables, reports, scores, figures, logs, the index of the images.
PASSED_ON = {
    "preprocess": "images/images.safetensors",
    "ssl-finetune": "backbone",
    "feature-extract": "features",
    "pca-fit": "detector",
}
_RUNNING = "it goes on"
_GOING = f"{TEMPORARY}run-"  # begins the name of a run that is being removed; nothing else has such names

Kind = Literal["artifact", "run", "result", "rest"]


@dataclass(frozen=True)
class Leftover:
    """Something that nobody needs."""

    kind: Kind  # artifact: of a run that stays; result: what the cache knows of one; rest: of a removal that was killed
    path: str  # below the folder of runs
    bytes: int  # that removing it frees, with all others before it


@dataclass(frozen=True)
class Found:
    """What is left in a folder of runs."""

    runs_dir: Path
    removed: tuple[Leftover, ...]  # or to be removed
    kept: Mapping[str, str]  # run, or another folder -> why
    failed: tuple[str, ...] = ()  # what should have gone, and could not be removed

    @property
    def bytes(self) -> int:
        """What removing all of it frees."""
        return sum(one.bytes for one in self.removed)


def look(
    runs_dir: Path, *, whole: bool = False, keep: int = NEWEST, age: timedelta = AGE, now: datetime | None = None
) -> Found:
    """What would be removed; nothing is changed.

    Args:
        runs_dir: The folder of runs.
        whole: Whether runs go with all that is in them, or lose only what their steps passed on.
        keep: How many of the newest runs stay.
        age: What is younger stays.
        now: The time; another one for tests.

    Raises:
        VqiError: There is no such folder.
    """
    found = runs_in(runs_dir)
    before = (now or datetime.now(UTC)) - age
    latest = (runs_dir / LATEST).resolve().name
    kept = {one.name: f"it is no run: {one.why}" for one in found.strangers}
    space = _Space()
    removed: list[Leftover] = [
        Leftover("rest", one.name, space.of(one)) for one in sorted(runs_dir.iterdir()) if _is_rest(one)
    ]
    for place, run in enumerate(found.runs):
        why = _why_kept(run, age, before, newest=place < keep, latest=run.name == latest)
        if why:
            kept[run.name] = why
        elif whole:
            removed.append(Leftover("run", run.name, space.of(run.folder)))
        else:
            removed += [
                Leftover("artifact", str(path.relative_to(runs_dir)), space.of(path)) for path in _passed_on(run)
            ]
    gone = {runs_dir / one.path for one in removed}
    results = [Leftover("result", str(one.relative_to(runs_dir)), space.of(one)) for one in _lost(runs_dir, gone)]
    return Found(runs_dir, (*results, *removed), kept)


def collect(found: Found) -> Found:
    """Remove what ``look`` found, unless somebody wants it by now.

    Returns:
        What was done. What cannot be removed costs nothing else.
    """
    removed, kept, failed = [], dict(found.kept), []
    with held_folder(found.runs_dir.resolve()):  # one at a time removes, or renews the page of all runs
        for one in found.removed:
            try:
                why = _remove(found.runs_dir, one)
            except OSError as error:
                why = f"it cannot be removed: {explain(error, found.runs_dir / one.path)}"
                failed.append(one.path)
            if why:
                kept[_run_of(one)] = why
            else:
                removed.append(one)
    return Found(found.runs_dir, tuple(removed), kept, tuple(failed))


def _remove(runs_dir: Path, one: Leftover) -> str:
    """Remove something; or why it stays."""
    if one.kind not in ("run", "artifact"):
        _delete(runs_dir / one.path)
        return ""
    run, path = runs_dir / _run_of(one), runs_dir / one.path
    try:
        with held_folder(run, wait=False):
            if why := _wanted(read_note(run)):
                return why
            if one.kind == "run":  # at once, so that nobody sees half of it
                path = path.rename(path.with_name(f"{_GOING}{uuid.uuid4().hex}"))
            _delete(path)
    except BlockingIOError:
        return _RUNNING
    except FileNotFoundError:
        return "somebody else removed it"
    return ""


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _run_of(one: Leftover) -> str:
    return one.path.partition("/")[0]


def _why_kept(run: Run, age: timedelta, before: datetime, *, newest: bool, latest: bool) -> str:
    if goes_on(run.folder):
        return _RUNNING
    if run.problem:
        return f"it is not known whether somebody wants it: {run.problem}"
    if why := _wanted(run.note):
        return why
    if newest or latest:
        return "one of the newest"
    days = age / timedelta(days=1)
    young = f"younger than {days:g} {'day' if days == 1 else 'days'}"
    return young if run.started is None or run.started > before else ""


def _wanted(note: Note) -> str:
    """Why a person wants a run to stay; '' where nobody said so."""
    return f"it has the tag {KEEP}" if KEEP in note.tags else "somebody noted something on it" if note.text else ""


def _passed_on(run: Run) -> Iterator[Path]:
    """What its steps passed on, whether or not the run came to write down that they had ended."""
    for step, name in PASSED_ON.items():
        for task in sorted(run.folder.glob(f"*/{step}/{TASK_FILE}")):
            if (path := task.parent / name).is_file():
                yield path


def _is_rest(path: Path) -> bool:
    return path.name.startswith(_GOING) and path.is_dir() and not path.is_symlink()


def _lost(runs_dir: Path, gone: set[Path]) -> Iterator[Path]:
    """What the cache knows of results that are not there any more, or go now; and what is damaged.

    A result in an object store is there as long as the store has it, whatever becomes of the run.
    """
    for path, entry in entries_in(runs_dir / CACHE):
        if entry is None:
            yield path
            continue
        folder = runs_dir / entry.folder
        local = [folder / one.location for one in entry.artifacts.values() if "://" not in one.location]
        if any(not one.exists() or _goes(one, gone) for one in local):
            yield path


def _goes(artifact: Path, gone: set[Path]) -> bool:
    """Whether an artifact goes, or a part of it, or the run that it is in."""
    return not gone.isdisjoint((artifact, *artifact.parents)) or any(artifact in one.parents for one in gone)


class _Space:
    """What removing files frees: a file that runs share, as links, is freed with the last of them."""

    def __init__(self) -> None:
        self._links: dict[tuple[int, int], int] = {}  # those that go

    def of(self, path: Path) -> int:
        """Bytes that are freed with a file, or with a folder and all that is in it, after those asked for before."""
        freed = 0
        for one in path.rglob("*") if path.is_dir() else [path]:
            told = one.lstat()
            if one.is_symlink() or not one.is_file():
                continue
            seen = self._links.get((told.st_dev, told.st_ino), 0) + 1
            self._links[told.st_dev, told.st_ino] = seen
            freed += told.st_size if seen == told.st_nlink else 0
        return freed
