"""The folders of runs: a new one, what ``latest`` points at, and what a run that was killed left."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from vqi.errors import VqiError
from vqi.system.atomic import atomic_path, is_temporary, remove
from vqi.system.locks import held_folder
from vqi.system.os_errors import explain
from vqi_pipelines.local.cache import CACHE
from vqi_pipelines.local.private import PRIVATE_FOLDER
from vqi_pipelines.local.run_record import RUN_FILE

PARTIAL = ".partial"  # a step's folder while it runs
LATEST = "latest"
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES, errno.EINVAL)  # of file systems without links


@contextmanager
def new_run(runs_dir: Path, name: str, note: Callable[[str], None]) -> Iterator[Path]:
    """A new run folder, which ``latest`` then points at, held while the run goes on. Its name is the run's id.

    Args:
        runs_dir: Of all runs.
        name: Of the pipeline.
        note: Told what a person should know of.

    Raises:
        VqiError: The runs folder cannot be written to.
    """
    stem = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{name}"
    with ExitStack() as held:
        try:
            runs_dir.mkdir(parents=True, exist_ok=True)
            clear(runs_dir)
            folder = _free_folder(runs_dir, stem)
            held.enter_context(held_folder(folder))
            _point_at(runs_dir / LATEST, folder, note)
        except OSError as error:
            raise VqiError(f"the run cannot be written: {explain(error, runs_dir)} (--runs-dir)") from error
        yield folder


def goes_on(folder: Path) -> bool:
    """Whether a process holds the folder of a run: the run itself, or one that removes it."""
    try:
        with held_folder(folder, wait=False):
            return False
    except BlockingIOError:
        return True


def clear(runs_dir: Path) -> None:
    """Remove what runs that were killed left unfinished: nothing else, and nothing of a run that goes on."""
    for folder in runs_dir.iterdir():
        if is_temporary(folder.name) and folder.is_symlink():  # a link that was to become ``latest``
            folder.unlink(missing_ok=True)
        if folder.is_symlink() or not (folder / RUN_FILE).is_file():
            continue
        with suppress(OSError), held_folder(folder, wait=False):  # it goes on, or is another user's
            for left in [*folder.rglob(PARTIAL), *folder.rglob(".tmp-*")]:
                remove(left)
    for left in (runs_dir / CACHE).glob(".tmp-*"):
        with suppress(OSError):
            left.unlink()


def _free_folder(runs_dir: Path, stem: str) -> Path:
    for number in range(1, 1000):
        folder = runs_dir / (stem if number == 1 else f"{stem}-{number}")
        try:
            folder.mkdir(PRIVATE_FOLDER)
        except FileExistsError:
            continue
        return folder
    raise VqiError(f"runs folder {runs_dir}: too many runs in one second")


def _point_at(link: Path, folder: Path, note: Callable[[str], None]) -> None:
    """Make ``latest`` a link to a run. What is there and is no link is the user's: it gets another name."""
    if link.exists() and not link.is_symlink():
        aside = link.with_name(f"{LATEST}-before-{folder.name}")
        link.rename(aside)
        note(f"{link} was no link to a run, and is now {aside}")
    try:
        with atomic_path(link) as made:
            made.symlink_to(folder.name)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        note(f"{link} cannot be made ({error.strerror}): this run is in {folder}")
