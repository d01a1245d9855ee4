"""Temporary folders in ``TMPDIR``: what a killed process left there, the next one removes."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vqi.system.locks import held_folder

NEW = "vqi-new-"  # of a folder that is not held yet


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    clear(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=NEW))
    with held_folder(folder):
        try:
            folder = folder.rename(folder.with_name(prefix() + folder.name.removeprefix(NEW)))
            yield folder
        finally:
            shutil.rmtree(folder)


def clear(folder: Path) -> None:
    """Remove this user's scratch folders in ``folder`` that nobody holds any more."""
    for left in folder.glob(f"{prefix()}*"):
        with suppress(OSError):  # it is held, or another process removes it as well
            if left.lstat().st_uid == os.getuid():
                with held_folder(left, wait=False):
                    shutil.rmtree(left)


def prefix() -> str:
    """How the names of scratch folders begin. On a network's disk, locks do not tell what another machine holds."""
    return f"vqi-scratch-{platform.node()}-"
