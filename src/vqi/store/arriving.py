"""A file that is there whole or not at all."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPORARY = ".tmp-"  # begins the names of files that are being written


@contextmanager
def arriving(target: Path) -> Iterator[Path]:
    """A free name beside ``target`` to write to: what stands there when the block ends well becomes ``target``."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.parent / f"{TEMPORARY}{uuid.uuid4().hex}"
    try:
        yield temporary
        temporary.chmod(0o644)  # for whoever may enter the folder, whatever umask wrote it
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
