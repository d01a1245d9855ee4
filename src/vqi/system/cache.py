"""The user's cache: what may be deleted at any time and is then fetched or made again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from vqi.errors import VqiError
from vqi.system.os_errors import explain
from vqi.system.paths import local_path

CACHE = "VQI_CACHE"


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where fetched files are kept: ``$VQI_CACHE``, else ``vqi`` in the user's cache folder. It is made."""
    home = environment.get("XDG_CACHE_HOME") or "~/.cache"
    folder = local_path(environment.get(CACHE) or f"{home}/vqi").absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VqiError(f"cannot keep fetched files in {CACHE}: {explain(error, folder)}") from error
    return folder
