"""Paths as people write them."""

from __future__ import annotations

import os
from pathlib import Path

from vqi.errors import VqiError


def local_path(text: str | Path) -> Path:
    """A path on this machine; ``~`` is the home folder, ``~name`` that of another user.

    Raises:
        VqiError: There is no such user, or it holds a character that no path can.
    """
    shown = str(text)
    if not shown:
        raise VqiError("expected a path, got an empty text")
    if "\0" in shown:
        raise VqiError(f"{shown!r} is not a path: a path has no character of value 0")
    found = os.path.expanduser(shown)  # noqa: PTH111 - which leaves './~name' alone
    if found.startswith("~"):
        user = shown.partition("/")[0]
        raise VqiError(f"{shown}: there is no home folder of '{user}': write ./{shown} for a folder of this name")
    return Path(found).absolute() if found.startswith("./~") else Path(found)
