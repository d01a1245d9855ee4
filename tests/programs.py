"""Programs that tests start."""

import os
import shutil
from collections.abc import Iterable

import pytest


def program(names: Iterable[str], package: str, without: str, path: str | None = None) -> str:
    """The first of some programs that is here; without one the test is skipped, and fails in CI.

    Args:
        names: Of the program.
        package: Of Debian, that has it.
        without: What does not happen then.
        path: Where else to look.
    """
    found = next((found for name in names if (found := shutil.which(name) or shutil.which(name, path=path))), None)
    if found is None and os.environ.get("CI") == "true":
        pytest.fail(f"no {package}: apt-get install {package}")
    if found is None:
        pytest.skip(f"no {package} here: {without}")
    return found
