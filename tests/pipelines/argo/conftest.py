"""Argo's own validator: on the path, or where ``build_argo`` puts it; and its CRDs, where ``build_validator`` does."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pipelines.argo.crds import crd_problems

__all__ = ["argo", "crd_problems", "lint"]

VERSION = "v4.0.2"
BUILD = Path(__file__).with_name("build_argo")


def find_argo() -> str | None:
    """``$ARGO``, ``argo`` on the path, or one that was built before."""
    built = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vqi" / f"argo-{VERSION}"
    for found in (os.environ.get("ARGO"), shutil.which("argo"), str(built) if built.exists() else None):
        if found:
            return found
    return None


@pytest.fixture(scope="session")
def argo() -> str:
    """The command ``argo``; required when CI=true."""
    found = find_argo()
    if found is None:
        missing = f"no argo command: put it on the path, set ARGO, or build it with {BUILD}"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return found


@pytest.fixture(scope="session")
def lint(argo: str) -> Callable[..., str]:
    """``lint(path, ...)``: what ``argo lint --offline`` finds; empty if everything is valid."""

    def run(*files: Path) -> str:
        command = [argo, "lint", "--offline", "--no-color", *map(str, files)]
        done = subprocess.run(command, capture_output=True, text=True)
        return "" if done.returncode == 0 else (done.stdout + done.stderr).strip() or f"exit code {done.returncode}"

    return run
