"""Temporary folders in ``TMPDIR``: what a killed process left there, the next one removes."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vqi.locks import held

PREFIX = "vqi-scratch-"
NEW_SECONDS = 60  # a folder may not be held yet by the process that makes it


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    clear(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name, held(Path(name)):
        yield Path(name)


def clear(folder: Path) -> None:
    """Remove this user's scratch folders in ``folder`` that nobody holds any more."""
    for left in folder.glob(f"{PREFIX}*"):
        with suppress(OSError):  # it is held, or was removed by another process meanwhile
            status = left.lstat()
            if status.st_uid == os.getuid() and time.time() - status.st_mtime > NEW_SECONDS:
                with held(left, wait=False):
                    shutil.rmtree(left)
