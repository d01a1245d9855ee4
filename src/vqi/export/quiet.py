"""What other libraries say while they write a file is not for the user of this one."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet(log: str) -> Iterator[None]:
    """Without a library's log, its warnings and what it prints: standard output is the command's.

    Args:
        log: Its name; errors stay.
    """
    logger = logging.getLogger(log)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
