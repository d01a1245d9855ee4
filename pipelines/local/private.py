"""Files and folders of a run, which only its user can read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

PRIVATE, PRIVATE_FOLDER = 0o600, 0o700


def make_folder(path: Path) -> None:
    """Make a folder, and those around it that are missing."""
    missing = [one for one in (path, *path.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(PRIVATE_FOLDER, exist_ok=True)


def open_log(path: Path) -> BinaryIO:
    """A file that lines are appended to."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE), "ab")


def make_private(path: Path) -> None:
    """Take a file, or a folder with all that is in it, from everybody else; links and others' files are left alone."""
    for one in [path, *path.rglob("*")] if path.is_dir() and not path.is_symlink() else [path]:
        if not one.is_symlink() and os.getuid() in (0, one.stat().st_uid):
            one.chmod(PRIVATE_FOLDER if one.is_dir() else PRIVATE)
