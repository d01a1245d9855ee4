"""Brings one mirror of the category at a uri up to date, in a process of its own; ``feeding`` starts it."""

from __future__ import annotations

import os
import sys

from vqi.errors import BAD_INPUT, VqiError
from vqi.mirrors.registry import MIRRORS
from vqi.progress import message


def main(name: str, uri: str) -> int:
    """Bring a mirror of a category up to date; returns the exit code."""
    try:
        from vqi.mirrors.mirroring import mirror
        from vqi.models.registry import category_at

        mirror(name, category_at(uri), os.environ[MIRRORS[name].variable])
    except VqiError as error:
        message(str(error))
    else:
        return 0
    return BAD_INPUT


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
