"""Argo's own CRDs and some others, with the code of the API server: ``build_validator`` builds it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

VERSIONS = ("v3.7.14", "v4.0.2")
BUILD = Path(__file__).with_name("build_validator")

Problems = Callable[[Any], list[str]]


@pytest.fixture(scope="session")
def crd_problems() -> Iterator[Problems]:
    """``crd_problems(document)``: what the API server refuses of an object of Argo, or Argo of a cron line.

    Each begins with the version of Argo; required when CI=true.
    """
    folder = validator()
    with ExitStack() as stack:
        asked = {version: stack.enter_context(_asked(folder, version)) for version in VERSIONS}
        yield lambda value: [f"{version}: {one}" for version, ask in asked.items() for one in ask(value)]


@pytest.fixture(scope="session")
def other_crd_problems() -> Iterator[Problems]:
    """The same for an object that is neither Kubernetes' nor Argo's, such as a ServiceMonitor."""
    with _asked(validator(), "others") as ask:
        yield ask


def validator() -> Path:
    """The folder with the validator and the CRDs."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vqi" / "validator"
    if not (folder / "crds-others").is_dir() or not (folder / "validator").is_file():
        missing = f"no validator of CRDs: build it with {BUILD}"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
    return folder


@contextmanager
def _asked(folder: Path, version: str) -> Iterator[Problems]:
    command = [folder / "validator", folder / f"crds-{version}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def ask(value: Any) -> list[str]:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(value) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield ask
        process.communicate()
