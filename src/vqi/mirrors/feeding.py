"""Feeding the mirrors after a decision, which the store has: it fails nothing, and takes ``BOUND`` at most."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from vqi.mirrors.registry import MIRRORS
from vqi.progress import message

BOUND = 60.0  # seconds, for all mirrors together


def feed(uri: str, environment: Mapping[str, str]) -> None:
    """Mirror a category, wherever the environment names a server. What goes wrong is said.

    Each mirror in a process of its own, all at once, which are ended when their time is over: a server may answer one
    request after another slowly.

    Args:
        uri: Of the category.
        environment: Of this process.
    """
    named = [name for name, kind in MIRRORS.items() if environment.get(kind.variable)]
    if not named:
        return
    with ThreadPoolExecutor(len(named)) as pool:
        failures = list(pool.map(lambda name: _fed(name, uri, environment), named))
    for name, failed in zip(named, failures, strict=True):
        if failed:
            told = f"{uri} is not mirrored to {MIRRORS[name].title}"
            message(f"note: {told}: {failed}; 'vqi models mirror' makes up for it")


def _fed(name: str, uri: str, environment: Mapping[str, str]) -> str:
    """Why a mirror is not up to date; '' where it is."""
    command = [sys.executable, "-m", "vqi.mirrors", name, uri]
    try:
        done = subprocess.run(command, env=environment, timeout=BOUND, capture_output=True, text=True, check=False)
    except subprocess.TimeoutExpired:
        return f"it took more than {BOUND:g} s"
    except OSError as error:
        return str(error)
    return (done.stderr.strip().splitlines() or ["no reason was given"])[-1] if done.returncode else ""
