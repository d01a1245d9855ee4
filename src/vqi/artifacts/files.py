"""JSON files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vqi import strict_json
from vqi.errors import VqiError
from vqi.system.atomic import atomic_path, write_text
from vqi.system.files import read_regular
from vqi.system.os_errors import reason

__all__ = ["Json", "atomic_path", "read_json", "write_json", "write_text"]

Json = dict[str, Any]


def write_json(path: Path, content: object, mode: int | None = None) -> None:
    """Write JSON with sorted keys, whole or not at all; NaN and infinity are refused. ``mode``: see ``atomic_path``."""
    write_text(path, json.dumps(content, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n", mode)


def read_text(path: Path, again: str) -> str:
    """Read a text file.

    Raises:
        VqiError: It is missing, not UTF-8, or too long; ``again`` says what to do.
    """
    try:
        return read_regular(path, strict_json.MOST_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise VqiError(f"{path}: expected a text file, got: {reason(error)}; {again}") from error


def read_json(path: Path) -> Json:
    """Read a JSON object, strictly.

    Raises:
        VqiError: The file is missing or holds no JSON object.
    """
    try:
        content = strict_json.loads(read_regular(path, strict_json.MOST_BYTES))
    except (OSError, ValueError) as error:
        raise VqiError(
            f"{path}: expected a JSON file, got: {reason(error)}; run the step that writes it again"
        ) from error
    if not isinstance(content, dict):
        raise VqiError(f"{path}: expected a JSON object, got {type(content).__name__}")
    return content
